import pytest

from lt4rec_core.data.source_check.delivery import count_distinct, open_delivery, statement
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SourceChangedError, SourceError, SqlFileError
from tests.core.data.source_check.conftest import DAY, PARAMS, SQL

SOURCE = load_source(SQL, "custom")
LOG, USERS = (read_sql_file(SQL / "sources" / "custom" / f"{n}.sql") for n in ("impression_log", "users"))


@pytest.fixture
def delivery(deliver):
    with open_delivery(SOURCE, deliver(), PARAMS) as delivery:
        yield delivery


def test_a_statement_says_its_columns_before_a_row_is_read(delivery):
    assert delivery.yielded(USERS, DAY) == [("dt", "date"), ("user_id", "varchar")]


def test_the_kept_log_is_ordered_by_day_and_shown_a_day_at_a_time(delivery):
    delivery.keep_log(LOG, [DAY], None, None)
    delivery.show_day(DAY)

    days = [row[0] for row in delivery.con.execute("select dt from delivered.log").fetchall()]
    assert days == sorted(days)
    assert delivery.con.execute("select count(*) from source.impression_log").fetchall() == [(3,)]


def test_what_was_kept_is_gone_afterwards(deliver):
    with open_delivery(SOURCE, deliver(), PARAMS) as delivery:
        delivery.keep_log(LOG, [DAY], None, None)
        folder = delivery.folder
        assert list(folder.glob("*.parquet"))

    assert not folder.exists()


def test_a_file_that_changed_while_it_was_read_is_told(delivery, deliver):
    delivery.keep_log(LOG, [DAY], None, None)
    deliver([{}])

    with pytest.raises(SourceChangedError, match=r"log\.csv"):
        delivery.require_unchanged()


def test_a_parameter_that_nothing_sets_is_named(deliver, tmp_path):
    path = tmp_path / "sources" / "x" / "users.sql"
    path.parent.mkdir(parents=True)
    text = (SQL / "sources" / "custom" / "users.sql").read_text()
    path.write_text(text.replace("$dt", "$today"))

    with (
        open_delivery(SOURCE, deliver(), PARAMS) as delivery,
        pytest.raises(SqlFileError, match=r"\$today, which"),
    ):
        delivery.yielded(read_sql_file(path), DAY)


def test_a_log_that_needs_more_memory_than_it_may_use_says_so(deliver):
    path = deliver([{"user_id": f"u{i}", "video_id": "v" * 200} for i in range(20_000)])

    with (
        open_delivery(SOURCE, path, PARAMS, threads=1, memory_limit="8MB") as delivery,
        pytest.raises(SourceError, match=r"more memory than it may use here.*--day, --rows"),
    ):
        delivery.keep_log(LOG, [DAY], None, None)


def test_few_different_values_are_counted_exactly_whatever_an_estimate_says(delivery):
    rows = "from (values ('NO', 1), ('IT', 1), (null, 1)) as t(country, one)"

    assert count_distinct(delivery.con, rows, ["country", "one"]) == [2, 1]


def test_a_statement_loses_its_last_order_and_nothing_else():
    assert "order by" not in statement(LOG)
    assert statement(LOG).rstrip().endswith("from raw.impressions")


def test_an_order_within_a_statement_stays(tmp_path):
    path = tmp_path / "sources" / "x" / "users.sql"
    path.parent.mkdir(parents=True)
    header = (SQL / "sources" / "custom" / "users.sql").read_text().partition("\n\n")[0]
    path.write_text(
        f"{header}\n\nselect $dt::date as dt, first(user_id order by user_id) as user_id\n"
        "from raw.users\norder by user_id\n"
    )

    assert statement(read_sql_file(path)).endswith(
        "first(user_id order by user_id) as user_id\nfrom raw.users"
    )
