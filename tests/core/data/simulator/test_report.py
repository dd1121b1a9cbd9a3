import sys
from datetime import date

import numpy as np
import pytest

from lt4rec_core.data.simulator import default_days, report
from lt4rec_core.data.simulator.report import Figure, as_table, auc, measure


@pytest.fixture(scope="module")
def measured():
    """The default platform over its own days: what docs/SOURCES.md states and the calibration promises."""
    return {figure.name: figure.value for figure in measure(*default_days(), {})}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("impressions", 400_000, 440_000),
        ("share of rows to reject", 0.003, 0.007),
        ("CTR", 0.40, 0.42),
        ("mean watch ratio of a click", 0.54, 0.56),
        ("share of watch ratios that are 1", 0.2, 0.4),
        ("share of watch ratios below 0.05", 0.1, 0.3),
        ("median duration in seconds", 66, 74),
        ("share of the top 1 % of videos", 0.16, 0.18),
        ("share of the top 10 % of videos", 0.58, 0.62),
        ("share of the top 10 % of users", 0.35, 0.6),
        ("impressions by users who joined that day", 0.005, 0.05),
        ("impressions of videos uploaded that day", 0.01, 0.1),
        ("CTR AUC of the oracle", 0.75, 0.80),
    ],
)
def test_the_default_platform_is_as_calibrated(measured, name, low, high):
    assert low <= measured[name] <= high


def test_the_watch_ratio_falls_with_duration(measured):
    assert (
        measured["watch ratio, shortest quarter of clicks"]
        > measured["watch ratio, longest quarter of clicks"] + 0.1
    )


def test_knowing_the_truth_beats_the_constant_clearly(measured):
    assert measured["CVR MSE of the oracle"] < 0.75 * measured["CVR MSE of the constant"]


def test_auc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    label, score = rng.random(60) < 0.4, rng.random(60)
    right = (score[label][:, None] > score[~label][None, :]).mean()

    assert auc(label, score) == pytest.approx(right)


def test_the_table_has_a_line_for_each_figure():
    table = as_table([Figure("rows", 1234, "many"), Figure("share", 0.25, "some")])

    assert table.splitlines()[2:] == ["| rows | 1,234 | many |", "| share | 0.2500 | some |"]


def test_the_command_prints_the_table_of_the_days_asked_for(monkeypatch, capsys):
    asked = [
        "report",
        "--from",
        "2026-01-05",
        "--to",
        "2026-01-06",
        "--settings",
        '{"impressions_per_day": 1000}',
    ]
    monkeypatch.setattr(sys, "argv", asked)

    report.main()

    wanted = measure(date(2026, 1, 5), date(2026, 1, 6), {"impressions_per_day": 1000})
    assert f"| impressions | {wanted[0].value:,} |" in capsys.readouterr().out
