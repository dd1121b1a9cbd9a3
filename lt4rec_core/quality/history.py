"""The history of audits, ``quality.check_history``: the one place that says why a day is red.

The grain is one check in one audit, and an audit is never replaced. Appending is also what makes it safe:
commits that only add files never conflict, whoever else writes the same day.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place
from lt4rec_core.quality.suites import CheckResult

HISTORY = "quality.check_history"

MADE = "made"
"""The check of a day that failed before there was anything to audit: whether it could be made at all."""

OPEN_FAILURES = "_open_failures"
"""Folder in the table that names the days whose last attempt failed so; Delta passes over such names."""


def record_audit(
    lake: Lake,
    asset: str,
    day: date,
    results: Sequence[CheckResult],
    *,
    run_id: str,
    is_gate: bool = True,
    audited_at: datetime | None = None,
) -> None:
    """Append the results of one audit, in one commit.

    Args:
        lake: where the history lies.
        asset: what was audited, as in ``samples/impressions``.
        day: which partition.
        results: one per named check.
        run_id: the run that made the audit.
        is_gate: whether a critical failure kept the day from being published.
        audited_at: when, aware of its time zone; None: now.

    Raises:
        LakeError: the history cannot be written.
    """
    at = (audited_at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    rows = [
        {
            "dt": day,
            "asset": asset,
            "check_name": result.name,
            "severity": result.severity,
            "passed": result.passed,
            "is_blocking": is_gate and result.blocks,
            "message": result.message,
            "observed": json.dumps(dict(result.observed), ensure_ascii=False),
            "waiver": result.waiver or None,
            "run_id": run_id,
            "audited_at": at,
        }
        for result in results
    ]
    lake.append(HISTORY, day, pa.Table.from_pylist(rows, schema=lake.snapshot(HISTORY).schema))


def record_failure(lake: Lake, asset: str, day: date, error: BaseException, *, run_id: str) -> None:
    """Append that a day could not be made, and why: no log, an error in SQL, a parent that is not there.

    Raises:
        LakeError: the history cannot be written.
    """
    kind = type(error).__name__
    what = CheckResult(MADE, "critical", False, {"error": kind}, message=f"{kind}: {error}")
    record_audit(lake, asset, day, [what], run_id=run_id)
    mark = _mark(lake, asset, day)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def record_success(lake: Lake, asset: str, day: date, *, run_id: str, is_audited: bool) -> None:
    """Close the failure of a day that could be made after all; a day that never failed so costs nothing.

    Args:
        lake: where the history lies.
        asset: what was made.
        day: which partition.
        run_id: the run that made it.
        is_audited: whether an audit of the day is in the history now, which supersedes the failure by itself.

    Raises:
        LakeError: the history cannot be written.
    """
    mark = _mark(lake, asset, day)
    if not mark.is_file():
        return
    if not is_audited:
        what = CheckResult(MADE, "critical", True, {}, message="The day could be made again.")
        record_audit(lake, asset, day, [what], run_id=run_id)
    mark.unlink(missing_ok=True)


def _mark(lake: Lake, asset: str, day: date) -> Place:
    return lake.folder(HISTORY) / OPEN_FAILURES / f"{asset.replace('/', '.')}.{day}"
