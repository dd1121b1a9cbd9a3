"""Write, audit, publish: a partition that fails its critical checks is never seen by anyone.

Dagster's blocking checks stop nothing in another run of a backfill, so the gate stands inside the
asset: what is downstream finds either a published partition or none.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from lt4rec_assets.metadata import describe_published, markdown_table
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource
from lt4rec_core.data.lake import Lake, Published
from lt4rec_core.data.places import Place
from lt4rec_core.data.staging import Staged
from lt4rec_core.errors import (
    LakeConflictError,
    LakeError,
    Lt4recError,
    QualityError,
    SourceChangedError,
)
from lt4rec_core.quality.history import record_audit, record_failure, record_success
from lt4rec_core.quality.profiles import keep_profiles
from lt4rec_core.quality.published import PUBLISHED_CHECKS, check_published
from lt4rec_core.quality.suites import CHECKS, CheckResult
from lt4rec_core.quality.waivers import Waiver, check_waivers

TRANSIENT = {
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE,
}  # fmt: skip
"""What an operating system says when it may answer otherwise in a moment."""

MAX_RETRIES, RETRY_AFTER_S = 2, 20
"""How often a step is tried again after such an error, and how long it waits."""

GateEvents = Iterator[dg.AssetCheckResult | dg.MaterializeResult]


class WaiverConfig(dg.Config):
    """One check that may fail on one day."""

    day: str = Field(
        description="The day it is for, as 2022-04-25. In a run of another day it does nothing, so that "
        "a configuration that is used again waives nothing by accident."
    )
    check: str = Field(description="Name of the check, as listed with the asset.")
    reason: str = Field(description="What was found and who decided; it stands beside the day ever after.")


class GateConfig(dg.Config):
    """What an engineer may say about a day that its gate refuses."""

    waivers: list[WaiverConfig] = Field(
        default=[],
        description="Checks that may fail, each for one day and with a reason. A waived check that fails is "
        "shown as failed, as a warning with its reason, and the day is published all the same.",
    )

    def for_day(self, table: str, day: date) -> dict[str, str]:
        """Check name -> reason, of the waivers of one day.

        Raises:
            QualityError: an unknown check, a missing reason or a day that is none, whatever day it is for.
        """
        for waiver in self.waivers:
            _require_day(table, waiver)
        every = {d: [w for w in self.waivers if w.day == d] for d in {w.day for w in self.waivers}}
        by_day = {d: check_waivers(table, [Waiver(w.check, w.reason) for w in ws]) for d, ws in every.items()}
        return by_day.get(day.isoformat(), {})


def _require_day(table: str, waiver: WaiverConfig) -> None:
    try:
        is_day = date.fromisoformat(waiver.day).isoformat() == waiver.day
    except ValueError:
        is_day = False
    if not is_day:
        raise QualityError(
            f"the waiver of {waiver.check!r} of {table} is for {waiver.day!r}, which is not a day. "
            "Write it as 2022-04-25."
        )


def check_specs(table: str, key: dg.AssetKey, days: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """Declare the named checks of a table, so that the UI lists them before the first run."""
    gated = table in CHECKS
    return [
        dg.AssetCheckSpec(
            name=check.name,
            asset=key,
            description=check.description,
            blocking=gated and check.severity == "critical",
            partitions_def=days,
        )
        for check in (CHECKS if gated else PUBLISHED_CHECKS).get(table, ())
    ]


def publish_gated(
    project: Project,
    lake: Lake,
    staged: Staged,
    metadata: Mapping[str, Any],
    waivers: Mapping[str, str],
    run_id: str,
) -> GateEvents:
    """Audit a staged partition; publish it and report, or publish nothing and fail.

    Args:
        project: settings and source, for thresholds and references.
        lake: where the partition goes.
        staged: the partition, written but not yet visible.
        metadata: shown with the materialisation, beside counts and versions.
        waivers: check name -> reason, of the checks that may fail on this day.
        run_id: for the history of audits, which is written before the day is published.

    Raises:
        dagster.Failure: a critical check failed; it names the checks and the rendered page.
        LakeError: a good day cannot be written down or published.
    """
    from lt4rec_core.quality.audit import audit

    asset = staged.table.replace(".", "/")
    try:
        report = audit(
            lake,
            project.source,
            project.tables[staged.table],
            staged,
            params=project.sql_params(staged.day),
            report_dir=lake.home / "reports",
            waivers=waivers,
        )
        results = [_as_dagster(result, report.page) for result in report.results]
        if not report.passed:
            yield from results
            # What the checks found is the news, even where it cannot be written down.
            with suppress(LakeError):
                record_audit(lake, asset, staged.day, report.results, run_id=run_id)
            raise _refusal(staged, report.results, str(report.page))
        record_audit(lake, asset, staged.day, report.results, run_id=run_id)
        published = lake.publish(staged)
        with suppress(LakeError):  # they save later days time, and nothing stands on them
            keep_profiles(lake, report.profiles)
    finally:
        lake.discard(staged)  # whatever came of it, nothing unpublished stays behind
    yield dg.MaterializeResult(
        metadata={
            **metadata,
            **describe_published(project, published, staged.inputs),
            "data_quality_page": dg.MetadataValue.path(str(report.page)),
            **_waived(report.results),
        },
        check_results=results,
        data_version=dg.DataVersion(published.digest),
    )


def check_day(project: Project, lake: Lake, published: Published, run_id: str) -> list[dg.AssetCheckResult]:
    """Run the checks of a published day that has no gate, if its table has any; they block nothing.

    Raises:
        LakeError: what was found cannot be written down.
    """
    table, day = published.table, published.day
    if table not in PUBLISHED_CHECKS:
        return []
    results = check_published(lake, project.source, table, day, params=project.sql_params(day))
    record_audit(lake, table.replace(".", "/"), day, results, run_id=run_id, is_gate=False)
    return [_as_dagster(result) for result in results]


@contextmanager
def making(
    project: Project, lake: LakeResource, asset: str, day: date, context: dg.AssetExecutionContext
) -> Iterator[None]:
    """Around the making of one day of an asset: ``clear_failure``, and what stops it goes into the history.

    A gate that refuses has written down why by itself. Writing down is the lesser thing: where it fails, the
    failure or the good day stands as it is.

    Args:
        project: for the lake.
        lake: where the history lies.
        asset: as in ``samples/impressions``.
        day: which partition.
        context: of the run.
    """
    table, run_id = asset.replace("/", "."), context.run.run_id
    with clear_failure():
        try:
            yield
        except (dg.Failure, dg.RetryRequested):
            raise
        except Exception as error:
            try:
                record_failure(lake.open(project), asset, day, error, run_id=run_id)
            except (Lt4recError, OSError) as other:
                context.log.warning(f"the failure could not be written into the history: {other}")
            raise
        is_audited = table in CHECKS or table in PUBLISHED_CHECKS
        with suppress(Lt4recError, OSError):
            record_success(lake.open(project), asset, day, run_id=run_id, is_audited=is_audited)


@contextmanager
def clear_failure() -> Iterator[None]:
    """Turn an error raised on purpose into a failed step that says what, found and where to look.

    It is not retried, since the same input would fail the same way; what time may heal is.
    """
    try:
        yield
    except (Lt4recError, OSError) as error:  # an OSError names its file and what the system said
        if is_transient(error):
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: another writer was faster, a log was being replaced, a disk was busy.

    A full disk, a missing file or a refused permission is none of that, and neither is a gate that refused.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LakeConflictError | SourceChangedError | ConnectionError | TimeoutError):
            return True
        if isinstance(cause, OSError) and cause.errno in TRANSIENT:
            return True
        cause = cause.__cause__
    return False


def _as_dagster(result: CheckResult, page: Place | None = None) -> dg.AssetCheckResult:
    numbers = {k: v for k, v in result.observed.items() if isinstance(v, int | float)}  # these plot
    metadata: dict[str, Any] = {**numbers, "observed": dg.MetadataValue.json(dict(result.observed))}
    if page:
        metadata["data_quality_page"] = dg.MetadataValue.path(str(page))
    if result.sample_rows:
        metadata["offending_rows"] = markdown_table(result.sample_rows)
    if result.waiver:
        metadata["waiver"] = result.waiver
    is_error = result.severity == "critical" and not result.waiver
    return dg.AssetCheckResult(
        check_name=result.name,
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=f"Waived ({result.waiver}). {result.message}" if result.waiver else result.message,
        metadata=metadata,
    )


def _waived(results: tuple[CheckResult, ...]) -> dict[str, Any]:
    """For the materialisation: a day that stands on a waiver says so itself."""
    rows = [{"check": r.name, "reason": r.waiver, "found": r.message} for r in results if r.waiver]
    return {"waived_checks": len(rows), "waivers": markdown_table(rows)} if rows else {}


def _refusal(staged: Staged, results: tuple[CheckResult, ...], page: str) -> dg.Failure:
    failed = [r for r in results if r.blocks]
    reasons = "; ".join(f"{r.name}: {r.message}" for r in failed)
    return dg.Failure(
        description=(
            f"{staged.table} of {staged.day} was not published: {len(failed)} critical "
            f"check{'s' if len(failed) > 1 else ''} failed ({reasons}). See {page}. "
            "Repair the day's log, materialise it and its screening again, then re-execute what failed."
        ),
        metadata={"data_quality_page": dg.MetadataValue.path(page)},
        allow_retries=False,
    )
