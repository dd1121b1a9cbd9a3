"""From what checks and expectations found to one result per named check, ready to be written as JSON."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lt4rec_core.quality.suites import CheckResult, CheckSpec

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

MAX_SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Findings:
    """What the SQL of one check found."""

    fault: str
    """What an offending row is, in a sentence."""

    n_faults: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Some offenders, or everything measured."""

    has_measures: bool = False
    """Whether ``rows`` are measures, of which some may be at fault."""

    note: str = ""
    """What to know about a pass."""

    error: str = ""
    """Why the statement could not run."""


def collect(
    checks: Iterable[CheckSpec],
    validation: "ExpectationSuiteValidationResult",
    findings: Mapping[str, Findings],
) -> tuple[CheckResult, ...]:
    """One result per check: it passes when all its expectations do, and fails critically when one raised."""
    by_check: dict[str, list[Any]] = {check.name: [] for check in checks}
    for result in validation.results:  # not in the suite's order
        by_check[result.expectation_config.meta["check"]].append(result)
    return tuple(
        _result(check, by_check[check.name], findings.get(check.name, Findings(check.description)))
        for check in checks
    )


def judge(check: CheckSpec, found: Findings) -> CheckResult:
    """The result of a check whose SQL says it all: it passes when nothing is at fault."""
    return _told(check, found, [], {}, holds=not found.n_faults)


def _result(check: CheckSpec, results: list[Any], found: Findings) -> CheckResult:
    raised = next((text for text in map(_exception, results) if text), "")
    if raised and not found.error:
        found = replace(found, error=raised)
    # Results may hold numpy booleans, which JSON refuses.
    failed = [result for result in results if not bool(result.success)]
    observed: dict[str, Any] = {}
    for result in results:
        observed |= _observed(result)
    return _told(check, found, failed, observed, holds=bool(results) and not failed)


def _told(
    check: CheckSpec, found: Findings, failed: list[Any], observed: dict[str, Any], *, holds: bool
) -> CheckResult:
    if found.has_measures:
        observed |= {str(row["measure"]): _measured(row) for row in found.rows}
    else:
        observed |= {"offending rows": found.n_faults} if check.has_sql or found.n_faults else {}

    rows = [row for row in found.rows if row.get("is_fault", True)] if not found.error else []
    sample = [{k: plain(v) for k, v in row.items() if k != "is_fault"} for row in rows[:MAX_SAMPLE_ROWS]]
    if found.error:
        message = f"The check could not run: {found.error}"
    elif not holds:
        message = _complaint(failed, found) or f"Nothing was checked: {check.description}"
    else:
        message = f"Passed; {found.note}." if found.note else "Passed."
    severity = "critical" if found.error else check.severity
    return CheckResult(
        check.name, severity, holds and not found.error, observed, message, sample or _values(failed)
    )


def _complaint(failed: list[Any], found: Findings) -> str:
    parts = []
    if found.has_measures and found.n_faults:
        for row in found.rows:
            if row["is_fault"]:
                parts.append(f"{row['measure']}: " + ", ".join(f"{k} {v}" for k, v in _measured(row).items()))
    elif found.n_faults:
        parts.append(f"{found.n_faults} found: {found.fault}")
    for result in failed:
        if not result.expectation_config.meta.get("offenders"):
            parts += [f"{name} is {value}" for name, value in _observed(result).items()]
    return "; ".join(part.rstrip(".") for part in parts) + "." if parts else ""


def _exception(result: Any) -> str:
    """Why an expectation raised, in a line; empty when it did not."""
    info = result.exception_info or {}
    if "raised_exception" in info:
        info = {"": info}
    for one in info.values():
        if isinstance(one, Mapping) and one.get("raised_exception"):
            lines = str(one.get("exception_message") or "an expectation raised").splitlines()
            return next((line for line in lines if line.strip()), "an expectation raised")
    return ""


def _observed(result: Any) -> dict[str, Any]:
    """What an expectation of Great Expectations' own saw, under a name for people."""
    config = result.expectation_config
    if config.meta.get("offenders"):
        return {}
    seen = result.result or {}
    if config.type == "expect_table_row_count_to_be_between":
        return {"rows": plain(seen.get("observed_value"))}
    if config.type == "expect_table_columns_to_match_ordered_list":
        if bool(result.success):
            return {"columns": len(config.kwargs["column_list"])}
        return {"columns": plain(seen.get("observed_value"))}
    what = "missing" if config.type == "expect_column_values_to_not_be_null" else "out of range"
    return {f"{config.kwargs['column']} {what}": plain(seen.get("unexpected_count"))}


def _values(failed: list[Any]) -> list[dict[str, Any]]:
    """Offending values, when no statement found offending rows."""
    for result in failed:
        values = (result.result or {}).get("partial_unexpected_list") or []
        column = result.expectation_config.kwargs.get("column")
        if column and values:
            return [{column: plain(value)} for value in values[:MAX_SAMPLE_ROWS]]
    return []


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    hidden = ("dt", "measure", "is_fault")
    return {name: plain(value) for name, value in row.items() if name not in hidden}


def plain(value: Any) -> Any:
    """A value as JSON has it: dates as text, NaN and infinities too, numpy's numbers as Python's."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, Decimal):
        value = float(value)
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
