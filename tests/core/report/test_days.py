from datetime import date, timedelta

import pytest

from lt4rec_core.report import days
from lt4rec_core.report.blocks import Chart, Note, Table


def measured(day, model, value, task="ctr", metric="auc", after=True):
    return {
        "dt": date(2026, 1, day), "model": model, "task": task, "metric": metric, "value": value,
        "ci_low": None if value is None else value - 0.01, "ci_high": None if value is None else value + 0.01,
        "n": 100, "is_after_ticket_window": after,
    }  # fmt: skip


ROWS = [
    measured(5, "snet", 0.1, after=False),
    measured(6, "snet", 0.6),
    measured(7, "snet", 0.8),
    measured(6, "baseline", 0.5),
    measured(7, "baseline", 0.6),
    measured(6, "snet", 0.09, "cvr", "mse"),
    measured(6, "baseline", 0.10, "cvr", "mse"),
]


def test_means_leave_out_the_days_that_tickets_were_found_on():
    assert days.means(ROWS)["snet", "ctr", "auc"] == pytest.approx(0.7)


def test_the_head_tells_snet_against_the_baseline_an_auc_by_points_an_mse_in_percent():
    assert days.headline(ROWS) == [
        ("CTR AUC, sNET to baseline", "+0.15000"),
        ("CVR MSE, sNET to baseline", "−10.00\u202f%"),
    ]


def test_a_day_without_a_value_breaks_neither_charts_nor_tables(answers):
    section = days.metrics(answers(daily_metrics=[*ROWS, measured(8, "snet", None)]))

    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert tables[1].rows[-1]["ctr_auc_snet"] is None
    assert tables[1].rows[0]["day"] == "2026-01-05 *"


def test_with_ticket_days_only_there_is_no_mean_and_the_page_says_so(answers):
    section = days.metrics(answers(daily_metrics=ROWS[:1]))

    assert "no mean" in next(block for block in section.blocks if isinstance(block, Note)).text
    assert days.headline(ROWS[:1]) == []


def test_calibration_tells_snets_largest_distance_from_the_diagonal(answers):
    rows = [
        {"model": m, "task": "ctr", "decile": d, "predicted": p, "actual": a, "n": 10}
        for m, d, p, a in (("snet", 1, 0.1, 0.15), ("snet", 2, 0.5, 0.48), ("baseline", 1, 0.1, 0.9))
    ]

    (chart,) = days.calibration(answers(calibration=rows)).charts

    assert "0.0500" in chart.reading


def test_the_worst_slice_stands_first_below_the_whole_for_either_direction(answers):
    def part(name, value, metric):
        return {
            "task": "ctr" if metric == "auc" else "cvr", "metric": metric, "slice": name,
            "snet": value, "baseline": value, "n": 5,
        }  # fmt: skip

    rows = [part(name, value, metric) for metric in ("auc", "mse") for name, value in
            (("all", 0.5), ("low", 0.1), ("high", 0.9))]  # fmt: skip

    auc, mse = (c for c in days.slices(answers(slices=rows)).blocks if isinstance(c, Chart))

    assert [row["slice"] for row in auc.table.rows] == ["all", "low", "high"]
    assert [row["slice"] for row in mse.table.rows] == ["all", "high", "low"]


def test_of_a_long_range_the_table_has_the_newest_days_and_says_where_the_others_are(answers):
    first = date(2025, 1, 1)
    rows = [{**ROWS[1], "dt": first + timedelta(days=i)} for i in range(days.MOST + 8)]

    section = days.metrics(answers(daily_metrics=rows))

    table = [block for block in section.blocks if isinstance(block, Table)][1]
    assert (len(table.rows), table.rows[0]["day"]) == (days.MOST, "2025-01-09")
    assert "8 earlier days" in table.note
