"""The same tables in a folder and in a bucket: written, read, asked, swept alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError

from lt4rec_core.data import lake as lake_module
from lt4rec_core.data import objects
from lt4rec_core.data.analyst import commits, connect, query, refresh
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import RemotePath, listed, place
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.data.vacuum import vacuum
from lt4rec_core.errors import LakeConflictError, LakeError, StoreError

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
CLICKS = "samples.clicks"


@pytest.fixture
def declared(tmp_path):
    path = tmp_path / "sql" / "samples" / "clicks.sql"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER)
    return [read_sql_file(path)]


@pytest.fixture
def bucket(in_store, tmp_path):
    """A home in a bucket that nobody else has."""
    return place(f"s3://bucket-of-tables/{tmp_path.parent.name}/{tmp_path.name}")


@pytest.fixture(params=["folder", "bucket"])
def lake(request, tmp_path, declared):
    home = tmp_path / "home" if request.param == "folder" else request.getfixturevalue("bucket")
    made = Lake(home)
    made.create(declared)
    return made


def rows(day, *users):
    data = {
        "dt": pa.array([day] * len(users), pa.date32()),
        "user_id": pa.array(users, pa.string()),
        "at": pa.array([datetime(2022, 4, 25, 1)] * len(users), pa.timestamp("us")),
        "ids": pa.array([[1, 2]] * len(users), pa.list_(pa.int32())),
    }
    return pa.table(data)


def put(lake, day, *users):
    return lake.publish(lake.stage(CLICKS, day, rows(day, *users).to_reader()))


def users(lake, first=MONDAY, last=TUESDAY):
    return lake.open(CLICKS, first, last, ["user_id"]).read_all()["user_id"].to_pylist()


def test_a_snapshot_tells_what_a_day_holds_by_the_names_of_its_files(lake):
    held = []
    for names in ("ab", "abc", "ab"):
        published = put(lake, MONDAY, *names)
        held.append(lake.snapshot(CLICKS).contents(MONDAY))
        assert held[-1] == [published.digest[:16]]

    assert held[0] == held[2] != held[1], "the same rows again are the same content"
    assert lake.snapshot(CLICKS).contents(TUESDAY) == []


def test_days_are_published_replaced_and_read_in_the_order_of_their_key(lake):
    put(lake, TUESDAY, "d", "c")
    put(lake, MONDAY, "old")
    published = put(lake, MONDAY, "b", "a")

    assert users(lake) == ["a", "b", "c", "d"]
    assert lake.open(CLICKS, MONDAY, MONDAY).read_all().to_pylist()[0]["ids"] == [1, 2]
    assert (published.version, lake.version(CLICKS)) == (3, 3)
    assert lake.days(CLICKS) == [MONDAY, TUESDAY]
    assert not list(lake.staging.iterdir())


def test_a_day_without_rows_is_published_too(lake):
    put(lake, MONDAY, "a")
    put(lake, MONDAY)

    assert lake.days(CLICKS) == []
    assert lake.published(CLICKS) == {MONDAY}
    assert users(lake) == []


def test_rows_are_added_beside_those_that_are_there(lake):
    put(lake, MONDAY, "b")
    lake.append(CLICKS, MONDAY, rows(MONDAY, "a"))

    assert users(lake) == ["a", "b"]
    with lake.scratch() as con:
        scan = lake.snapshot(CLICKS).select(con, MONDAY, MONDAY, ["dt", "user_id"])
        assert con.execute(f"{scan} order by user_id").fetchall() == [(MONDAY, "a"), (MONDAY, "b")]


def test_what_others_publish_is_seen_at_once_and_a_snapshot_stays_as_it_was(lake):
    put(lake, MONDAY, "a")
    before = lake.snapshot(CLICKS)
    with ThreadPoolExecutor(1) as other:  # which has handles of its own
        other.submit(put, Lake(lake.home), MONDAY, "b").result()

    assert users(lake) == ["b"]
    with lake.scratch() as con:
        assert con.execute(before.select(con, None, None, ["user_id"])).fetchall() == [("a",)]


def test_writers_of_one_day_and_of_several_lose_nothing(lake):
    days = [MONDAY + timedelta(days=i % 3) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda one: put(Lake(lake.home), one[1], f"user-{one[0]}"), enumerate(days)))

    assert sorted(p.version for p in made) == [1, 2, 3, 4, 5, 6]
    last = {d: max((p.version, i) for i, p in enumerate(made) if p.day == d)[1] for d in set(days)}
    assert users(lake, days[0], days[2]) == [f"user-{last[d]}" for d in sorted(last)]


def test_whoever_loses_every_commit_says_so_and_leaves_nothing(lake, monkeypatch):
    put(lake, MONDAY, "a")

    def losing(*args):
        raise CommitFailedError("a later version is there")

    monkeypatch.setattr(lake_module, "replace_day", losing)
    monkeypatch.setattr(lake_module.time, "sleep", lambda s: None)
    with pytest.raises(LakeConflictError, match="lost 10 commits"):
        put(lake, MONDAY, "b")

    files = [p.name for p in listed(lake.folder(CLICKS), "dt=*/*")]
    assert files == [p.name for p in lake.snapshot(CLICKS).between(None, None)]


def test_a_commit_whose_answer_is_lost_on_its_way_is_made_once(lake, monkeypatch):
    real = lake_module.replace_day

    def losing_the_answer(*args):
        real(*args)
        raise CommitFailedError("version 1 is there")

    monkeypatch.setattr(lake_module, "replace_day", losing_the_answer)
    monkeypatch.setattr(lake_module.time, "sleep", lambda s: None)

    assert put(lake, MONDAY, "a").version == 1
    assert users(lake) == ["a"]


def test_an_analyst_asks_of_now_of_then_and_of_a_version(lake):
    put(lake, MONDAY, "a")
    then = datetime.now(UTC) + timedelta(milliseconds=2)
    with connect(lake.home) as con:
        assert query(con, f"select user_id, ids[2] from {CLICKS}").fetchall() == [("a", 2)]
        put(lake, MONDAY, "b")
        assert query(con, f"select user_id from {CLICKS}").fetchall() == [("a",)]
        refresh(con, lake.home)
        assert query(con, f"select user_id from {CLICKS} where dt = '{MONDAY}'").fetchall() == [("b",)]
    with connect(lake.home, as_of=then) as con:
        assert query(con, f"select user_id from {CLICKS}").fetchall() == [("a",)]
    with connect(lake.home, versions={CLICKS: 0}) as con:
        assert query(con, f"from {CLICKS}").fetchall() == []
    assert [(c.version, c.day) for c in commits(lake, CLICKS)] == [
        (2, str(MONDAY)),
        (1, str(MONDAY)),
        (0, None),
    ]


def test_a_vacuum_says_how_much_it_removes_and_keeps_what_is_cited(lake):
    for name in ("a", "b", "c"):
        put(lake, MONDAY, name)
    asked = {"retention": timedelta(0), "cited": {CLICKS: [1]}}

    (rehearsed,) = vacuum(lake, **asked, dry_run=True)
    (done,) = vacuum(lake, **asked)

    assert rehearsed == done
    assert (done.n_files, done.n_bytes > 500) == (1, True)
    assert users(lake) == ["c"]
    assert len(listed(lake.folder(CLICKS), "dt=*/*")) == 2


def test_a_table_with_other_columns_is_refused(lake, tmp_path):
    other = tmp_path / "other" / "samples" / "clicks.sql"
    other.parent.mkdir(parents=True)
    other.write_text(HEADER.replace("--   ids integer[] some\n", ""))

    with pytest.raises(LakeError, match=r"has other columns than .* declares: ids is missing"):
        lake.create([read_sql_file(other, table=CLICKS)])


def test_a_damaged_file_is_named(lake):
    put(lake, MONDAY, "a")
    (path,) = lake.snapshot(CLICKS).between(None, None)
    if isinstance(path, RemotePath):
        objects.write(path.bucket, path.key, b"PAR1" + b"x" * ((path.size or 8) - 8) + b"PAR1")
    else:
        path.write_bytes(b"x" * path.stat().st_size)

    with pytest.raises(LakeError, match=f"{path.name} is damaged: .* materialise that day again"):
        users(lake)


def test_of_several_that_create_a_table_in_a_bucket_one_does(bucket, declared):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Lake(bucket).create(declared), range(4)))

    assert Lake(bucket).names() == [CLICKS]
    assert Lake(bucket).version(CLICKS) == 0


def test_a_store_without_conditional_writes_gets_no_table(in_store, declared):
    with pytest.raises(StoreError, match="no conditional writes"):
        Lake("s3://forgetful-tables/home").create(declared)
    assert not list(objects.below("forgetful-tables", "home"))


def test_one_column_of_one_day_is_read_and_not_the_rest(bucket, in_store, declared):
    """Columns, and conditions on a row group's range, reach the file: else a bucket would be read whole."""
    lake, n = Lake(bucket), 400_000
    lake.create(declared)
    ids = pa.array([[i * 7919 % 1_000_003, i * 104_729 % 1_000_003] for i in range(n)], pa.list_(pa.int32()))
    many = rows(MONDAY, *(f"{i:08}" for i in range(n))).set_column(3, "ids", ids)
    lake.publish(lake.stage(CLICKS, MONDAY, many.to_reader()))
    (path,) = lake.snapshot(CLICKS).between(None, None)

    def read(select):
        with lake.scratch() as con:
            scan = lake.snapshot(CLICKS).select(con, MONDAY, MONDAY)
            in_store.counts()
            answer = con.execute(f"select {select.format(f'({scan})')}").fetchall()
            return answer, in_store.counts()["bytes read"] / path.size

    everything, whole = read("count(distinct ids) from {}")
    column, part = read("max(user_id) from {}")
    few, group = read("max(ids) from {} where user_id < '00000010'")

    assert (column, len(everything), len(few)) == ([("00399999",)], 1, 1)
    assert part < 0.5 * whole
    assert group < 0.5 * whole
