"""The history of audits, ``quality.check_history``: the one place that says why a day is red.

The grain is one check in one audit, and an audit is never replaced. Appending is also what makes it safe:
commits that only add files never conflict, whoever else writes the same day.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.quality.suites import CheckResult

HISTORY = "quality.check_history"


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
