from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from lt4rec_core.data.analyst import commits, connect, query, refresh
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.lake import connect as connect_lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.data.vacuum import vacuum
from lt4rec_core.errors import LakeError, QueryError

MONDAY = date(2022, 4, 25)
TABLE = """\
-- A table.
-- grain: one row
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
"""
VIEW = TABLE.replace("-- columns", "-- inputs: samples.clicks\n-- columns") + (
    "\nselect dt, user_id from samples.clicks where user_id <> 'a'\n"
)


@pytest.fixture
def lake(tmp_path):
    files = []
    for name, text in (("samples/clicks.sql", TABLE), ("views/samples/others.sql", VIEW)):
        path = tmp_path / "sql" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        files.append(read_sql_file(path))
    lake = Lake(tmp_path / "home")
    lake.create(files)
    return lake


def put(lake, *users):
    table = pa.table(
        {"dt": pa.array([MONDAY] * len(users), pa.date32()), "user_id": pa.array(users, pa.string())}
    )
    lake.publish(lake.stage("samples.clicks", MONDAY, table.to_reader()))


def test_tables_are_typed_and_empty_before_the_first_day(lake):
    answer = query(connect(lake.home), "from samples.clicks")

    assert answer.fetchall() == []
    assert [str(t) for t in answer.types] == ["DATE", "VARCHAR"]


def test_a_view_without_storage_is_there_beside_the_tables(lake):
    put(lake, "a", "b")

    assert query(connect(lake.home), "select user_id from samples.others").fetchall() == [("b",)]


def test_lake_connect_is_the_short_way_and_finds_the_home_of_the_environment(lake, monkeypatch):
    put(lake, "a")
    monkeypatch.setenv("LT4REC_HOME", str(lake.home))

    assert connect_lake().sql("select user_id from samples.clicks").fetchall() == [("a",)]
    assert connect_lake(lake.home, versions={"samples.clicks": 0}).sql("from samples.clicks").fetchall() == []


def test_a_view_that_this_lake_cannot_make_says_so_and_keeps_nobody_from_the_others(lake):
    put(lake, "a")
    (lake.views / "samples.newer.sql").write_text("select dt from tickets.search_rounds")
    con = connect(lake.home)

    assert query(con, "select user_id from samples.clicks").fetchall() == [("a",)]
    for text in ("from samples.newer", "select count(*) from samples.newer"):
        with pytest.raises(QueryError, match=r"view samples\.newer cannot be made.*search_rounds"):
            query(con, text)


def test_a_connection_keeps_its_snapshot_until_it_is_refreshed(lake):
    put(lake, "a")
    con = connect(lake.home)
    put(lake, "b", "c")

    assert query(con, "select user_id from samples.clicks").fetchall() == [("a",)]
    refresh(con, lake.home)
    assert query(con, "select user_id from samples.clicks order by 1").fetchall() == [("b",), ("c",)]


@pytest.mark.parametrize(
    "text", ["describe samples.clicks", "show all tables", "table samples.clicks;", "values (1)"]
)
def test_ways_of_looking_are_selects_too(lake, text):
    assert query(connect(lake.home), text).columns


ESCAPES = [
    "copy (select 1) to '{home}/out.csv'",
    "copy samples.clicks to '{home}/out.parquet'",
    "attach '{home}/out.db'",
    "export database '{home}/out'",
    "drop view samples.clicks",
    "create table t as select 1",
    "create or replace view samples.clicks as select 1",
    "insert into samples.clicks values (date '2022-01-01', 'x')",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "reset lock_configuration",
    "pragma enable_profiling",
    "call enable_logging()",
    "use samples",
    "begin",
    "select 1; drop view samples.clicks",
    "select 1; select 2",
    "",
    "-- only a comment",
    "selec 1",
    "pivot samples.clicks on user_id",
    "from read_csv('/etc/passwd')",
    "from '/etc/passwd'",
    "from read_text('/etc/passwd')",
    "from read_blob('/etc/passwd')",
    "from read_parquet('{home}/lake/*/*/*/*.parquet')",
    "from parquet_metadata('{home}/lake/*/*/*/*.parquet')",
    "from sniff_csv('/etc/passwd')",
    "from glob('/*')",
    "from duckdb_secrets()",
    "from query('drop view samples.clicks')",
    "from \"enable_logging\"(storage = 'file', storage_path = '{home}/log')",
    "copy (select 1) to '{clicks}'",  # a file of the lake overwritten
    "copy samples.clicks from '/etc/passwd'",
    "copy (select 1) to '/dev/stdout'",
    "attach ':memory:' as other",
    "attach '{home}/out.db' (read_only)",
    "detach memory",
    "import database '{home}/out'",
    "delete from samples.clicks",
    "update samples.clicks set user_id = 'b'",
    "truncate samples.clicks",
    "alter view samples.clicks rename to other",
    "comment on view samples.clicks is 'mine'",
    "create macro f() as 1",
    "create secret s (type s3)",
    "prepare q as select 1",
    "force install httpfs",
    "install httpfs from 'http://127.0.0.1/'",
    "load '{home}/out.duckdb_extension'",
    "set memory_limit = '1TB'",
    "set threads = 99",
    "set temp_directory = '{home}/out'",
    "set home_directory = '{home}'",
    "set variable x = 1",
    "vacuum",
    "checkpoint",
    "explain analyze select 1",
    "select getenv('HOME')",
    "from 'https://example.com/x.csv'",
    "from read_json('/etc/hostname')",
    "from read_ndjson_objects('/etc/hostname')",
    "from read_text('/proc/self/environ')",
    "from read_blob('/proc/self/environ')",
    "from read_text('{clicks}')",
    "from parquet_schema('{clicks}')",
    "from which_secret('{clicks}', 's3')",
    "from disable_logging()",
    "from lake",
    "from samples.nothing",
    "select cast('x' as integer)",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_but_reading_the_tables_is_possible(lake, text):
    put(lake, "a")
    con = connect(lake.home)
    before = sorted(p for p in lake.home.rglob("*"))

    with pytest.raises(QueryError):
        query(con, text.format(home=lake.home, clicks=lake.files("samples.clicks")[0]))

    assert sorted(p for p in lake.home.rglob("*")) == before
    assert query(con, "select user_id from samples.clicks").fetchall() == [("a",)]


def test_a_refused_statement_is_named(lake):
    with pytest.raises(QueryError, match="only one SELECT is answered, got SELECT, DROP"):
        query(connect(lake.home), "select 1; drop view samples.clicks")


REACHING_OUT = [
    "copy (select 1) to '{home}/x.csv'",
    "copy (select 1) to '{clicks}'",
    "attach '{home}/x.db'",
    "export database '{home}/x'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set memory_limit = '1TB'",
    "install httpfs",
    "load httpfs",
    "select getenv('HOME')",
    "from '/etc/passwd'",
    "from read_text('/etc/passwd')",
    "from read_parquet('{clicks}')",
    "from glob('/*')",
    "from 'https://example.com/x.csv'",
]
"""What whoever has the connection itself cannot do; its views and tables in memory are his own."""


def test_the_lock_holds_below_query_as_well(lake):
    put(lake, "a")
    con, before = connect(lake.home), set(lake.home.rglob("*"))

    refused = r"disabled|Cannot change|does not exist|configuration has been locked"
    for text in REACHING_OUT:
        with pytest.raises(duckdb.Error, match=refused):
            con.execute(text.format(home=lake.home, clicks=lake.files("samples.clicks")[0]))

    assert set(lake.home.rglob("*")) == before
    assert query(connect(lake.home), "select user_id from samples.clicks").fetchall() == [("a",)]


def test_a_home_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LakeError, match=r"the home .*nowhere does not exist. Set LT4REC_HOME"):
        connect(tmp_path / "nowhere")


def test_a_home_without_tables_says_so(tmp_path):
    with pytest.raises(LakeError, match="holds no tables yet"):
        connect(tmp_path)


def test_a_pivot_without_its_values_is_told_how_to_become_one_select(lake):
    with pytest.raises(QueryError, match="names its values"):
        query(connect(lake.home), "pivot (select 1 as a, 'x' as b) on b using sum(a)")


def seen(con):
    return [row[0] for row in query(con, "select user_id from samples.clicks order by 1").fetchall()]


@pytest.fixture
def repaired(lake):
    """A day as it was, and as it is after a repair; versions 1 and 2."""
    put(lake, "a")
    put(lake, "b", "c")
    return lake


def test_a_version_shows_a_day_as_it_was_before_its_repair(repaired):
    assert seen(connect(repaired.home, versions={"samples.clicks": 1})) == ["a"]
    assert seen(connect(repaired.home, versions={"samples.clicks": 2})) == ["b", "c"]
    assert seen(connect(repaired.home, versions={"samples.clicks": 0})) == []
    before = connect(repaired.home, versions={"samples.clicks": 1})
    assert query(before, "select user_id from samples.others").fetchall() == []  # views see the same


def test_a_time_shows_every_table_as_it_was_then(repaired):
    at = {commit.version: commit.at for commit in commits(repaired, "samples.clicks")}

    assert seen(connect(repaired.home, as_of=at[1])) == ["a"]
    assert seen(connect(repaired.home, as_of=at[2])) == ["b", "c"]
    assert seen(connect(repaired.home, as_of=datetime.now(UTC).replace(tzinfo=None))) == ["b", "c"]
    long_ago = at[0] - timedelta(days=1)
    assert seen(connect(repaired.home, as_of=long_ago)) == []
    assert seen(connect(repaired.home, as_of=long_ago, versions={"samples.clicks": 1})) == ["a"]


def test_commits_say_which_day_they_wrote_and_how_much(repaired):
    found = [(c.version, c.day, c.n_rows) for c in commits(repaired, "samples.clicks")]

    assert found == [(2, "2022-04-25", 2), (1, "2022-04-25", 1), (0, None, None)]


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"samples.clicks": 3}, r"samples\.clicks has no version 3; it has 0 to 2"),
        ({"samples.clicks": -1}, "has no version -1"),
        ({"samples.nothing": 1}, r"no table or view samples\.nothing\. There are: samples\.clicks"),
    ],
)
def test_a_version_that_is_not_there_is_named(repaired, versions, message):
    with pytest.raises(QueryError, match=message):
        connect(repaired.home, versions=versions)


def test_a_version_that_was_vacuumed_says_so(repaired):
    vacuum(repaired, retention=timedelta(0), cited={})
    con = connect(repaired.home, versions={"samples.clicks": 1})

    with pytest.raises(QueryError, match="A vacuum has removed this version's files"):
        query(con, "select count(user_id) from samples.clicks where user_id > ''")


def test_the_versions_of_no_table_are_named(lake):
    with pytest.raises(LakeError, match=r"no table samples\.nothing"):
        commits(lake, "samples.nothing")
