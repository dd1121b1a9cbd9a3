from datetime import date, timedelta

import pytest

from lt4rec_core.data.source_check.facts import ColumnFacts, FeatureFacts, Limits, SourceReport
from lt4rec_core.data.source_check.verdict import judge

FIRST = date(2026, 3, 2)
DAY = {
    "n_rows": 100,
    "n_is_click": 100,
    "n_clicks": 40,
    "n_ratios": 40,
    "n_above_one": 2,
    "watch_ratio_sum": 20.0,
}


def judged(*days, wanted=(), labels=(), **facts):
    """Problems and notes of a report; each day says what differs from DAY."""
    given = [{"dt": FIRST + timedelta(days=i), **DAY, **day} for i, day in enumerate(days or ({}, {}))]
    report = SourceReport(source=None, days=given, day=FIRST, **facts)
    judge(report, Limits(), list(wanted), labels)
    return report


def test_ordinary_figures_are_neither_problem_nor_note():
    report = judged(median_duration_ms=30_000, rejected={"duplicate": 9})

    assert (report.problems, report.notes) == ([], [])


@pytest.mark.parametrize(
    ("day", "says"),
    [
        ({"n_clicks": 0, "n_ratios": 0}, "no row is clicked, of 100"),
        ({"n_clicks": 100}, "every row is clicked"),
        ({"n_ratios": 0}, "none of 40 clicks has a watch ratio"),
    ],
)
def test_labels_from_which_nothing_can_be_learned_are_problems(day, says):
    (problem,) = judged(day).problems

    assert problem.startswith(says)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"median_duration_ms": 34.0}, "the median duration is 34 ms. Is it in seconds?"),
        ({"rejected": {"wrong_day": 20}}, "10.0% of the rows would be rejected, 20 of 200"),
    ],
)
def test_odd_figures_are_notes(facts, says):
    report = judged(**facts)

    assert report.problems == []
    assert report.notes[0].startswith(says)


def test_plays_longer_than_the_video_are_a_note_where_they_are_most():
    assert judged({"n_above_one": 20}).notes == []
    assert judged({"n_above_one": 21}).notes[0].startswith("52.5% of the clicks played for longer")


def test_when_most_rows_would_be_rejected_it_is_the_mapping():
    assert judged(rejected={"unreadable": 100}).problems == []
    (problem,) = judged(rejected={"unreadable": 101}).problems
    assert "that is the mapping, not the rows" in problem


def test_gaps_and_quiet_days_are_notes():
    report = judged(
        {}, {}, {"dt": FIRST + timedelta(days=5), "n_rows": 9, "n_is_click": 9, "n_clicks": 4, "n_ratios": 4}
    )

    assert report.notes[0].startswith("days without a row: 2026-03-04 to 2026-03-06.")
    assert report.notes[1].startswith("days with few rows, where the median day has 100: 2026-03-07")


def test_a_first_day_that_the_log_lacks_is_a_problem():
    assert judged(wanted=[FIRST]).problems == []
    (problem,) = judged(wanted=[date(2026, 1, 1)]).problems
    assert problem.startswith(
        "LT4REC_START is 2026-01-01, and the log has no row of it: it has 2026-03-02 to 2026-03-03"
    )


def test_unknown_ids_are_a_note_and_repeated_ones_a_problem():
    row = {"table_name": "source.users", "n_repeated": 0, "n_listed": 5, "rows_unlisted": 26, "n_rows": 100}

    assert judged(references=[{**row, "rows_unlisted": 25}]).notes == []
    assert judged(references=[{**row, "n_listed": 0}]).notes == [], "a source may list nobody"
    assert (
        judged(references=[row])
        .notes[0]
        .startswith("26.0% of the rows of 2026-03-02 have an id that source.users")
    )
    assert (
        judged(references=[{**row, "n_repeated": 2}])
        .problems[0]
        .startswith("source.users lists 2 id(s) more")
    )


def test_what_is_said_of_features_is_passed_on():
    report = judged(features=[FeatureFacts(None, "x", fault="cannot"), FeatureFacts(None, "y", remark="odd")])

    assert (report.problems, report.notes) == (["cannot"], ["odd"])


def test_a_task_whose_label_has_no_value_is_a_problem():
    columns = [
        ColumnFacts("is_like", "boolean", False, 0, 0),
        ColumnFacts("is_follow", "boolean", False, 9, 2),
    ]

    assert judged(columns=columns).problems == []
    (problem,) = judged(columns=columns, labels=("is_like", "is_follow", "watch_ratio")).problems
    assert problem.startswith("LT4REC_TASKS asks for is_like, and no row has a value")
