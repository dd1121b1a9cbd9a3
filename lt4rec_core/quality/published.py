"""Checks of tables without a gate: they look at a day that is already published, and block nothing.

Each is a file ``sql/checks/<table>_<check>.sql``, as with gated tables, run by DuckDB alone.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sources import Source
from lt4rec_core.errors import QualityError
from lt4rec_core.quality.results import judge
from lt4rec_core.quality.statements import Statements
from lt4rec_core.quality.suites import DEFAULTS, CheckResult, CheckSpec

PUBLISHED_CHECKS: dict[str, tuple[CheckSpec, ...]] = {
    "samples.clicks": (CheckSpec("references", "critical", "Clicks are exactly the clicked impressions."),),
    "samples.conversions": (
        CheckSpec(
            "labels", "critical", "Watch ratios are finite and in [0, 1], conversions at the threshold."
        ),
        CheckSpec("references", "critical", "Conversions are exactly the clicks, each with its play times."),
    ),
    "evaluation.daily_metrics": (
        CheckSpec("ranges", "critical", "AUCs lie in [0, 1], errors are not negative, intervals in order."),
        CheckSpec("constant", "warning", "The models' MSE lies below that of a constant."),
    ),
    "evaluation.calibration": (
        CheckSpec("shape", "critical", "Ten parts at most, alike in size, with means in [0, 1] that rise."),
        CheckSpec("gap", "warning", "Predictions are, part by part, near what happened."),
    ),
}
"""The tables and their checks, in the order they are reported."""


def check_published(
    lake: Lake, source: Source, table: str, day: date, *, params: Mapping[str, Any]
) -> tuple[CheckResult, ...]:
    """Check a published day of a table.

    Args:
        lake: where the table and what it is compared with lie.
        source: whose catalogue and SQL files are meant.
        table: ``group.name``.
        day: which partition.
        params: values for the checks' parameters; thresholds not named here are ``suites.DEFAULTS``.

    Returns:
        One result per named check. A check that cannot run has failed, critically.

    Raises:
        QualityError: the table has no such checks.
    """
    if table not in PUBLISHED_CHECKS:
        raise QualityError(
            f"{table} has no checks of its published days; those that have: {', '.join(PUBLISHED_CHECKS)}. "
            "Add some to lt4rec_core/quality/published.py."
        )
    settings = {**DEFAULTS, **params, "dt": day}
    with lake.scratch() as con:
        con.execute("create schema checks")
        statements = Statements(con, lake, source, table, day, settings)
        return tuple(judge(check, statements.run(check)) for check in PUBLISHED_CHECKS[table])
