"""Waivers: a named check may fail on one day, because somebody looked and says why.

A waived check that fails stays failed wherever it is shown; it only no longer blocks the day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lt4rec_core.errors import QualityError
from lt4rec_core.quality.suites import CHECKS, CheckResult


@dataclass(frozen=True)
class Waiver:
    """Somebody's word that a check may fail."""

    check: str
    """Name of a check of the gated table."""

    reason: str
    """Why, for whoever looks at the day later."""


def check_waivers(table: str, waivers: Iterable[Waiver]) -> dict[str, str]:
    """Check waivers before anything runs, so that a slip of the pen does not cost a day's work.

    Returns:
        Check name -> reason.

    Raises:
        QualityError: the table has no such check, a reason is missing, or a check is waived twice.
    """
    known = [check.name for check in CHECKS.get(table, ())]
    reasons: dict[str, str] = {}
    for waiver in waivers:
        reason = waiver.reason.strip()
        if waiver.check not in known:
            raise QualityError(
                f"a waiver names the check {waiver.check!r}, which {table} does not have. "
                f"Its checks are {', '.join(known) or 'none: it has no gate'}."
            )
        if not reason:
            raise QualityError(
                f"the waiver of {waiver.check!r} of {table} gives no reason. "
                "Say what was found and who decided; it stands beside the day ever after."
            )
        if waiver.check in reasons:
            raise QualityError(
                f"the check {waiver.check!r} of {table} is waived twice: {reasons[waiver.check]!r} "
                f"and {reason!r}. Give one reason."
            )
        reasons[waiver.check] = reason
    return reasons


def apply_waivers(results: Iterable[CheckResult], reasons: Mapping[str, str]) -> tuple[CheckResult, ...]:
    """Note the reason on each check that failed and is waived; one that passed needs no waiver."""
    return tuple(
        replace(result, waiver=reasons[result.name])
        if result.name in reasons and not result.passed
        else result
        for result in results
    )
