"""What the figures of a source mean: problems, with which it cannot be materialised, and notes."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from lt4rec_core.data.source_check.facts import Limits, SourceReport


def judge(report: SourceReport, limits: Limits, days: Sequence[date], labels: Sequence[str] = ()) -> None:
    """Add to the problems and notes of a report what its figures say.

    Args:
        report: its days, labels, rejections, references and features, as far as they were measured.
        limits: what is a problem, what is worth a note.
        days: the days wanted; of a source that reads files, the first alone, if one is wanted.
        labels: columns of the log that further tasks learn.
    """
    _judge_days(report, limits, days)
    _judge_labels(report, limits)
    empty = [column.name for column in report.columns if column.name in labels and not column.n_values]
    if empty:
        report.problems.append(
            f"LT4REC_TASKS asks for {', '.join(empty)}, and no row has a value: there is nothing to learn. "
            "Leave the task out, or see how the column is read."
        )
    _judge_rejected(report, limits)
    _judge_references(report, limits)
    for fact in report.features:
        if fact.fault:
            report.problems.append(fact.fault)
        elif fact.remark:
            report.notes.append(fact.remark)


def _judge_days(report: SourceReport, limits: Limits, days: Sequence[date]) -> None:
    there = [row["dt"] for row in report.days]
    one = timedelta(days=1)
    gaps = [f"{a + one} to {b - one}" for a, b in pairwise(there) if b - a > one]
    if gaps:
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        report.notes.append(
            f"days without a row: {', '.join(gaps[:5])}{more}. "
            "A day that is never published holds up those that read it."
        )
    if days and days[0] not in there and not report.is_partial:
        report.problems.append(
            f"LT4REC_START is {days[0]}, and the log has no row of it: it has {there[0]} to {there[-1]}. "
            "Set it to a day of the log."
        )
    median = sorted(row["n_rows"] for row in report.days)[len(there) // 2]
    quiet = [str(row["dt"]) for row in report.days if row["n_rows"] < limits.quiet_day_share * median]
    if quiet and not report.is_partial:
        report.notes.append(
            f"days with few rows, where the median day has {median:,}: {', '.join(quiet[:5])}. "
            "Is dt the day in the source's time zone, and are these days complete?"
        )


def _judge_labels(report: SourceReport, limits: Limits) -> None:
    n_known, n_clicks = report.total("n_is_click"), report.total("n_clicks")
    if n_known and n_clicks in (0, n_known):
        what = "no row is clicked" if n_clicks == 0 else "every row is clicked"
        report.problems.append(
            f"{what}, of {int(n_known):,} with a readable is_click: there is nothing to learn. "
            "A log also has what was shown and left alone; see how is_click is read."
        )
    if n_clicks and not report.total("n_ratios"):
        report.problems.append(
            f"none of {int(n_clicks):,} clicks has a watch ratio, that is a play_ms from 0 and a duration_ms "
            "above 0. See how the two are read."
        )
    elif n_clicks and report.total("n_above_one") > limits.noted_above_one_share * report.total("n_ratios"):
        share = report.total("n_above_one") / report.total("n_ratios")
        report.notes.append(
            f"{share:.1%} of the clicks played for longer than the video is. Are both in milliseconds?"
        )
    if report.median_duration_ms is not None and report.median_duration_ms < limits.min_duration_ms:
        report.notes.append(f"the median duration is {report.median_duration_ms:g} ms. Is it in seconds?")


def _judge_rejected(report: SourceReport, limits: Limits) -> None:
    n_rows = int(report.total("n_rows"))
    share = report.n_rejected / max(n_rows, 1)
    said = f"{share:.1%} of the rows would be rejected, {report.n_rejected:,} of {n_rows:,}"
    if share > limits.max_rejected_share:
        report.problems.append(f"{said}: that is the mapping, not the rows. The first of them are listed.")
    elif share > limits.noted_rejected_share:
        report.notes.append(f"{said}. The first of them are listed.")


def _judge_references(report: SourceReport, limits: Limits) -> None:
    for row in report.references:
        table = row["table_name"]
        if row["n_repeated"]:
            report.problems.append(
                f"{table} lists {row['n_repeated']:,} id(s) more than once. "
                "It must have one row for each, as known at the start of the day."
            )
        if row["n_listed"] and row["rows_unlisted"] > limits.max_unknown_share * row["n_rows"]:
            report.notes.append(
                f"{row['rows_unlisted'] / row['n_rows']:.1%} of the rows of {report.day} have an id that "
                f"{table} does not list. Are ids written alike, and is the table complete?"
            )
