"""Dagster's records on a real PostgreSQL: on the command line, and under the services of compose.yaml."""

import subprocess
from datetime import date, timedelta

import pytest
from support.deployed import Deployed, set_most_at_once
from support.homes import Home, fingerprints
from support.postgres import PASSWORD, Postgres

pytestmark = pytest.mark.slow

N_RUNS, AT_ONCE = 32, 8
FIRST = date(2026, 1, 5)
DATA = "group:source or group:samples"
DAYS = [FIRST + timedelta(days=i) for i in range(N_RUNS + 1)]


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def home(postgres, tmp_path_factory):
    """A home that was laid out on PostgreSQL, and may run eight at once."""
    env = {"LT4REC_POSTGRES": postgres.url}
    made = Home(tmp_path_factory.mktemp("on-postgres") / "home", FIRST, DAYS[-1], env)
    made.lt4rec("prepare")
    set_most_at_once(made, AT_ONCE)
    return made


@pytest.fixture(scope="module")
def deployed(home):
    with Deployed(home) as services:
        yield services


def records_in_files(home):
    """Databases of SQLite, whatever they are called."""
    files = [p for p in (home.path / "dagster").rglob("*") if p.is_file()]
    return [p for p in files if p.suffix == ".db" or p.read_bytes()[:15] == b"SQLite format 3"]


def runs(postgres, status="SUCCESS"):
    """Per partition the runs with a status: when each began and ended, in seconds."""
    return postgres.ask(
        f"select partition, start_time, end_time from runs where status = '{status}' order by start_time"
    )


def sessions(postgres):
    """How many connections there have been to the database."""
    ((found,),) = postgres.ask("select sessions from pg_stat_database where datname = current_database()")
    return found


def test_a_backfill_writes_its_runs_and_events_to_the_database_and_to_no_file(home, postgres):
    before = sessions(postgres)
    printed = home.lt4rec("backfill", "--from", home.first, "--to", home.first, "--select", DATA)
    after = sessions(postgres)

    assert "0 failed" in printed
    done = {partition for partition, *_ in runs(postgres)}
    assert done == {home.first}
    (events,) = postgres.ask(
        "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    assert events[0] >= 5
    assert records_in_files(home) == []
    (written,) = postgres.ask("select count(*) from event_logs")
    assert after - before < written[0] / 4, "connections are kept from event to event"


def test_a_variable_that_is_missing_later_is_an_error_and_starts_no_second_history(home):
    elsewhere = Home(home.path, home.start, home.end)
    with elsewhere.process("backfill", "--from", home.first, "--to", home.first) as started:
        assert started.process.wait(60) == 2
        printed = started.printed()

    assert "LT4REC_POSTGRES is not set, but this home keeps Dagster's records on PostgreSQL" in printed
    assert records_in_files(home) == []


def test_the_services_of_the_compose_file_serve_the_graph_and_what_the_command_line_ran(deployed, home):
    assert "samples/impressions" in {asset["key"] for asset in deployed.assets()}
    assert deployed.days(["samples/impressions"])["samples/impressions"] == {home.first: "MATERIALIZED"}


def test_a_day_launched_over_graphql_completes(deployed, home, postgres):
    daily = [
        a["key"] for a in deployed.assets() if a["is_daily"] and a["key"].startswith(("source/", "samples/"))
    ]

    run = deployed.launch(daily, DAYS[1])

    def status():
        ((found,),) = postgres.ask(f"select status from runs where run_id = '{run}'")
        return found if found in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert deployed.wait("the run to end", status, seconds=240) == "SUCCESS", deployed.log()
    days = deployed.days(daily)
    assert all(days[asset][str(DAYS[1])] == "MATERIALIZED" for asset in daily), days
    assert fingerprints(home, ["samples.impressions"])["samples.impressions", DAYS[1]][0] > 0


def test_thirty_two_runs_of_different_days_complete_eight_at_once(deployed, home, postgres):
    days = DAYS[1:]

    launched = deployed.backfill(["source/impression_log"], days)
    ended = deployed.end_of(launched, seconds=600)

    assert ended == "COMPLETED_SUCCESS", deployed.failures(launched)
    tag = f"select run_id from run_tags where key = 'dagster/backfill' and value = '{launched}'"
    found = postgres.ask(f"select partition, status, start_time, end_time from runs where run_id in ({tag})")
    assert sorted(partition for partition, *_ in found) == [str(day) for day in days]
    assert {status for _, status, *_ in found} == {"SUCCESS"}
    most = max(sum(s <= start < e for *_, s, e in found) for *_, start, _ in found)
    assert 2 < most <= AT_ONCE, f"{most} runs at once"
    assert {day for _, day in fingerprints(home, ["source.impression_log"])} >= set(days)
    assert records_in_files(home) == []


@pytest.mark.parametrize("service", ["code", "web", "daemon"])
def test_the_health_check_of_a_service_that_works_says_so(deployed, service):
    deployed.wait(f"{service} to be healthy", lambda: deployed.is_healthy(service), seconds=60)


def test_a_code_location_that_is_not_there_is_not_healthy(deployed):
    command = deployed.here(["dagster", "api", "grpc-health-check", "-p", "1"])

    assert (
        subprocess.run(command, env=deployed.environment(), capture_output=True, timeout=60).returncode != 0
    )


def test_the_password_stands_in_no_file_of_the_home_no_log_and_no_answer(deployed, home):
    secrets = (PASSWORD, home.env["LT4REC_POSTGRES"].split(":")[2].partition("@")[0])
    shown = deployed.printed() + str(deployed.ask("{ instance { info } }"))
    files = [p for p in home.path.rglob("*") if p.is_file()]

    assert len(files) > 50
    for secret in secrets:
        assert secret not in shown
        assert [p for p in files if secret.encode() in p.read_bytes()] == []
