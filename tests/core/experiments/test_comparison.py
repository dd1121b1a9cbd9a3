import math
from dataclasses import replace

import numpy as np
import pytest

from lt4rec_core.errors import TrainingError
from lt4rec_core.evaluation.paired import holm, paired_difference
from lt4rec_core.experiments.comparison import as_table, compare
from lt4rec_core.experiments.records import Cell


def cell(variant, seed, race="r", scores=None, **metrics):
    return Cell(variant, seed, race, "f", metrics, {}, scores or {})


def rows(rng, **shifts):
    """Five seeds of each row: what all owe to the seed, the row's own noise, and its shift."""
    shared = rng.normal(scale=0.01, size=5)
    return [
        cell(
            name,
            seed,
            ctr_auc=0.7 + shared[seed] + rng.normal(scale=0.002) + shift,
            cvr_mse=0.1 + shared[seed] + rng.normal(scale=0.002) + shift,
        )
        for name, shift in {"base_ctr": 0.0, "base_cvr": 0.0, **shifts}.items()
        for seed in range(5)
    ]


def test_rows_are_compared_pair_by_pair_and_adjusted_together():
    cells = rows(np.random.default_rng(0), s_weight=0.05, pcgrad=0.0)

    found = {(c.variant, c.metric): c for c in compare(cells)}

    mine, base = (
        [c.metrics["cvr_mse"] for c in cells if c.variant == name] for name in ("s_weight", "base_cvr")
    )
    expected = paired_difference(mine, base)
    row = found["s_weight", "cvr_mse"]
    assert (row.difference, row.ci_low, row.p_value) == (expected.mean, expected.low, expected.p_value)
    assert row.relative == pytest.approx(expected.mean / np.mean(base))
    assert [c.p_holm for c in found.values()] == holm([c.p_value for c in found.values()])
    assert row.is_significant
    assert not found["pcgrad", "cvr_mse"].is_significant


def test_two_sets_of_seeds_of_one_model_hardly_ever_differ_anywhere_in_the_table():
    rng = np.random.default_rng(1)
    alarms = [any(c.is_significant for c in compare(rows(rng, a=0, b=0, c=0))) for _ in range(400)]
    assert np.mean(alarms) < 0.094  # 0.05 promised, and four standard errors


def test_rows_of_one_task_are_compared_where_they_have_a_metric():
    cells = [cell("base_ctr", s, ctr_auc=0.7) for s in (0, 1)]
    cells += [cell("base_cvr", s, cvr_mse=0.1) for s in (0, 1)]
    cells += [cell("boosting_cvr", s, cvr_mse=0.09 + 0.001 * s) for s in (0, 1)]

    assert [(c.variant, c.metric, c.reference) for c in compare(cells)] == [
        ("boosting_cvr", "cvr_mse", "base_cvr")
    ]


def test_the_gap_closed_is_a_share_of_what_could_be_gained():
    cells = [cell("base_cvr", s, cvr_mse=0.10) for s in (0, 1)] + [cell("x", s, cvr_mse=0.09) for s in (0, 1)]

    (row,) = compare(cells, references={"cvr_mse": "base_cvr"}, best={"cvr_mse": 0.06})

    assert row.gap_closed == pytest.approx(0.25)
    assert math.isnan(compare(cells, references={"cvr_mse": "base_cvr"})[0].gap_closed)


def test_data_sets_are_pairs_like_seeds():
    cells = [cell(v, 0, race, cvr_mse=m) for race in "ab" for v, m in (("base_cvr", 0.1), ("x", 0.08))]

    assert compare(cells, references={"cvr_mse": "base_cvr"})[0].n_seeds == 2


def test_several_data_sets_have_no_users_in_common(make_samples):
    cells = [cell(v, 0, race, cvr_mse=0.1) for race in "ab" for v in ("base_cvr", "x")]

    with pytest.raises(TrainingError, match="no users in common"):
        compare(cells, references={"cvr_mse": "base_cvr"}, test=make_samples(5))


def test_unpaired_seeds_and_a_missing_reference_are_refused():
    cells = [cell("base_cvr", s, cvr_mse=0.1) for s in (0, 1)] + [cell("x", 0, cvr_mse=0.1)]

    with pytest.raises(TrainingError, match="Finish the missing cells"):
        compare(cells, references={"cvr_mse": "base_cvr"})
    with pytest.raises(TrainingError, match="of which no cell is finished"):
        compare(cells, references={"cvr_mse": "hard_sharing"})


def test_the_user_bootstrap_stands_beside_the_seeds(make_race):
    race = make_race()
    cells = race.run(["base_ctr", "base_cvr", "full_sharing"], [0, 1])
    test = race.data.load(race.data.split.test)

    for row in compare(cells, test=test, n_replicates=100):
        assert row.user_low < row.difference < row.user_high
    with pytest.raises(TrainingError, match="needs user_id"):
        compare(cells, test=replace(test, kept=None))


def test_the_table_marks_what_is_significant():
    table = as_table(compare(rows(np.random.default_rng(0), s_weight=0.05)))

    marked = [line.split(" | ")[0] for line in table.splitlines() if " * |" in line]
    assert marked == ["| s_weight", "| s_weight"]


def test_a_table_without_users_drawn_has_no_column_for_them():
    table = as_table(compare(rows(np.random.default_rng(0), s_weight=0.05)))

    assert "95 % over seeds" in table
    assert "users" not in table
    assert "nan" not in table
    assert len({line.count("|") for line in table.splitlines()}) == 1
