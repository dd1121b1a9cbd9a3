import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lt4rec_core.errors import ConfigError
from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.experiments.fitting import (
    FitSettings,
    calibration,
    entire_space,
    find_or_load_ticket,
    fit,
    judge,
    settings_for,
)
from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_can_be_fitted_and_judged(make_data, base, tmp_path, name):
    data = make_data()

    fitted = fit(settings_for(VARIANTS[name], base), data, data.train, 0, ModelStore(tmp_path))

    metrics = judge(data.valid, fitted.predict(data.valid))
    wanted = {"ctr": "ctr_auc", "cvr": "cvr_mse"}
    assert set(metrics) == {wanted[task] for task in VARIANTS[name].scores}
    assert all(np.isfinite(value) for value in metrics.values())
    assert set(fitted.densities) == (set(VARIANTS[name].scores) if VARIANTS[name].masks != "none" else set())


def test_equal_seeds_fit_equal_models_and_others_others(make_data, base, tmp_path):
    data, settings = make_data(), replace(base, variant="s_weight")

    scores = [
        fit(settings, data, data.train, seed, ModelStore(tmp_path / str(i))).predict(data.valid)["cvr"]
        for i, seed in enumerate((1, 1, 2))
    ]

    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_passes_one_by_one_are_the_same_as_asked_for_at_once(make_data, base, tmp_path):
    data, store, seen = make_data(), ModelStore(tmp_path), {}
    settings = replace(base, variant="full_sharing")

    def after(epoch, fitted):
        seen[epoch] = fitted.predict(data.valid)["ctr"]

    fit(replace(settings, epochs=3), data, data.train, 0, store, after)
    two = fit(replace(settings, epochs=2), data, data.train, 0, store)

    assert sorted(seen) == [1, 2, 3]
    assert (two.predict(data.valid)["ctr"] == seen[2]).all()


def test_rows_share_their_tickets_and_they_are_searched_with_the_tasks_own_settings(
    make_data, base, tmp_path, monkeypatch
):
    from lt4rec_core.experiments import fitting

    searched, search = [], fitting.find_ticket

    def counted(catalogue, task, *samples, **settings):
        searched.append((task.name, settings["training"].learning_rate))
        return search(catalogue, task, *samples, **settings)

    monkeypatch.setattr(fitting, "find_ticket", counted)
    rates = {"ctr": TrainingConfig(learning_rate=0.02), "cvr": TrainingConfig(learning_rate=0.03)}
    base = replace(base, ticket_training=rates)
    data, store = make_data(), ModelStore(tmp_path)

    for name in ("s_weight", "random_masks_independent", "s_weight_taskbalance", "s_weight_fixed_sparsity"):
        fit(settings_for(VARIANTS[name], base), data, data.train, 0, store)

    assert searched == [("ctr", 0.02), ("cvr", 0.03)]


def test_a_ticket_read_back_is_the_one_that_was_found(make_data, base, tmp_path):
    data, settings = make_data(), settings_for(VARIANTS["s_neuron"], base)

    first, again = (find_or_load_ticket(settings, data, "cvr", 0, ModelStore(tmp_path)) for _ in range(2))

    assert "trunk.0.bias" in first
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("name", ["s_neuron", "s_weight_tuning", "pcgrad"])
def test_settings_survive_json(base, name):
    settings = settings_for(
        VARIANTS[name], replace(base, ticket_training={"cvr": TrainingConfig(task_weights=(("cvr", 2.0),))})
    )

    assert FitSettings.from_mapping(json.loads(json.dumps(settings.to_mapping()))) == settings


def test_an_unknown_row_has_no_settings():
    with pytest.raises(ConfigError, match="Unknown variant"):
        FitSettings(variant="s_wieght")


def test_judging_takes_all_impressions_for_ctr_and_known_clicks_for_cvr(make_data):
    samples = make_data(60).valid
    samples.labels["watch_ratio"][(samples.labels["is_click"] == 1).nonzero()[0]] = float("nan")
    scores = {"ctr": np.linspace(0, 1, 60), "cvr": np.linspace(1, 0, 60)}

    found = judge(samples, scores)

    click, watch = samples.labels["is_click"].numpy(), samples.labels["watch_ratio"].double().numpy()
    known = ~np.isnan(watch)
    assert found["ctr_auc"] == auc_score(click, scores["ctr"])
    assert found["cvr_mse"] == mse_loss(watch[known], scores["cvr"][known])


def test_esmms_label_is_click_times_watch_and_known_clicks_stand_for_the_unknown(make_samples):
    samples = make_samples(8)
    nan = float("nan")
    samples.labels["is_click"] = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0])
    samples.labels["watch_ratio"] = torch.tensor([0.5, nan, nan, 1.0, nan, nan, nan, nan])

    entire, weights = entire_space(samples)

    label = entire.labels["click_watch_ratio"]
    known = ~label.isnan()
    assert label[known].tolist() == [0.5, 1.0, 0, 0, 0, 0]
    assert weights[known].tolist() == [2.0, 2.0, 1, 1, 1, 1]
    # the weighted mean is what all labels would be expected to give: half the impressions, watched to 0.75
    assert float((label * weights)[known].sum() / weights[known].sum()) == 0.375


def test_calibration_is_reported_on_all_samples_and_on_clicks_hardly_watched(make_samples):
    samples = make_samples(4)
    nan = float("nan")
    samples.labels["is_click"] = torch.tensor([1.0, 1, 1, 0])
    samples.labels["watch_ratio"] = torch.tensor([0.0, 0.05, 0.75, nan], dtype=torch.float64)
    scores = {"ctr": np.array([0.5, 0.7, 0.9, 0.3]), "cvr": np.array([0.2, 0.15, 0.65, 0.9])}

    found = calibration(samples, scores)

    assert found == pytest.approx(
        {
            "ctr_pcoc": 2.4 / 3,
            "cvr_pcoc": 1.0 / 0.8,
            "ctr_mean_hardly": 0.6,
            "cvr_bias_hardly": (0.2 + 0.1) / 2,
            "cvr_mse_hardly": (0.04 + 0.01) / 2,
        }
    )
    assert set(calibration(samples, {"ctr": scores["ctr"]})) == {"ctr_pcoc", "ctr_mean_hardly"}


def test_a_ticket_chosen_in_another_way_is_the_one_a_search_of_its_own_would_have_found(
    make_data, base, tmp_path
):
    data, base = make_data(), replace(base, pruning=replace(base.pruning, n_pruning=3))
    rows = [settings_for(VARIANTS[name], base) for name in ("s_weight", "s_weight_fixed_sparsity")]
    shared = ModelStore(tmp_path / "shared")
    find_or_load_ticket(rows[0], data, "cvr", 0, shared)

    found, alone = (
        find_or_load_ticket(rows[1], data, "cvr", 0, store) for store in (shared, ModelStore(tmp_path / "a"))
    )

    assert all(torch.equal(found[name], alone[name]) for name in alone)
    assert found["trunk.0.weight"].sum() < 0.2 * found["trunk.0.weight"].numel()
