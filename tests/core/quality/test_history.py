import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeError, SourceError
from lt4rec_core.quality.history import HISTORY, record_audit, record_failure, record_success
from lt4rec_core.quality.suites import CheckResult

SQL = Path(__file__).resolve().parents[3] / "sql"
MONDAY = date(2022, 4, 25)
NINE, TEN = (datetime(2022, 4, 26, hour, tzinfo=UTC) for hour in (9, 10))


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "home")
    lake.create(
        [
            read_sql_file(SQL / "quality" / "check_history.sql"),
            read_sql_file(SQL / "views" / "quality" / "latest_checks.sql", table="quality.latest_checks"),
        ]
    )
    return lake


def ask(lake, text):
    return query(connect(lake.home), text).fetchall()


def volume(**changes):
    values = {"name": "volume", "severity": "critical", "passed": False, "observed": {"rows": 3}}
    return CheckResult(**{**values, "message": "rows is 3.", **changes})


def test_the_history_is_typed_and_empty_before_the_first_audit(lake):
    assert ask(
        lake, f"select count(waiver) from {HISTORY} where not passed and audited_at > '2022-01-01'"
    ) == [(0,)]


def test_a_row_says_day_asset_check_severity_what_was_seen_waiver_run_and_time(lake):
    record_audit(
        lake, "samples/impressions", MONDAY, [volume(waiver="half a day")], run_id="r1", audited_at=NINE
    )

    (row,) = query(connect(lake.home), f"from {HISTORY}").to_arrow_table().to_pylist()
    assert json.loads(row.pop("observed")) == {"rows": 3}
    assert row == {
        "dt": MONDAY,
        "asset": "samples/impressions",
        "check_name": "volume",
        "severity": "critical",
        "passed": False,
        "is_blocking": False,
        "message": "rows is 3.",
        "waiver": "half a day",
        "run_id": "r1",
        "audited_at": NINE.replace(tzinfo=None),
    }


def test_a_second_audit_adds_rows_and_the_latest_ones_are_the_newest(lake):
    record_audit(lake, "samples/impressions", MONDAY, [volume()], run_id="r1", audited_at=NINE)
    record_audit(lake, "samples/impressions", MONDAY, [volume(passed=True)], run_id="r2", audited_at=TEN)
    record_audit(lake, "training/samples", MONDAY, [volume()], run_id="r3", audited_at=NINE)

    assert ask(lake, f"select run_id, passed, is_blocking from {HISTORY} order by 1") == [
        ("r1", False, True),
        ("r2", True, False),
        ("r3", False, True),
    ]
    assert ask(lake, "select run_id from quality.latest_checks order by 1") == [("r2",), ("r3",)]


WRITER = """
import sys
from datetime import date
from lt4rec_core.data.lake import Lake
from lt4rec_core.quality.history import record_audit
from lt4rec_core.quality.suites import CheckResult
results = [CheckResult(name, "critical", True, {}, "Passed.") for name in ("keys", "volume")]
for i in range(12):
    record_audit(Lake(sys.argv[1]), f"samples/{sys.argv[2]}", date(2022, 4, 25), results, run_id=str(i))
"""


def test_processes_that_audit_the_same_day_at_once_lose_no_row(lake):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(lake.home), name]) for name in "abcd"]

    assert [writer.wait(timeout=300) for writer in writers] == [0] * 4
    assert ask(
        lake, f"select asset, count(distinct run_id), count(*) from {HISTORY} group by 1 order by 1"
    ) == [(f"samples/{name}", 12, 24) for name in "abcd"]


def test_a_home_that_cannot_hold_the_history_is_named(tmp_path):
    with pytest.raises(LakeError, match=r"no table quality\.check_history"):
        record_audit(Lake(tmp_path), "samples/impressions", MONDAY, [volume()], run_id="r")


LATEST = "select check_name, passed, message, run_id from quality.latest_checks order by all"


def test_a_day_that_could_not_be_made_has_its_reason_until_it_is_made(lake):
    record_failure(lake, "source/users", MONDAY, SourceError("no file for raw.users"), run_id="r1")
    assert ask(lake, LATEST) == [("made", False, "SourceError: no file for raw.users", "r1")]
    assert ask(lake, f"select is_blocking, observed from {HISTORY}") == [(True, '{"error": "SourceError"}')]

    record_success(lake, "source/users", MONDAY, run_id="r2", is_audited=False)
    assert ask(lake, LATEST) == [("made", True, "The day could be made again.", "r2")]


def test_an_audit_after_the_failure_takes_its_place(lake):
    record_failure(lake, "samples/impressions", MONDAY, SourceError("why"), run_id="r1")
    record_audit(lake, "samples/impressions", MONDAY, [volume(passed=True)], run_id="r2")

    record_success(lake, "samples/impressions", MONDAY, run_id="r2", is_audited=True)

    assert [(name, passed) for name, passed, *_ in ask(lake, LATEST)] == [("volume", True)]


def test_a_day_that_never_failed_adds_no_row_and_a_recovery_is_told_once(lake):
    record_success(lake, "source/users", MONDAY, run_id="r0", is_audited=False)
    assert ask(lake, f"from {HISTORY}") == []

    record_failure(lake, "source/users", MONDAY, SourceError("why"), run_id="r1")
    for run in ("r2", "r3"):
        record_success(lake, "source/users", MONDAY, run_id=run, is_audited=False)
    assert len(ask(lake, f"from {HISTORY}")) == 2
