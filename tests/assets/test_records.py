import os
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from lt4rec_assets.records import MOST_OPEN, records_open

KEY = dg.AssetKey("counted")


@dg.asset(check_specs=[dg.AssetCheckSpec("right", asset=KEY)])
def counted():
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="right")])


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


@pytest.fixture
def connections():
    """Every connection that is opened to a database."""
    opened = []

    def note(*_):
        opened.append(1)

    event.listen(Pool, "connect", note)
    yield opened
    event.remove(Pool, "connect", note)


def run(instance):
    result = dg.materialize([counted], instance=instance)
    assert result.success
    return result.run_id


def open_files(tmp_path):
    names = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            names.append(os.readlink(link))
        except OSError:
            continue
    return {n for n in names if n.startswith(str(tmp_path)) and n.endswith(".db")}


def test_few_connections_are_opened_and_others_see_every_event_at_once(instance, tmp_path, connections):
    run(instance)
    plain, seen = len(connections), {}
    connections.clear()

    with records_open(instance):
        for _ in range(2):
            run_id = run(instance)
            mine, theirs = len(connections), dg.DagsterInstance.local_temp(str(tmp_path))
            seen[run_id] = [e.dagster_event_type for e in theirs.all_logs(run_id)]
            assert theirs.get_run_by_id(run_id).status == dg.DagsterRunStatus.SUCCESS
            assert theirs.get_latest_materialization_event(KEY).run_id == run_id
            theirs.dispose()

    first, second = seen.values()
    assert first == second
    assert dg.DagsterEventType.ASSET_CHECK_EVALUATION in first
    assert plain > 40
    assert mine < plain / 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files by /proc")
def test_files_of_earlier_runs_are_closed_and_in_the_end_all(instance, tmp_path):
    with records_open(instance):
        for _ in range(MOST_OPEN + 2):
            run(instance)
        assert 0 < len(open_files(tmp_path)) <= MOST_OPEN + 1  # and the runs' own
    assert not open_files(tmp_path)
    run(instance)
    assert not open_files(tmp_path)


def test_records_kept_elsewhere_are_left_alone():
    with dg.DagsterInstance.ephemeral() as instance, records_open(instance):
        assert instance.get_run_by_id(run(instance)).status == dg.DagsterRunStatus.SUCCESS
