import errno
import re
from datetime import date

import dagster as dg
import pytest

from lt4rec_assets import gate
from lt4rec_assets.gate import GateConfig, check_specs, clear_failure
from lt4rec_assets.graph import beta_features
from lt4rec_assets.project import Project
from lt4rec_core.data import raw
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.errors import LakeConflictError, LakeError, SourceChangedError, SourceError
from lt4rec_core.quality.suites import CHECKS
from tests.assets.conftest import SMALL

IMPRESSIONS = dg.AssetKey(["samples", "impressions"])
SIXTH = date(2026, 1, 6)
TOO_FEW = SMALL + "[quality]\nmin_rows = 10000\n"


UPSTREAM = ("source/users", "source/videos", "source/impression_log", "samples/screened_impressions")


def run_day(home, day, *keys, waivers=None):
    config = {"ops": {"samples__impressions": {"config": {"waivers": waivers}}}} if waivers else None
    job = home.definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        return job.execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            run_config=config,
            raise_on_error=False,
        )


def checks_of(result):
    return {e.check_name: e for e in result.get_asset_check_evaluations()}


def test_every_named_check_of_a_gated_table_is_declared_before_it_runs():
    days = dg.DailyPartitionsDefinition("2026-01-05")

    with beta_features():
        specs = check_specs("samples.impressions", IMPRESSIONS, days)

    assert [spec.name for spec in specs] == [check.name for check in CHECKS["samples.impressions"]]
    assert {spec.name: spec.blocking for spec in specs}["accounting"]
    assert not {spec.name: spec.blocking for spec in specs}["drift"]


def test_a_good_day_is_published_with_all_its_checks(filled):
    result = run_day(filled, SIXTH, "samples/impressions")

    assert result.success
    assert set(checks_of(result)) == {check.name for check in CHECKS["samples.impressions"]}
    assert all(e.passed for e in checks_of(result).values())
    (made,) = result.asset_materializations_for_node("samples__impressions")
    assert made.partition == "2026-01-06"
    assert made.metadata["dagster/partition_row_count"].value > 300


def test_a_bad_day_publishes_nothing_reports_every_check_and_stops_what_is_downstream(empty):
    home = empty(TOO_FEW, LT4REC_END="2026-01-06")

    result = run_day(home, SIXTH, *UPSTREAM, "samples/impressions", "samples/clicks")

    assert not result.success
    checks = checks_of(result)
    assert not checks["volume"].passed
    assert checks["volume"].severity == dg.AssetCheckSeverity.ERROR
    assert checks["keys"].passed
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    assert IMPRESSIONS not in made
    assert dg.AssetKey(["samples", "clicks"]) not in made
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    reason = failure.step_failure_data.user_failure_data.description
    assert "samples.impressions of 2026-01-06 was not published: 1 critical check failed (volume:" in reason
    assert not list(home.project.settings.home.glob("staging/*.parquet"))
    with dg.DagsterInstance.get() as instance:
        assert not instance.get_materialized_partitions(IMPRESSIONS)


def test_an_error_raised_on_purpose_fails_the_step_without_a_retry():
    with pytest.raises(dg.Failure) as failure, clear_failure():
        raise SourceError("what is wrong, what was found, where to look")

    assert failure.value.description == "SourceError: what is wrong, what was found, where to look"
    assert not failure.value.allow_retries


def test_an_error_nobody_meant_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), clear_failure():
        _ = 1 / 0


def test_what_the_disk_refuses_fails_the_step_with_its_reason():
    with pytest.raises(dg.Failure, match="FileExistsError"), clear_failure():
        raise FileExistsError(17, "File exists", "reports")


REASON = "the app was down until noon; confirmed by its owners"


def waiver(**changes):
    return {"day": "2026-01-06", "check": "volume", "reason": REASON, **changes}


@pytest.fixture
def short_day(empty):
    """A home whose days have too few rows, made up to what the first gate reads."""
    home = empty(TOO_FEW, LT4REC_END="2026-01-06")
    assert run_day(home, SIXTH, *UPSTREAM).success
    return home


def reason_of(result):
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


def test_a_waived_check_lets_the_day_publish_and_stays_failed_with_its_reason(short_day):
    result = run_day(short_day, SIXTH, "samples/impressions", "samples/clicks", waivers=[waiver()])

    assert result.success
    volume = checks_of(result)["volume"]
    assert not volume.passed
    assert volume.severity == dg.AssetCheckSeverity.WARN
    assert volume.metadata["waiver"].value == REASON
    assert "waiver" not in checks_of(result)["keys"].metadata
    (made,) = result.asset_materializations_for_node("samples__impressions")
    assert made.metadata["waived_checks"].value == 1
    assert REASON in made.metadata["waivers"].value
    page = made.metadata["data_quality_page"].path
    with open(page, encoding="utf-8") as file:
        assert f"waived: {REASON}" in file.read()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (waiver(check="volumes"), "QualityError: a waiver names the check 'volumes'"),
        (waiver(reason="  "), "QualityError: the waiver of 'volume' of samples.impressions gives no reason"),
        (waiver(day="6 January"), "QualityError: .* is for '6 January', which is not a day"),
        (waiver(day="2026-01-05"), "was not published: 1 critical check failed"),
        (waiver(check="drift"), "was not published: 1 critical check failed"),
    ],
    ids=["unknown check", "no reason", "no day", "another day", "another check"],
)
def test_a_waiver_that_does_not_fit_releases_nothing(short_day, given, message):
    result = run_day(short_day, SIXTH, "samples/impressions", waivers=[given])

    assert not result.success
    assert re.search(message, reason_of(result))
    assert not result.get_asset_materialization_events()


def test_the_launchpad_says_what_a_waiver_is():
    fields = GateConfig.to_config_schema().as_field().config_type.fields["waivers"]

    assert "shown as failed" in fields.description


def history_of(home, what="check_name, passed, is_blocking, waiver"):
    text = f"select {what} from quality.check_history where check_name in ('keys', 'volume')"
    text += " order by audited_at, check_name"
    return query(connect(home.project.settings.home), text).fetchall()


def test_every_audit_of_a_day_is_kept_the_refused_ones_too(short_day):
    assert history_of(short_day) == []  # typed and empty
    refused = run_day(short_day, SIXTH, "samples/impressions")
    waived = run_day(short_day, SIXTH, "samples/impressions", waivers=[waiver()])

    assert history_of(short_day) == [
        ("keys", True, False, None),
        ("volume", False, True, None),
        ("keys", True, False, None),
        ("volume", False, False, REASON),
    ]
    assert history_of(short_day, "asset, dt, run_id") == [
        ("samples/impressions", SIXTH, result.run_id) for result in (refused, refused, waived, waived)
    ]


def test_a_published_day_is_measured_once_and_a_day_that_cannot_be_measured_is_published(filled, monkeypatch):
    def profiled():
        text = "select dt, value from quality.day_profiles where measure = 'n_samples' order by dt"
        return query(connect(filled.project.settings.home), text).fetchall()

    def full(*args, **kwargs):
        raise LakeError("no space left")

    first = profiled()
    assert run_day(filled, SIXTH, "training/samples").success
    again = profiled()
    monkeypatch.setattr(gate, "keep_profiles", full)
    assert run_day(filled, SIXTH, "training/samples").success

    lake = Lake(filled.project.settings.home)
    assert again == first == profiled()
    assert dict(first) == {
        day: sum(n for d, _, n in lake.snapshot("training.samples").files if d == day)
        for day in lake.days("training.samples")
    }


def test_a_day_that_cannot_be_written_down_is_not_published_and_a_refusal_still_says_why(
    short_day, monkeypatch
):
    def full(*args, **kwargs):
        raise LakeError("no space left")

    monkeypatch.setattr(gate, "record_audit", full)
    refused = run_day(short_day, SIXTH, "samples/impressions")
    unrecorded = run_day(short_day, SIXTH, "samples/impressions", waivers=[waiver()])

    assert "1 critical check failed (volume:" in reason_of(refused)
    assert "no space left" in reason_of(unrecorded)
    assert not unrecorded.get_asset_materialization_events()
    assert not Lake(short_day.project.settings.home).days("samples.impressions")


def test_a_table_without_a_gate_is_checked_once_it_is_published(filled):
    result = run_day(filled, SIXTH, "samples/clicks", "samples/conversions")

    found = {(e.asset_key.path[1], e.check_name): e.passed for e in result.get_asset_check_evaluations()}
    assert found == {
        ("clicks", "references"): True,
        ("conversions", "labels"): True,
        ("conversions", "references"): True,
    }
    recorded = query(
        connect(filled.project.settings.home),
        f"select distinct asset, is_blocking from quality.check_history where run_id = '{result.run_id}'",
    ).fetchall()
    assert sorted(recorded) == [("samples/clicks", False), ("samples/conversions", False)]


def test_a_failed_check_of_a_published_day_is_red_and_blocks_nothing(filled, monkeypatch):
    stricter = {**filled.project.sql_params(SIXTH), "max_calibration_gap": 1e-9}
    monkeypatch.setattr(Project, "sql_params", lambda self, day: {**stricter, "dt": day})

    result = run_day(filled, SIXTH, "evaluation/calibration")

    assert result.success
    gap = checks_of(result)["gap"]
    assert (gap.passed, gap.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert gap.metadata["observed"].value["snet ctr"]["gap"] > 0
    latest = "select message from quality.latest_checks where dt = '2026-01-06' and check_name = 'gap'"
    assert "snet ctr: gap" in query(connect(filled.project.settings.home), latest).fetchall()[0][0]


def caused_by(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (LakeConflictError("lost 10 commits"), True),
        (OSError(errno.EIO, "input/output error"), True),
        (ConnectionResetError("gone"), True),
        (caused_by(LakeError("cannot write"), OSError(errno.EBUSY, "busy")), True),
        (caused_by(LakeError("cannot write"), OSError(errno.ENOSPC, "no space left")), False),
        (FileNotFoundError(errno.ENOENT, "no such file"), False),
        (PermissionError(errno.EACCES, "not yours"), False),
        (SourceError("no impression on this day"), False),
        (SourceChangedError("log.csv changed while it was read"), True),
        (ZeroDivisionError(), False),
    ],
    ids=repr,
)
def test_only_what_time_may_heal_is_tried_again(error, is_retried):
    assert gate.is_transient(error) is is_retried
    with pytest.raises(Exception) as raised, clear_failure():  # noqa: PT011
        raise error

    assert isinstance(raised.value, dg.RetryRequested) is is_retried


def test_a_step_that_lost_a_commit_is_tried_again_and_succeeds(short_day, monkeypatch):
    monkeypatch.setattr(gate, "RETRY_AFTER_S", 0)
    published, tries = Lake.publish, []

    def busy(self, staged, metadata=None):
        tries.append(staged.table)
        if len(tries) == 1:
            raise LakeConflictError("lost 10 commits")
        return published(self, staged, metadata)

    monkeypatch.setattr(Lake, "publish", busy)
    result = run_day(short_day, SIXTH, "samples/impressions", waivers=[waiver()])

    assert result.success
    assert len(tries) == 2


def test_a_gate_that_refused_is_not_tried_again(short_day):
    result = run_day(short_day, SIXTH, "samples/impressions")

    assert not [e for e in result.all_events if e.is_step_up_for_retry]


LATEST = "select check_name, passed, is_blocking, message from quality.latest_checks where asset = '{}'"


def test_a_day_that_fails_before_its_audit_says_why_in_the_history_until_it_is_made(empty, monkeypatch):
    home = empty()
    whole = raw.generate

    def ask(asset):
        return query(connect(home.project.settings.home), LATEST.format(asset)).fetchall()

    with monkeypatch.context() as patch:
        patch.setattr(raw, "generate", lambda *day: {n: t.slice(0, 0) for n, t in whole(*day).items()})
        assert not run_day(home, SIXTH, "source/impression_log").success
    ((check, passed, blocks, message),) = ask("source/impression_log")
    assert (check, passed, blocks) == ("made", False, True)
    assert message.startswith("SourceError: source 'simulator' has no impression on 2026-01-06")

    assert not run_day(home, SIXTH, "samples/impressions").success  # nothing to read: nothing to audit
    ((check, passed, _, message),) = ask("samples/impressions")
    assert (check, passed) == ("made", False)
    assert "reads samples.screened_impressions of 2026-01-06, which is not there" in message

    assert run_day(home, SIXTH, *UPSTREAM, "samples/impressions").success
    assert [row[:2] for row in ask("source/impression_log")] == [("made", True)]
    assert {check for check, *_ in ask("samples/impressions")} == set(
        check.name for check in CHECKS["samples.impressions"]
    )
