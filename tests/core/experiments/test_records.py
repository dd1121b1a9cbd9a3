import json
from dataclasses import replace

import numpy as np
import pytest

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.experiments.records import Records, race_digest
from lt4rec_core.experiments.tuning import Checkpoint, Tuned, TuningConfig

BUDGET = TuningConfig()


@pytest.fixture
def records(tmp_path, make_data):
    return Records(tmp_path, race_digest(make_data()))


def tuned(settings, auc=0.7):
    chosen = Checkpoint(0, 1, {"ctr_auc": auc})
    return Tuned(settings, chosen, (chosen,))


def test_frozen_settings_come_back_as_they_were(records, base):
    frozen = records.freeze(tuned(base), base, BUDGET)

    assert frozen.settings == base
    assert frozen.valid_metrics == {"ctr_auc": 0.7}
    assert records.frozen("base_ctr") == frozen
    assert records.is_frozen("base_ctr", base, BUDGET)


def test_another_budget_is_another_tuning(records, base):
    records.freeze(tuned(base), base, BUDGET)

    assert not records.is_frozen("base_ctr", base, TuningConfig(n_trials=9))
    assert not records.is_frozen("base_cvr", base, BUDGET)


def test_a_row_that_was_never_tuned_has_no_frozen_settings(records):
    with pytest.raises(ModelStoreError, match="frozen settings of 's_weight' is not there"):
        records.frozen("s_weight")


def test_settings_changed_on_disk_are_not_frozen(records, base, tmp_path):
    records.freeze(tuned(base), base, BUDGET)
    path = tmp_path / "frozen" / "base_ctr" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["identity"]["settings"]["epochs"] = 7
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelStoreError, match="not what its manifest says"):
        records.frozen("base_ctr")


def test_settings_of_another_race_are_refused(records, base, tmp_path, make_data):
    records.freeze(tuned(base), base, BUDGET)

    other = Records(tmp_path, race_digest(make_data(label_share=0.1)))

    with pytest.raises(ModelStoreError, match="another label share"):
        other.frozen("base_ctr")


def test_once_scored_a_rows_settings_cannot_be_chosen_again(records, base):
    frozen = records.freeze(tuned(base), base, BUDGET)
    records.freeze(tuned(base), base, BUDGET)  # the same again is no other choice
    records.save_cell(frozen, 0, {"ctr": np.array([0.5])}, {"ctr_auc": 0.5}, {})

    with pytest.raises(ModelStoreError, match="after a look at the test days"):
        records.freeze(tuned(replace(base, epochs=2)), base, BUDGET)


def test_a_cell_is_there_once_it_is_saved_and_comes_back_bit_for_bit(records, base):
    frozen = records.freeze(tuned(base), base, BUDGET)
    scores = {"ctr": np.random.default_rng(0).random(10)}
    assert not records.has_cell(frozen, 3)

    records.save_cell(frozen, 3, scores, {"ctr_auc": 0.75}, {"densities": {"ctr": 0.2}})

    cell = records.cell(frozen, 3)
    assert records.has_cell(frozen, 3)
    assert not records.has_cell(frozen, 4)
    assert (cell.scores["ctr"] == scores["ctr"]).all()
    assert (cell.variant, cell.seed, cell.metrics, cell.densities) == (
        "base_ctr",
        3,
        {"ctr_auc": 0.75},
        {"ctr": 0.2},
    )


def test_settings_are_taken_over_from_another_race_and_say_so(records, base, tmp_path, make_data):
    elsewhere = Records(tmp_path / "elsewhere", race_digest(make_data(label_share=0.1)))
    frozen = elsewhere.freeze(tuned(base), base, BUDGET)

    adopted = records.adopt(frozen, base, BUDGET)

    assert adopted.settings == frozen.settings
    assert adopted.valid_metrics == frozen.valid_metrics
    assert adopted.tried == ()
    assert adopted.digest != frozen.digest
    assert records.is_frozen("base_ctr", base, BUDGET)


def test_what_was_tried_stands_beside_what_was_chosen(records, base):
    assert records.freeze(tuned(base), base, BUDGET).tried == (Checkpoint(0, 1, {"ctr_auc": 0.7}),)


def test_a_race_is_found_by_its_share_of_labels(tmp_path, make_data):
    for share, draw in ((1.0, 0), (0.1, 0), (0.1, 1)):
        data = make_data(label_share=share, label_seed=draw)
        name = race_digest(data)
        Records(tmp_path / "experiments" / name[:16], name).describe(data)

    found = Records.find(tmp_path, 0.1)

    assert found.race == race_digest(make_data(label_share=0.1))


def test_where_there_is_no_such_race_nothing_is_taken_over(tmp_path):
    with pytest.raises(ModelStoreError, match=r"share of 0.3, of which there are 0. Run that race"):
        Records.find(tmp_path, 0.3)
