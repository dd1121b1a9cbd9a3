"""What happens by itself: yesterday's chain, declarative automation, vacuum, word of failures.

All of it is off until somebody switches it on, under Automation in the UI.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from lt4rec_assets.backfill import reason_of, run_backfill
from lt4rec_assets.defs.report import PAGE
from lt4rec_assets.gate import clear_failure
from lt4rec_assets.metadata import markdown_table
from lt4rec_assets.outcome import closing_lines
from lt4rec_assets.project import Project
from lt4rec_assets.provenance import run_tags
from lt4rec_assets.resources import LakeResource, ModelStoreResource
from lt4rec_assets.settings import webhook_url
from lt4rec_assets.webhook import post
from lt4rec_core.errors import ConfigError

PAGE_JOB = dg.define_asset_job("report_page", [PAGE], executor_def=dg.in_process_executor)


class DayConfig(dg.Config):
    """Which day the whole chain is to run for."""

    day: str = Field(description="The day, as 2022-04-25; the schedule fills in yesterday.")
    select: str = Field(default="*", description="Dagster asset selection, as in group:samples.")


class VacuumConfig(dg.Config):
    """How a vacuum goes; how long versions are kept stands in [automation] of lt4rec.toml."""

    dry_run: bool = Field(default=False, description="Only say what would be removed.")


def automation(project: Project) -> dg.Definitions:
    """Jobs, schedules and sensors of one home."""
    chain, vacuum = _chain_job(project), _vacuum_job(project)
    return dg.Definitions(
        jobs=[chain, vacuum, PAGE_JOB],
        schedules=[_yesterday(project, chain), _weekly(project, vacuum), _daily_report(project)],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "declarative_automation",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.STOPPED,
                description="Requests each asset's newest day once all it reads is there, and again when "
                "that changes; behind a gate that refused, nothing is. Use it or the schedule "
                "yesterdays_chain, not both.",
            ),
            _failure_sensor(project),
        ],
    )


def _chain_job(project: Project) -> dg.JobDefinition:
    @dg.op
    def run_the_day(context: dg.OpExecutionContext, config: DayConfig) -> None:
        """Run one day of the graph in this one process, each run of it recorded by itself."""
        with clear_failure():
            day = _day(config.day)
            outcome = run_backfill(project.settings, day, day, config.select, say=context.log.info)
        lines = closing_lines(outcome)
        if not outcome.ok:
            raise dg.Failure(description="\n".join(lines), allow_retries=False)
        context.log.info(lines[-1])

    @dg.job(
        name="daily_chain",
        description="One day of the whole graph, warm in one process, like lt4rec backfill. What fails stops "
        "what depends on it and nothing else.",
        tags=run_tags(project.settings),
        executor_def=dg.in_process_executor,
    )
    def daily_chain() -> None:
        run_the_day()

    return daily_chain


def _yesterday(project: Project, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    @dg.schedule(
        job=job,
        name="yesterdays_chain",
        cron_schedule=project.settings.automation.cron,
        execution_timezone=project.source.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Runs daily_chain for yesterday at [automation] daily_at, in the source's time zone.",
    )
    def yesterdays_chain(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.date() - timedelta(days=1)
        settings = project.settings
        if day < settings.start or (settings.end is not None and day > settings.end):
            until = settings.end or "yesterday"
            return dg.SkipReason(f"{day} is no day of this home, which has {settings.start} to {until}.")
        return dg.RunRequest(
            run_key=day.isoformat(),
            run_config={"ops": {"run_the_day": {"config": {"day": day.isoformat()}}}},
        )

    return yesterdays_chain


def _vacuum_job(project: Project) -> dg.JobDefinition:
    @dg.op
    def remove_old_versions(
        context: dg.OpExecutionContext, config: VacuumConfig, lake: LakeResource, store: ModelStoreResource
    ) -> None:
        """Join the small files of what only grows, and remove what no reader needs any more."""
        from lt4rec_core.data.vacuum import compact, vacuum
        from lt4rec_core.quality.history import HISTORY
        from lt4rec_core.quality.profiles import PROFILES

        keep = project.settings.automation
        with clear_failure():
            opened = lake.open(project)
            # What a model of a recent day was trained on; days count from the newest the lake has.
            days = opened.days("source.impression_log")
            horizon = (days[-1] if days else project.settings.start) - timedelta(days=keep.cited_days)
            cited = store.open().cited_versions(horizon)
            if not config.dry_run:
                for table in (HISTORY, PROFILES):
                    compact(opened, table)
            done = vacuum(
                opened,
                retention=timedelta(days=keep.retention_days),
                cited=cited,
                dry_run=config.dry_run,
            )
        rows = [
            {"table": d.table, "files": d.n_files, "bytes": d.n_bytes, "versions kept": len(d.kept_versions)}
            for d in done
        ]
        context.add_output_metadata(
            {
                "files": sum(d.n_files for d in done),
                "bytes": sum(d.n_bytes for d in done),
                "tables": markdown_table(rows),
            }
        )

    @dg.job(
        name="vacuum",
        description="Removes files of versions older than [automation] retention_days; what the models of "
        "the last cited_days were trained on stays readable.",
        tags=run_tags(project.settings),
        executor_def=dg.in_process_executor,
    )
    def vacuum_job() -> None:
        remove_old_versions()

    return vacuum_job


def _weekly(project: Project, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="weekly_vacuum",
        job=job,
        cron_schedule="30 2 * * 0",
        execution_timezone=project.source.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Runs vacuum on Sundays.",
    )


def _daily_report(project: Project) -> dg.ScheduleDefinition:
    """Two hours after the day's chain begins, by when it has ended long since."""
    minute, hour, *rest = project.settings.automation.cron.split()
    return dg.ScheduleDefinition(
        name="daily_report",
        job=PAGE_JOB,
        cron_schedule=" ".join([minute, str((int(hour) + 2) % 24), *rest]),
        execution_timezone=project.source.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Writes report/page, one HTML page about the last 28 days, two hours after daily_at.",
    )


def _failure_sensor(project: Project) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failures_to_webhook",
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Posts each failed run to LT4REC_WEBHOOK_URL: what failed, of which day, and why.",
    )
    def failures_to_webhook(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        url = webhook_url()
        if url is None:
            return dg.SkipReason("LT4REC_WEBHOOK_URL is not set.")
        post(url, failure_message(project, context.dagster_run, context.get_step_failure_events()))
        return None

    return failures_to_webhook


def failure_message(
    project: Project, run: dg.DagsterRun, failures: Iterable[dg.DagsterEvent]
) -> dict[str, Any]:
    """What is posted of a failed run: the run, its partition, and each failed step with its reason."""
    given: Any = run.run_config
    config = given.get("ops", {}).get("run_the_day", {}).get("config", {})
    day = run.tags.get("dagster/partition") or config.get("day")
    reasons = {event.step_key or "": reason_of(event) for event in failures}
    of_day = f" of {day}" if day else ""
    told = "; ".join(f"{step}: {reason}" for step, reason in reasons.items()) or "it ended before any step"
    return {
        "text": f"lt4rec: {run.job_name}{of_day} failed: {told}",
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": day,
        "steps": reasons,
        "home": str(project.settings.home),
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"day is {text!r}, which is not a day. Write it as 2022-04-25.") from None
