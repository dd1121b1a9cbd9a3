"""A written file takes the place of a day's rows, in one commit that follows the version it was made for."""

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lt4rec_core.data.replacing import moved_in, replace_day

MONDAY, TUESDAY = date(2022, 4, 25), date(2022, 4, 26)
SCHEMA = pa.schema([("dt", pa.date32()), ("n", pa.int64())])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table"
    path.mkdir()
    DeltaTable.create(str(path), SCHEMA, partition_by=["dt"])
    return path


def staged(table, day, *values):
    path = table.parent / "staged.parquet"
    pq.write_table(pa.table({"dt": [day] * len(values), "n": values}, schema=SCHEMA), path)
    return path


def replace(table, day, *values, delta=None):
    with moved_in(staged(table, day, *values), table, day) as file:
        replace_day(delta or DeltaTable(str(table)), SCHEMA, day, file, len(values), {"day": str(day)})


def rows(table):
    return sorted((r["dt"], r["n"]) for r in DeltaTable(str(table)).to_pyarrow_table().to_pylist())


def test_a_day_is_replaced_and_no_other(table):
    replace(table, MONDAY, 1, 2)
    replace(table, TUESDAY, 3)
    replace(table, MONDAY, 4)

    assert rows(table) == [(MONDAY, 4), (TUESDAY, 3)]


def test_the_file_is_the_staged_one_moved(table):
    content = staged(table, MONDAY, 7).read_bytes()
    replace(table, MONDAY, 7)

    (uri,) = DeltaTable(str(table)).file_uris()
    assert Path(uri).read_bytes() == content
    assert not (table.parent / "staged.parquet").exists()


def test_a_day_without_rows_has_no_file_and_its_commit_is_there(table):
    replace(table, MONDAY, 1)
    replace_day(DeltaTable(str(table)), SCHEMA, MONDAY, None, 0, {"day": "none"})

    assert rows(table) == []
    assert DeltaTable(str(table)).history(1)[0]["day"] == "none"


@pytest.mark.parametrize("day", [MONDAY, TUESDAY])
def test_whoever_follows_an_older_version_is_refused_and_leaves_no_file(table, day):
    """The first write of a day included: two that both succeeded would leave the rows of both."""
    old = DeltaTable(str(table))
    replace(table, MONDAY, 1)

    with pytest.raises(CommitFailedError):
        replace(table, day, 2, delta=old)

    assert rows(table) == [(MONDAY, 1)]
    assert len(list(table.rglob("part-*.parquet"))) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_committed_stays_when_the_writer_is_interrupted_just_after(table, error):
    def publish():
        with moved_in(staged(table, MONDAY, 1), table, MONDAY) as file:
            replace_day(DeltaTable(str(table)), SCHEMA, MONDAY, file, 1, {})
            raise error

    with pytest.raises(error):
        publish()

    assert rows(table) == [(MONDAY, 1)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_not_committed_goes_when_the_writer_is_interrupted_before(table, error):
    with pytest.raises(error), moved_in(staged(table, MONDAY, 1), table, MONDAY):
        raise error

    assert not list(table.rglob("part-*.parquet"))


def test_other_readers_take_the_day_from_the_folder(table):
    replace(table, MONDAY, 5)
    files = DeltaTable(str(table)).file_uris()

    with duckdb.connect() as con:
        found = con.execute("select dt, n from read_parquet(?, hive_partitioning = true)", [files]).fetchall()
    assert found == [(MONDAY, 5)]


def test_a_file_that_is_not_there_is_said_so_and_nothing_is_left(table):
    with pytest.raises(FileNotFoundError), moved_in(table.parent / "gone.parquet", table, MONDAY):
        raise AssertionError("the block must not run")

    assert list(table.rglob("part-*.parquet")) == []
