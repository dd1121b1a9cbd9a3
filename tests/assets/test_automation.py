import json
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from lt4rec_assets.automation import failure_message
from lt4rec_assets.definitions import build_definitions
from lt4rec_assets.graph import beta_features
from lt4rec_assets.project import Project
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from tests.assets.conftest import SMALL, make_settings
from tests.assets.receiver import receiver

ZONE = ZoneInfo("Asia/Shanghai")


def test_everything_is_off_until_it_is_switched_on(filled):
    repository = filled.definitions.get_repository_def()

    assert {s.name for s in repository.schedule_defs} == {
        "yesterdays_chain",
        "weekly_vacuum",
        "daily_report",
    }
    assert {s.name for s in repository.sensor_defs} == {"declarative_automation", "failures_to_webhook"}
    assert {s.default_status.value for s in repository.schedule_defs} == {"STOPPED"}
    assert {s.default_status.value for s in repository.sensor_defs} == {"STOPPED"}


def tick(home, *when):
    schedule = home.definitions.resolve_schedule_def("yesterdays_chain")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=datetime(*when, tzinfo=ZoneInfo(schedule.execution_timezone))
        )
        return schedule.evaluate_tick(context)


def test_the_schedule_asks_for_yesterday_once(filled):
    (request,) = tick(filled, 2026, 1, 9, 4).run_requests

    assert request.run_key == "2026-01-08"
    assert request.run_config == {"ops": {"run_the_day": {"config": {"day": "2026-01-08"}}}}


@pytest.mark.parametrize("when", [(2026, 1, 5, 4), (2026, 1, 11, 4)])
def test_a_day_that_the_home_does_not_have_is_skipped(filled, when):
    result = tick(filled, *when)

    assert not result.run_requests
    assert "is no day of this home, which has 2026-01-05 to 2026-01-09" in result.skip_message


def test_the_hour_is_a_setting(tmp_path):
    settings = make_settings(tmp_path, SMALL + '[automation]\ndaily_at = "06:30"\n')
    definitions = build_definitions(Project.of(settings))

    assert definitions.resolve_schedule_def("yesterdays_chain").cron_schedule == "30 6 * * *"


def run_job(home, name, config):
    with dg.DagsterInstance.get() as instance:
        job = home.definitions.resolve_job_def(name)
        (op,) = [node.name for node in job.graph.nodes]
        run_config = {"ops": {op: {"config": config}}}
        return job.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)


def test_the_chain_runs_one_day_and_says_what_failed(empty):
    home = empty(SMALL + "[quality]\nmin_rows = 10000\n", LT4REC_END="2026-01-06")

    result = run_job(home, "daily_chain", {"day": "2026-01-05", "select": "group:source or group:samples"})

    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    reason = failure.step_failure_data.user_failure_data.description
    assert "FAILED   samples/impressions[2026-01-05]" in reason
    assert "blocked  samples/clicks[2026-01-05] waits for samples/impressions[2026-01-05]" in reason
    with dg.DagsterInstance.get() as instance:
        key = dg.AssetKey(["samples", "screened_impressions"])
        assert instance.get_materialized_partitions(key) == {"2026-01-05"}


def test_a_day_that_is_none_is_named(empty):
    result = run_job(empty(), "daily_chain", {"day": "yesterday"})

    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "day is 'yesterday', which is not a day" in failure.step_failure_data.user_failure_data.description


def test_a_vacuum_says_what_it_removed_and_every_table_still_reads(filled):
    before = Lake(filled.project.settings.home).names()

    rehearsal = run_job(filled, "vacuum", {"dry_run": True})
    result = run_job(filled, "vacuum", {})

    for done in (rehearsal, result):
        assert done.success
    (output,) = [e for e in result.all_events if e.is_successful_output]
    metadata = output.step_output_data.metadata
    assert metadata["files"].value == 0  # nothing here is older than the retention
    assert "| training.samples |" in metadata["tables"].value
    con = connect(filled.project.settings.home)
    for table in before:
        query(con, f"select count(*) from {table}").fetchall()


def failed_run(instance, message):
    """A run that fails with a message, and the event that says so."""

    @dg.op
    def breaks():
        raise dg.Failure(description=message, allow_retries=False)

    @dg.job(executor_def=dg.in_process_executor)
    def broken():
        breaks()

    result = broken.execute_in_process(
        instance=instance, raise_on_error=False, tags={"dagster/partition": "2026-01-06"}
    )
    return result.dagster_run, next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE")


def hear_of(home, message):
    sensor = home.definitions.resolve_sensor_def("failures_to_webhook")
    with dg.DagsterInstance.ephemeral() as instance, beta_features():
        run, event = failed_run(instance, message)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=run,
            repository_def=home.definitions.get_repository_def(),
        )
        return run, sensor(context.for_run_failure())


def test_a_failed_run_is_posted_with_its_day_and_its_reason(filled, monkeypatch):
    with receiver() as (url, posted):
        monkeypatch.setenv("LT4REC_WEBHOOK_URL", url)
        run, _ = hear_of(filled, "1 critical check failed (volume: rows is 3)")

    ((_, message),) = posted
    assert message["text"] == (
        "lt4rec: broken of 2026-01-06 failed: breaks: 1 critical check failed (volume: rows is 3)"
    )
    assert message["run_id"] == run.run_id
    assert message["steps"] == {"breaks": "1 critical check failed (volume: rows is 3)"}
    assert url not in json.dumps(message)


def test_without_an_address_nothing_is_posted(filled, monkeypatch):
    monkeypatch.setenv("LT4REC_WEBHOOK_URL", "")

    _, skipped = hear_of(filled, "whatever")

    assert "LT4REC_WEBHOOK_URL is not set" in skipped.skip_message


def test_the_day_of_a_chain_that_failed_stands_in_its_configuration(filled):
    run = dg.DagsterRun(
        job_name="daily_chain", run_config={"ops": {"run_the_day": {"config": {"day": "2026-01-07"}}}}
    )

    message = failure_message(filled.project, run, [])

    assert message["text"] == "lt4rec: daily_chain of 2026-01-07 failed: it ended before any step"
