import os
import time
from datetime import date, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lt4rec_core.data import vacuum as vacuum_module
from lt4rec_core.data.lake import EMPTY_DAYS, Lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.data.vacuum import compact, vacuum
from lt4rec_core.errors import LakeError

CLICKS, MONDAY = "samples.clicks", date(2022, 4, 25)
HEADER = """\
-- A table.
-- grain: one row
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
"""


@pytest.fixture
def lake(tmp_path):
    path = tmp_path / "sql" / "samples" / "clicks.sql"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER)
    lake = Lake(tmp_path / "home")
    lake.create([read_sql_file(path)])
    return lake


def rows(*users):
    return pa.table({"dt": pa.array([MONDAY] * len(users), pa.date32()), "user_id": pa.array(users)})


def put(lake, *users):
    return lake.publish(lake.stage(CLICKS, MONDAY, rows(*users).to_reader())).version


def users_at(lake, version):
    table = DeltaTable(lake.table_uri(CLICKS), version=version).to_pyarrow_table()
    return table["user_id"].to_pylist()


def test_cited_versions_and_the_newest_stay_readable_and_the_others_go(lake):
    old, cited, _ = put(lake, "a"), put(lake, "b"), put(lake, "c")

    (done,) = vacuum(lake, retention=timedelta(0), cited={CLICKS: [cited, 999]})

    assert (done.table, done.n_files, done.kept_versions) == (CLICKS, 1, (cited,))
    assert done.n_bytes > 0
    assert users_at(lake, cited) == ["b"]
    assert lake.open(CLICKS, MONDAY, MONDAY, ["user_id"]).read_all()["user_id"].to_pylist() == ["c"]
    with pytest.raises(OSError, match=r"parquet"):
        users_at(lake, old)


def test_a_version_younger_than_the_retention_stays(lake):
    old, _ = put(lake, "a"), put(lake, "b")

    (done,) = vacuum(lake, retention=timedelta(days=7), cited={})

    assert done.n_files == 0
    assert users_at(lake, old) == ["a"]


def test_a_rehearsal_removes_nothing(lake):
    old, _ = put(lake, "a"), put(lake, "b")

    (done,) = vacuum(lake, retention=timedelta(0), cited={}, dry_run=True)

    assert done.n_files == 1
    assert users_at(lake, old) == ["a"]


def test_what_a_killed_writer_left_goes_once_it_is_old(lake):
    put(lake, "a")
    left = lake.root / "samples" / "clicks" / f"dt={MONDAY}" / "part-left.parquet"
    left.write_bytes(b"half")
    vacuum(lake, retention=timedelta(days=7), cited={})
    assert left.exists()

    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(left, (eight_days_ago, eight_days_ago))
    vacuum(lake, retention=timedelta(days=7), cited={})

    assert not left.exists()


def test_the_log_of_an_older_home_is_kept_from_now_on(lake):
    put(lake, "a")
    DeltaTable(lake.table_uri(CLICKS)).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})

    vacuum(lake, retention=timedelta(days=7), cited={})

    configuration = DeltaTable(lake.table_uri(CLICKS)).metadata().configuration
    assert configuration["delta.enableExpiredLogCleanup"] == "false"


def test_small_files_of_a_day_are_joined_and_no_row_is_lost(lake):
    n = vacuum_module.COMPACT_FROM
    for i in range(n):
        lake.append(CLICKS, MONDAY, rows(f"u{i}"))

    assert compact(lake, CLICKS) == n - 1

    assert len(lake.files(CLICKS)) == 1
    assert sorted(users_at(lake, lake.version(CLICKS))) == [f"u{i}" for i in range(n)]
    assert compact(lake, CLICKS) == 0


def test_a_damaged_table_is_named(lake):
    put(lake, "a")
    for entry in (lake.root / "samples" / "clicks" / "_delta_log").glob("*.json"):
        entry.write_text("{")

    with pytest.raises(LakeError, match=r"samples\.clicks in .* cannot be vacuumed"):
        vacuum(lake, retention=timedelta(0), cited={})


def test_the_marks_of_empty_days_survive(lake):
    lake.publish(lake.stage(CLICKS, MONDAY, rows().cast(rows("a").schema).to_reader()))
    mark = lake.root / "samples" / "clicks" / EMPTY_DAYS / str(MONDAY)
    long_ago = time.time() - 100 * 24 * 3600
    os.utime(mark, (long_ago, long_ago))

    vacuum(lake, retention=timedelta(0), cited={})

    assert mark.exists()
