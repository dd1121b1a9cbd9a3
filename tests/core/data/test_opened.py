import shutil
import threading
from datetime import date

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from lt4rec_core.data import opened
from lt4rec_core.data.opened import OpenTables
from lt4rec_core.data.snapshot import Snapshot

SCHEMA = pa.schema([("dt", pa.date32()), ("n", pa.int64())])


@pytest.fixture
def path(tmp_path):
    DeltaTable.create(str(tmp_path / "t"), SCHEMA, partition_by=["dt"])
    return tmp_path / "t"


@pytest.fixture
def openings(monkeypatch):
    """Every time a log is read from its beginning."""
    seen = []

    def counted(uri):
        seen.append(uri)
        return DeltaTable(uri)

    monkeypatch.setattr(opened, "DeltaTable", counted)
    return seen


def put(table, n):
    rows = pa.table({"dt": [date(2022, 4, 25)], "n": [n]}, schema=SCHEMA)
    write_deltalake(table, rows, mode="append")


def seen_by(tables, path):
    return sorted(tables.newest(path).to_pyarrow_table()["n"].to_pylist())


def snapshot_of(delta):
    return Snapshot("t", delta.version(), SCHEMA, (), ())


def test_what_others_commit_is_seen_and_the_log_is_read_once(path, openings):
    tables = OpenTables()

    for n in range(3):
        assert tables.newest(path).version() == n
        put(str(path), n)

    assert seen_by(tables, path) == [0, 1, 2]
    assert len(openings) == 1


def test_what_is_written_through_the_handle_is_seen(path, openings):
    tables = OpenTables()

    for n in range(3):
        put(tables.newest(path), n)
        put(str(path), 10 + n)

    assert seen_by(tables, path) == [0, 1, 2, 10, 11, 12]
    assert len(openings) == 1


def test_a_checkpoint_and_a_vacuum_in_between_change_nothing(path, openings):
    tables = OpenTables()
    tables.newest(path)
    put(str(path), 1)
    other = DeltaTable(str(path))
    other.create_checkpoint()
    other.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    put(str(path), 2)

    assert seen_by(tables, path) == [1, 2]


def test_another_table_in_the_same_place_is_noticed(path, tmp_path):
    tables = OpenTables()
    put(str(path), 1)
    assert seen_by(tables, path) == [1]

    shutil.rmtree(path)
    DeltaTable.create(str(path), SCHEMA, partition_by=["dt"])
    put(str(path), 2)
    assert seen_by(tables, path) == [2]

    shutil.rmtree(path)
    with pytest.raises(TableNotFoundError):
        tables.newest(path)


def test_a_log_that_was_damaged_meanwhile_is_an_error(path):
    tables = OpenTables()
    put(str(path), 1)
    tables.newest(path)

    (path / "_delta_log" / f"{1:020d}.json").write_text("{")

    with pytest.raises(DeltaError):
        tables.newest(path)


def test_a_table_whose_commits_were_cleaned_up_is_opened_anew(path):
    put(str(path), 1)
    DeltaTable(str(path)).create_checkpoint()
    for commit in (path / "_delta_log").glob("*.json"):
        commit.unlink()
    tables = OpenTables()

    assert seen_by(tables, path) == seen_by(tables, path) == [1]


def test_a_snapshot_is_made_once_per_version(path):
    tables, made = OpenTables(), []

    def make(delta):
        made.append(delta.version())
        return snapshot_of(delta)

    assert tables.snapshot(path, make) is tables.snapshot(path, make)
    put(str(path), 1)
    assert tables.snapshot(path, make).version == 1
    put(tables.newest(path), 2)
    assert tables.snapshot(path, make).version == 2
    assert made == [0, 1, 2]


def test_after_a_failed_write_the_table_is_opened_anew(path, openings):
    tables = OpenTables()
    tables.newest(path)

    with pytest.raises(ZeroDivisionError), tables.forgetting(path):
        raise ZeroDivisionError

    tables.newest(path)
    assert len(openings) == 2


def test_threads_have_handles_of_their_own(path):
    tables, found = OpenTables(), []
    mine = tables.newest(path)

    thread = threading.Thread(target=lambda: found.append(tables.newest(path)))
    thread.start()
    thread.join()

    assert found[0] is not mine
    assert tables.newest(path) is mine
