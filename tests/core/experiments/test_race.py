from dataclasses import replace

import numpy as np
import pytest

from lt4rec_core.errors import MaskError, ModelStoreError, TrainingError
from lt4rec_core.experiments import fitting
from lt4rec_core.experiments import race as race_module
from lt4rec_core.experiments.fitting import calibration, fit, judge
from lt4rec_core.training.trainer import train as real_train


@pytest.fixture
def fits(monkeypatch):
    """The (row, seed) of every refit, in order."""
    seen = []

    def counted(settings, data, samples, seed, *rest):
        seen.append((settings.variant, seed))
        return fit(settings, data, samples, seed, *rest)

    monkeypatch.setattr(race_module, "fit", counted)
    return seen


def test_a_cell_is_the_frozen_row_refitted_and_scored_on_the_test_days(make_race):
    race = make_race()

    cell = race.run_cell("s_weight", 3)

    settings = race.records.frozen("s_weight").settings
    by_hand = fit(settings, race.data, race.data.refit, 3, race.tickets)
    test = race.data.load(race.data.split.test)
    scores = by_hand.predict(test)
    assert all(np.array_equal(cell.scores[task], scores[task]) for task in ("ctr", "cvr"))
    assert cell.metrics == judge(test, scores)
    assert cell.densities == by_hand.densities
    assert cell.calibration == calibration(test, scores)
    assert len(race.data.refit) == 5 * 120


def test_tuning_and_fitting_never_load_a_test_day(make_race):
    race = make_race()

    race.fit(race.tune("s_weight"), 0)

    assert set(race.data.asked) == {*race.data.split.train, *race.data.split.valid}


def test_scoring_refuses_settings_that_were_not_frozen(make_race):
    race = make_race()
    frozen = race.tune("base_cvr")
    other = replace(frozen.settings, epochs=frozen.settings.epochs + 1)
    meddled = race.fit(replace(frozen, settings=other), 0)

    with pytest.raises(TrainingError, match="settings that are not the frozen ones"):
        race.score(meddled, frozen.digest, 0)
    with pytest.raises(TrainingError, match="not the frozen"):
        race.score(race.fit(frozen, 0), "0" * 64, 0)
    assert not set(race.data.asked) & set(race.data.split.test)


def test_scoring_refuses_a_row_without_frozen_settings(make_race, base):
    race = make_race()
    fitted = fit(base, race.data, race.data.train, 0, race.tickets)

    with pytest.raises(ModelStoreError, match="frozen settings of 'base_ctr' is not there"):
        race.score(fitted, "0" * 64, 0)
    assert not set(race.data.asked) & set(race.data.split.test)


def test_an_interrupted_race_goes_on_without_repeating_finished_cells(make_race, fits, monkeypatch):
    race, calls = make_race(), []

    def dies(*arguments, **options):
        calls.append(1)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return real_train(*arguments, **options)

    monkeypatch.setattr(fitting, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        race.run(["base_ctr", "base_cvr"], [0, 1])
    assert fits == [("base_ctr", 0), ("base_ctr", 1), ("base_cvr", 0)]
    monkeypatch.setattr(fitting, "train", real_train)
    fits.clear()

    seen = []
    cells = make_race().run(["base_ctr", "base_cvr"], [0, 1], lambda cell, seconds: seen.append(cell.seed))

    assert fits == [("base_cvr", 0), ("base_cvr", 1)]
    assert [(c.variant, c.seed) for c in cells] == [
        ("base_ctr", 0),
        ("base_ctr", 1),
        ("base_cvr", 0),
        ("base_cvr", 1),
    ]
    assert seen == [0, 1, 0, 1]


def test_a_resumed_race_equals_one_that_never_stopped(make_race, tmp_path):
    stopped, whole = make_race(tmp_path / "a"), make_race(tmp_path / "b")
    stopped.run(["base_ctr"], [0])

    resumed = make_race(tmp_path / "a").run(["base_ctr", "s_weight"], [0, 1])
    at_once = whole.run(["s_weight", "base_ctr"], [1, 0])  # in another order, too

    def by_name(cells):
        return {(c.variant, c.seed): c for c in cells}

    for key, cell in by_name(resumed).items():
        other = by_name(at_once)[key]
        assert cell.metrics == other.metrics
        assert cell.frozen == other.frozen


def test_one_failed_cell_does_not_take_the_others_along(make_race, monkeypatch):
    race = make_race()

    def fails(settings, data, samples, seed, *rest):
        if seed == 1:
            raise MaskError("emptied a layer.")
        return fit(settings, data, samples, seed, *rest)

    monkeypatch.setattr(race_module, "fit", fails)

    with pytest.raises(TrainingError, match=r"1 of 3 cells failed: base_ctr/1\. .*emptied a layer"):
        race.run(["base_ctr"], [0, 1, 2])
    frozen = race.records.frozen("base_ctr")
    assert [race.records.has_cell(frozen, seed) for seed in (0, 1, 2)] == [True, False, True]


def test_tuning_is_done_once_per_budget(make_race, monkeypatch):
    make_race().tune("base_ctr")

    def again(*arguments):
        raise AssertionError("tuned again")

    monkeypatch.setattr(race_module, "tune", again)
    make_race().tune("base_ctr")
    with pytest.raises(AssertionError):
        make_race(n_trials=1).tune("base_ctr")


def test_races_of_other_data_or_label_shares_lie_apart(make_race, make_data, tmp_path):
    roots = {
        make_race(data=data).records.root
        for data in (make_data(), make_data(label_share=0.1), make_data(digest="other"))
    }

    assert len(roots) == 3
    assert all(root.parent == tmp_path / "experiments" for root in roots)


def test_settings_tuned_in_one_race_are_run_in_another_without_tuning(make_race, make_data, tmp_path):
    tuned_here = make_race(home=tmp_path / "here")
    other = make_race(home=tmp_path / "there", data=make_data(n=100))
    other.tuned_by = tuned_here.tune

    cell = other.run_cell("base_ctr", 0)

    assert other.records.frozen("base_ctr").settings == tuned_here.tune("base_ctr").settings
    assert other.records.frozen("base_ctr").tried == ()
    assert cell.race != tuned_here.records.race


def test_a_cell_is_finished_once_it_was_run(make_race):
    race = make_race()

    assert race.finished("base_ctr", 0) is None
    race.tune("base_ctr")
    assert race.finished("base_ctr", 0) is None
    cell = race.run_cell("base_ctr", 0)

    assert race.finished("base_ctr", 0).metrics == cell.metrics
    assert race.finished("base_ctr", 1) is None


def test_rows_of_two_tasks_start_from_the_single_tasks_frozen_settings(make_race):
    race = make_race(from_single_tasks=True, cvr_batch_size=(16,))

    ctr, both = race.tune("base_ctr").settings.training, race.tune("hard_sharing").settings.training

    assert both.learning_rate == ctr.learning_rate
    assert both.batch_size_of("cvr") == 16
