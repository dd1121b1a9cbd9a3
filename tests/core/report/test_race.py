from datetime import date

import pytest

from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.report import race
from lt4rec_core.report.blocks import Table


def row(name, mse=None, difference=None, low=None, high=None, verdict=None):
    return {
        "dt": date(2026, 1, 18), "variant": name, "variant_group": "paper", "n_seeds": 5,
        "ctr_auc": None, "ctr_auc_difference": None, "ctr_auc_ci_low": None, "ctr_auc_ci_high": None,
        "ctr_verdict": None, "cvr_mse": mse, "cvr_mse_difference": difference, "cvr_mse_ci_low": low,
        "cvr_mse_ci_high": high, "cvr_verdict": verdict, "density_ctr": None, "density_cvr": 0.2,
    }  # fmt: skip


ROWS = [
    row("s_weight", 0.09, -0.01, -0.015, -0.005, "better"),
    row("hard_sharing", 0.11, 0.01, 0.005, 0.015, "level"),
    row("s_neuron", 0.1, 0.0, -0.01, 0.01, "level"),
    row("base_cvr", 0.1, verdict="reference"),
]


def test_an_mse_is_told_relative_to_the_reference_and_judged_by_its_interval(answers):
    (chart,) = race.offline(answers(table_two=ROWS)).charts

    dots = {dot["name"]: dot for dot in chart.spec["data"]["values"]}
    assert dots["s_weight"]["value"] == pytest.approx(-0.1)
    assert [dots[name]["better"] for name in ("s_weight", "hard_sharing", "s_neuron")] == [True, False, None]
    assert "base_cvr" not in dots


def test_rows_stand_in_the_papers_order_and_what_is_told_apart_is_bold(answers):
    table = next(b for b in race.offline(answers(table_two=ROWS)).blocks if isinstance(b, Table))

    assert [line["variant"] for line in table.rows] == ["base_cvr", "hard_sharing", "s_weight", "s_neuron"]
    assert [line["is_sure"] for line in table.rows] == [False, False, True, False]


def test_rows_that_are_not_complete_are_named(answers):
    gaps = race.offline(answers(table_two=ROWS)).gaps

    (incomplete,) = [gap for gap in gaps if gap.asset == "experiments/variant_run"]
    assert all(name in incomplete.why for name in set(VARIANTS) - {each["variant"] for each in ROWS})
    assert "hard_sharing," not in incomplete.why
