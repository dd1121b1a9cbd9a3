import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError

from lt4rec_core.data import lake as lake_module
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeError

HEADER = """\
-- A table.
-- grain: one row
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
--   at timestamp when
--   ids integer[] some
"""
MONDAY, TUESDAY = date(2022, 4, 25), date(2022, 4, 26)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "sql" / "samples" / "clicks.sql"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER)
    return read_sql_file(path)


@pytest.fixture
def lake(tmp_path, table):
    lake = Lake(tmp_path / "ho me? of *'us'")
    lake.create([table])
    return lake


def rows(day, *users):
    """A stream of rows of one day."""
    data = {
        "dt": pa.array([day] * len(users), pa.date32()),
        "user_id": pa.array(users, pa.string()),
        "at": pa.array([datetime(2022, 4, 25, 1)] * len(users), pa.timestamp("us")),
        "ids": pa.array([[1, 2]] * len(users), pa.list_(pa.int32())),
    }
    return pa.table(data).to_reader(max_chunksize=2)


def put(lake, day, *users):
    return lake.publish(lake.stage("samples.clicks", day, rows(day, *users)))


def users(lake, first=MONDAY, last=TUESDAY):
    return lake.open("samples.clicks", first, last, ["user_id"]).read_all()["user_id"].to_pylist()


def test_creating_is_idempotent(lake, table):
    lake.create([table])

    assert lake.names() == ["samples.clicks"]
    assert lake.version("samples.clicks") == 0
    assert lake.days("samples.clicks") == []


def test_of_several_that_start_at_once_one_creates_each_table(tmp_path, table):
    start = threading.Barrier(4)

    def create(_):
        start.wait()
        Lake(tmp_path / "home").create([table])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(4)))

    assert Lake(tmp_path / "home").version("samples.clicks") == 0


def test_a_table_that_is_there_with_other_columns_is_refused(lake, table):
    table.path.write_text(HEADER.replace("ids integer[]", "ids bigint[]") + "--   extra double more\n")

    with pytest.raises(LakeError, match=r"extra is new; ids is list<element: int64>, was .*new folder"):
        lake.create([read_sql_file(table.path)])


def test_staged_rows_are_invisible_until_published(lake):
    staged = lake.stage("samples.clicks", MONDAY, rows(MONDAY, "b", "a", "c"))

    assert (staged.n_rows, staged.path.parent) == (3, lake.staging)
    assert users(lake) == []

    published = lake.publish(staged)

    assert (published.version, published.n_rows, published.day) == (1, 3, MONDAY)
    assert users(lake) == ["a", "b", "c"]
    assert list(lake.staging.iterdir()) == []


def test_publishing_replaces_its_day_and_no_other(lake):
    put(lake, MONDAY, "a", "b")
    put(lake, TUESDAY, "c")

    put(lake, MONDAY, "z")

    assert users(lake) == ["z", "c"]
    assert lake.days("samples.clicks") == [MONDAY, TUESDAY]


def test_publishing_no_rows_empties_the_day_and_keeps_the_table_typed(lake):
    put(lake, MONDAY, "a")
    put(lake, TUESDAY, "b")

    put(lake, MONDAY)

    assert lake.days("samples.clicks") == [TUESDAY]
    empty = lake.open("samples.clicks", MONDAY, MONDAY).read_all()
    assert empty.num_rows == 0
    assert [str(t) for t in empty.schema.types] == [
        "date32[day]", "string", "timestamp[us]", "list<element: int32>"
    ]  # fmt: skip


def test_values_come_back_as_they_went(lake):
    hostile = ["", "\x00", "a'b", "\n\x1b", 'q"q', "é" * 200]
    put(lake, MONDAY, *hostile)

    table = lake.open("samples.clicks", MONDAY, MONDAY).read_all()

    assert table["user_id"].to_pylist() == sorted(hostile)
    assert table["at"].to_pylist() == [datetime(2022, 4, 25, 1)] * 6
    assert table["ids"].to_pylist() == [[1, 2]] * 6


def test_the_ends_of_time_can_be_stored(lake):
    """DuckDB's infinite timestamps are the largest and smallest int64."""
    reader = rows(MONDAY, "a", "b", "c").read_all()
    at = pa.array([2**63 - 1, -(2**63 - 1), None], pa.int64()).cast(pa.timestamp("us"))
    lake.publish(lake.stage("samples.clicks", MONDAY, reader.set_column(2, "at", at).to_reader()))

    with lake.scratch() as con:
        sql = lake.snapshot("samples.clicks").select(con, MONDAY, MONDAY, ["user_id", "at"])
        text = f'select user_id, cast("at" as varchar) from ({sql}) order by user_id'
        found = con.execute(text).fetchall()
    assert found == [("a", "infinity"), ("b", "-infinity"), ("c", None)]


def test_columns_and_days_can_be_chosen(lake):
    put(lake, MONDAY, "a")
    put(lake, TUESDAY, "b")

    table = lake.open("samples.clicks", TUESDAY, TUESDAY, ["ids", "dt"]).read_all()

    assert table.to_pylist() == [{"ids": [1, 2], "dt": TUESDAY}]
    assert len(lake.files("samples.clicks", TUESDAY, TUESDAY)) == 1


def test_an_unknown_column_is_named(lake):
    with pytest.raises(LakeError, match=r"samples\.clicks has no column age; it has dt, user_id, at, ids"):
        lake.open("samples.clicks", MONDAY, MONDAY, ["age"])


def test_an_unknown_table_is_answered_with_those_there_are(lake):
    with pytest.raises(LakeError, match=r"no table samples\.buys in .*there are: samples\.clicks"):
        lake.version("samples.buys")


def test_a_snapshot_does_not_see_what_is_published_after_it(lake):
    put(lake, MONDAY, "a")
    before = lake.snapshot("samples.clicks")
    put(lake, MONDAY, "b")

    with lake.scratch() as con:
        assert con.execute(before.select(con, None, None, ["user_id"])).fetchall() == [("a",)]
    assert before.version == 1


def test_a_row_of_another_day_is_refused_and_nothing_stays(lake):
    with pytest.raises(LakeError, match=r"staged for samples\.clicks of 2022-04-25 hold dt = 2022-04-26"):
        lake.stage("samples.clicks", MONDAY, rows(TUESDAY, "a"))

    assert list(lake.staging.iterdir()) == []


def test_rows_with_other_columns_are_refused(lake):
    reader = rows(MONDAY, "a").read_all().drop_columns("ids").to_reader()

    with pytest.raises(LakeError, match="ids is missing"):
        lake.stage("samples.clicks", MONDAY, reader)


def test_a_stream_that_breaks_leaves_nothing_staged(lake):
    def breaking():
        yield from rows(MONDAY, "a", "b", "c")
        raise ValueError("the source broke")

    schema = rows(MONDAY).schema
    with pytest.raises(ValueError, match="the source broke"):
        lake.stage("samples.clicks", MONDAY, pa.RecordBatchReader.from_batches(schema, breaking()))

    assert list(lake.staging.iterdir()) == []


def test_discarding_removes_the_staged_file(lake):
    staged = lake.stage("samples.clicks", MONDAY, rows(MONDAY, "a"))
    lake.discard(staged)

    assert list(lake.staging.iterdir()) == []
    with pytest.raises(LakeError, match=r"is gone: samples\.clicks of 2022-04-25 was published or discarded"):
        lake.publish(staged)


def test_a_data_file_that_was_written_and_never_committed_is_not_seen(lake):
    """What a process leaves that dies between writing a day's file and committing it."""
    lake.publish(lake.stage("samples.clicks", MONDAY, rows(MONDAY, "a")))
    (committed,) = [Path(path) for path in lake.files("samples.clicks")]
    shutil.copy(committed, committed.with_name("part-of-a-dead-process.parquet"))
    shutil.copy(committed, committed.with_name("part-of-a-dead-process.parquet#1"))

    assert users(lake) == ["a"]
    lake.publish(lake.stage("samples.clicks", MONDAY, rows(MONDAY, "b")))
    assert users(lake) == ["b"]


def test_a_lost_commit_is_tried_again(lake, monkeypatch):
    real, lost = lake_module.replace_day, []

    def losing_twice(*args, **kwargs):
        if len(lost) < 2:
            lost.append(1)
            raise CommitFailedError("another writer was faster")
        return real(*args, **kwargs)

    monkeypatch.setattr(lake_module, "replace_day", losing_twice)
    monkeypatch.setattr(lake_module.time, "sleep", lambda s: None)

    put(lake, MONDAY, "a")

    assert len(lost) == 2
    assert users(lake) == ["a"]


def test_commits_lost_for_good_are_an_error_and_leave_nothing(lake, monkeypatch):
    def losing(*args, **kwargs):
        raise CommitFailedError("another writer was faster")

    monkeypatch.setattr(lake_module, "replace_day", losing)
    monkeypatch.setattr(lake_module.time, "sleep", lambda s: None)
    staged = lake.stage("samples.clicks", MONDAY, rows(MONDAY, "a"))

    with pytest.raises(LakeError, match="lost 10 commits to other writers"):
        lake.publish(staged)

    assert not staged.path.exists()
    assert list(lake.root.rglob("*.parquet")) == []
    assert users(lake) == []


def test_writers_of_the_same_day_leave_the_rows_of_one(lake):
    staged = [lake.stage("samples.clicks", MONDAY, rows(MONDAY, f"{n}a", f"{n}b")) for n in range(4)]
    threads = [threading.Thread(target=lake.publish, args=[s]) for s in staged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    left = users(lake)
    assert len(left) == 2
    assert left[0][0] == left[1][0]
    assert lake.version("samples.clicks") == 4


def test_readers_see_a_whole_day_while_it_is_replaced(lake):
    put(lake, MONDAY, *"aaaa")
    stop, torn = threading.Event(), []

    def reading():
        while not stop.is_set():
            seen = users(lake)
            if len(seen) != 4 or len(set(seen)) != 1:
                torn.append(seen)

    reader = threading.Thread(target=reading)
    reader.start()
    for letter in "bcdefghi":
        put(lake, MONDAY, *letter * 4)
    stop.set()
    reader.join()

    assert torn == []
    assert users(lake) == ["i"] * 4


def test_an_unwritable_home_is_named_with_the_reason(tmp_path, table):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(
        LakeError, match=r"cannot write .*file/home.*Not a directory.*LT4REC_HOME is .*file/home"
    ):
        Lake(tmp_path / "file" / "home").create([table])


def test_a_home_whose_path_delta_cannot_have_is_refused(tmp_path, table):
    with pytest.raises(LakeError, match=r"has '\[' '\]' in its path"):
        Lake(tmp_path / "ho[m]e").create([table])

    assert not (tmp_path / "ho[m]e").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_without_write_permission_is_named_with_the_reason(tmp_path, table):
    home = tmp_path / "locked"
    home.mkdir(mode=0o500)

    with pytest.raises(LakeError, match="Permission denied"):
        Lake(home).create([table])


def test_a_damaged_table_is_an_error_that_names_it(lake):
    put(lake, MONDAY, "a")
    for commit in (lake.root / "samples" / "clicks" / "_delta_log").glob("*.json"):
        commit.write_text("{ not json")

    with pytest.raises(LakeError, match=r"table samples\.clicks in .* cannot be read"):
        lake.snapshot("samples.clicks")


def test_what_a_dead_process_left_is_swept_and_what_lives_stays(lake):
    script = f"""
import os, sys
from datetime import date
from pathlib import Path
from lt4rec_core.data.staging import scratch_name, staged_name
home = Path({str(lake.staging)!r})
(home / staged_name("samples.clicks", date(2022, 4, 25))).write_text("half")
(home / scratch_name()).mkdir()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    mine = lake.stage("samples.clicks", MONDAY, rows(MONDAY, "a"))
    # Staging sweeps first.
    assert list(lake.staging.iterdir()) == [mine.path]
    assert lake.sweep() == []

    lake.publish(mine)
    assert users(lake) == ["a"]


def test_appending_keeps_what_is_there_and_refuses_other_days_and_columns(lake):
    put(lake, MONDAY, "a")

    version = lake.append("samples.clicks", MONDAY, rows(MONDAY, "b", "c").read_all())

    assert version == lake.version("samples.clicks") == 2
    assert sorted(users(lake)) == ["a", "b", "c"]
    with pytest.raises(LakeError, match="A partition holds one day"):
        lake.append("samples.clicks", MONDAY, rows(TUESDAY, "d").read_all())
    with pytest.raises(LakeError, match="ids is missing"):
        lake.append("samples.clicks", MONDAY, rows(MONDAY, "d").read_all().drop_columns("ids"))
