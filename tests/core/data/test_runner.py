from datetime import date, timedelta

import pyarrow as pa
import pytest

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import input_versions, run_sql
from lt4rec_core.data.sources import RawInput, Source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeError, SourceError, SqlFileError

DAY = date(2022, 4, 25)
CATALOGUE = FeatureCatalogue.from_toml(
    {
        "feature": [
            {"name": "user_id", "side": "user", "buckets": 9},
            {"name": "video_id", "side": "video", "buckets": 9},
            {"name": "page", "side": "context", "values": ["1"]},
        ]
    }
)
STATS = """\
-- Numbers.
-- grain: a user
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
--   n bigint a number
"""


class Desk:
    """A lake with one table of numbers, and a place to write SQL files."""

    def __init__(self, folder):
        self.folder = folder
        self.source = Source("tiny", folder, "", "UTC", CATALOGUE, {"log": RawInput("log", ("*.csv",))})
        self.lake = Lake(folder / "home")
        self.lake.create([self.file(STATS, "features/stats.sql")])

    def file(self, text, name="samples/result.sql"):
        path = self.folder / "sql" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return read_sql_file(path)

    def result(self, inputs, body, columns="--   user_id varchar who\n", params="", key="user_id"):
        header = f"-- R.\n-- grain: a row\n-- key: {key}\n-- inputs: {inputs}\n{params}"
        file = self.file(f"{header}-- columns:\n--   dt date day\n{columns}\n{body}")
        self.lake.create([file])
        return file

    def put(self, day, **numbers):
        table = pa.table(
            {
                "dt": pa.array([day] * len(numbers), pa.date32()),
                "user_id": pa.array(numbers, pa.string()),
                "n": pa.array(numbers.values(), pa.int64()),
            }
        )
        self.lake.publish(self.lake.stage("features.stats", day, table.to_reader()))

    def run(self, file, day=DAY, params=(), **options):
        staged = run_sql(self.lake, self.source, file, day, dict(params), **options)
        self.lake.publish(staged)
        return self.lake.open(file.table, day, day).read_all().drop_columns("dt").to_pylist()


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


SEEN = "select $dt as dt, user_id from features.stats order by user_id\n"
DT = "-- params: $dt, day\n"


@pytest.mark.parametrize(
    ("window", "seen"),
    [("[0]", [5]), ("[-1]", [4]), ("[-3..-1]", [2, 3, 4]), ("[-7..0]", [0, 1, 2, 3, 4, 5]), ("[-9..-8]", [])],
)
def test_a_statement_sees_the_days_of_its_header_and_no_other(desk, window, seen):
    for n in range(8):
        desk.put(DAY + timedelta(days=n), **{f"day{n}": n})
    file = desk.result(f"features.stats{window}", SEEN, params=DT)

    rows = desk.run(file, DAY + timedelta(days=5))

    assert [r["user_id"] for r in rows] == [f"day{n}" for n in seen]


def test_a_column_that_the_header_does_not_name_is_not_there(desk):
    file = desk.result(
        "features.stats[0](user_id)", "select dt, user_id from features.stats where n > 0 order by user_id"
    )

    with pytest.raises(SqlFileError, match=r'result\.sql failed on 2022-04-25: .*"n" not found'):
        desk.run(file)


def test_a_table_that_the_header_does_not_name_is_not_there(desk):
    desk.lake.create([desk.file(STATS, "features/other.sql")])
    file = desk.result("features.stats[0]", "select dt, user_id from features.other order by user_id")

    with pytest.raises(
        SqlFileError, match=r"other does not exist.* It sees features\.stats and nothing else"
    ):
        desk.run(file)


def test_a_table_without_rows_is_typed(desk):
    body = "select $dt as dt, typeof(max(n)) as user_id from features.stats order by user_id"

    assert desk.run(desk.result("features.stats[0]", body, params=DT)) == [{"user_id": "BIGINT"}]


def test_a_table_that_the_source_lacks_is_typed_and_empty_if_optional(desk):
    body = "select $dt as dt, typeof(max(p_click)) as user_id from source.truth order by user_id"

    assert desk.run(desk.result("source.truth[0]?", body, params=DT)) == [{"user_id": "DOUBLE"}]


def test_a_table_that_is_missing_is_an_error_if_not_optional(desk):
    with pytest.raises(LakeError, match=r"there is no table source\.truth"):
        desk.run(desk.result("source.truth[0]", "select dt, user_id from source.truth order by user_id"))


def test_values_are_bound_and_never_become_text(desk):
    desk.put(DAY, a=1)
    file = desk.result(
        "features.stats[0]",
        "select dt, $who as user_id from features.stats order by user_id",
        params="-- params: $who, anything\n",
    )
    hostile = "'; drop table x; --"

    assert desk.run(file, params={"who": hostile, "unknown": 1}) == [{"user_id": hostile}]


def test_a_parameter_without_a_value_is_named(desk):
    file = desk.result("features.stats[0]", SEEN.replace("$dt", "$day"), params="-- params: $day, day\n")

    with pytest.raises(SqlFileError, match=r"declares \$day, which nothing sets. Set are: \$who, \$dt"):
        desk.run(file, params={"who": 1})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("--   user_id integer who\n", "column 2 is user_id varchar, the header says user_id integer"),
        ("--   video_id varchar who\n", "column 2 is user_id varchar, the header says video_id varchar"),
        ("--   user_id varchar who\n--   n bigint n\n", "it yields 2 columns, the header declares 3"),
    ],
)
def test_columns_that_differ_from_the_header_are_an_error(desk, columns, message):
    body = "select dt, user_id from features.stats order by dt"
    file = desk.result("features.stats[0]", body, columns, key="dt")

    with pytest.raises(SqlFileError, match=message):
        desk.run(file)


def test_a_row_of_another_day_is_an_error_and_stages_nothing(desk):
    desk.put(DAY - timedelta(days=1), a=1)
    file = desk.result("features.stats[-1]", "select dt, user_id from features.stats order by user_id")

    with pytest.raises(SqlFileError, match="yields a row of dt = 2022-04-24 for the day 2022-04-25"):
        desk.run(file)

    assert list(desk.lake.staging.iterdir()) == []


def test_a_row_without_a_day_is_an_error(desk):
    desk.put(DAY, a=1)
    file = desk.result(
        "features.stats[0]", "select null::date as dt, user_id from features.stats order by user_id"
    )

    with pytest.raises(SqlFileError, match="yields a row of dt = None"):
        desk.run(file)


def test_a_statement_that_fails_on_a_value_is_an_error_of_its_file(desk):
    desk.put(DAY, a=1)
    body = "select dt, user_id::integer::varchar as user_id from features.stats order by user_id"

    with pytest.raises(SqlFileError, match=r"result\.sql failed on 2022-04-25: Conversion Error.*'a'"):
        desk.run(desk.result("features.stats[0]", body))


def test_a_raw_value_that_a_statement_cannot_read_is_an_error_of_the_source(desk):
    (desk.folder / "log.csv").write_text("user_id\nbob\n")
    body = "select $dt as dt, user_id::integer::varchar as user_id from raw.log order by user_id"
    file = desk.result("raw.log(user_id)", body, params=DT)

    with pytest.raises(SourceError, match=r"failed on 2022-04-25: Conversion Error.*'bob'.*published layout"):
        desk.run(file, source_path=desk.folder)


def test_a_file_without_a_statement_cannot_run(desk):
    with pytest.raises(SqlFileError, match=r"declares features\.stats but has no statement"):
        desk.run(desk.file(STATS, "features/stats.sql"))


def test_a_run_tells_which_versions_it_read(desk):
    desk.put(DAY, a=1)
    desk.put(DAY, a=2)
    file = desk.result("features.stats[0], source.truth[0]?", SEEN, params=DT)

    assert run_sql(desk.lake, desk.source, file, DAY, {}).inputs == {"features.stats": 2}
    assert input_versions(desk.lake, file) == {"features.stats": 2}


def test_rows_and_their_order_do_not_depend_on_threads_or_memory(desk):
    desk.put(DAY, a=300_000)
    columns = "--   user_id varchar who\n--   n bigint n\n"
    body = """
select dt, (i * 7919 % 300007)::varchar as user_id, sum(i % 10)::bigint as n
from features.stats, range(n) as r(i)
group by all
order by user_id
"""
    file = desk.result("features.stats[0]", body, columns)

    one = desk.run(file, threads=1)
    two = desk.run(file, threads=2, memory_limit="100MB")

    assert one == two
    assert [r["user_id"] for r in one] == sorted(r["user_id"] for r in one)
    assert len(one) == 300_000
    assert list(desk.lake.staging.iterdir()) == []
