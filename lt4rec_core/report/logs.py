"""What came in: the funnel, the paper's Table 1, and what the checks said."""

from collections.abc import Iterator, Sequence
from typing import Any

from lt4rec_core.report import charts
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Block, Chart, Column, Gap, Note, Section, Table, told

STEPS = ("delivered", "accepted", "clicked", "watched")
MOST = 40
"""Checks that did not hold are listed up to this many; the rest is counted."""


def funnel(lake: Lake) -> Section:
    """From delivered to watched, and Table 1."""
    return Section(
        "funnel",
        "From delivered to watched",
        "Every delivered row is accepted or rejected with a reason; an accepted one may be clicked, and a "
        "clicked one watched: played for at least the conversion threshold of its length.",
        [*_funnel(lake.ask("funnel")), *_table_one(lake.ask("table_one"))],
    )


def _funnel(days: list[dict[str, Any]] | Gap) -> Iterator[Block]:
    if isinstance(days, Gap):
        yield days
        return
    totals = {step: sum(day[step] for day in days) for step in STEPS}
    before, steps = totals["delivered"], []
    for step, strength in zip(STEPS, (0.35, 0.55, 0.78, 1.0), strict=True):
        text = told(totals[step], "count")
        if before and step != "delivered":
            text += f", {told(totals[step] / before, 'share')}"
        steps.append({"step": step, "n": totals[step], "told": text, "strength": strength})
        before = totals[step]
    columns = [Column("dt", "Day"), *(Column(step, step.capitalize(), "count") for step in STEPS)]
    yield Chart(
        "chart-funnel",
        f"{len(days)} days together",
        "Each share is of the step above it.",
        "; ".join(f"{s['step']} {s['told']}" for s in steps) + ".",
        charts.funnel(steps),
        Table("The funnel by day", columns, days),
    )


def _table_one(rows: list[dict[str, Any]] | Gap) -> Iterator[Block]:
    if isinstance(rows, Gap):
        yield rows
        return
    names = ("users", "videos", "impressions", "clicks", "conversions")
    columns = [Column(name, name.capitalize(), "count") for name in names]
    yield Table("Table 1: the data set of these days", columns, rows)


def quality(lake: Lake) -> Section:
    """Checks failed and waived, rows rejected by reason."""
    return Section(
        "quality",
        "Data quality",
        "The newest audit of each day counts. A critical check that fails keeps its day from being "
        "published; a waiver lets it through and stays on record.",
        [*_checks(lake), *_rejected(lake)],
    )


def _checks(lake: Lake) -> Iterator[Block]:
    by_asset = lake.ask("checks")
    if isinstance(by_asset, Gap):
        yield by_asset
        return
    columns = [
        Column("asset", "Audited"),
        Column("n_days", "Days", "count"),
        Column("n_checks", "Checks", "count"),
        Column("n_passed", "Passed", "count"),
        Column("n_warned", "Warnings", "count"),
        Column("n_waived", "Waived", "count"),
        Column("n_refused", "Not published", "count"),
    ]
    yield Table("Checks by what was audited", columns, by_asset)
    failed = lake.ask("failed_checks")
    if isinstance(failed, Gap):
        yield Note("Every check of these days held.") if failed.is_empty else failed
        return
    yield _failed(failed)


def _failed(rows: Sequence[dict[str, Any]]) -> Table:
    names = {"dt": "Day", "asset": "Audited", "check_name": "Check", "outcome": "Outcome", "message": "Found"}
    columns = [Column(key, title) for key, title in names.items()]
    if any(row["waiver"] for row in rows):
        columns.append(Column("waiver", "Waived because"))
    left = len(rows) - MOST
    return Table(
        f"Checks that did not hold: {len(rows)}",
        columns,
        rows[:MOST],
        note=f"{left} more stand in quality.latest_checks." if left > 0 else "",
    )


def _rejected(lake: Lake) -> Iterator[Block]:
    accounted = lake.ask("funnel")
    rows = lake.ask("rejected")
    if isinstance(accounted, Gap):
        return  # the funnel has said so
    if isinstance(rows, Gap):
        yield Note("No delivered row of these days was rejected.") if rows.is_empty else rows
        return
    columns = [
        Column("reject_reason", "Reason"),
        Column("n_rows", "Rows", "count"),
        Column("share", "Of delivered", "share"),
        Column("n_days", "Days", "count"),
        Column("first_day", "First"),
        Column("last_day", "Last"),
    ]
    yield Table("Rejected rows by reason", columns, rows)
