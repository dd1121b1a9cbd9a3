from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SqlFileError
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Gap

SQL = Path(__file__).parents[3] / "sql"
FIRST, LAST = date(2026, 1, 5), date(2026, 1, 6)
VIEWS = [
    read_sql_file(path, table=f"{path.parent.name}.{path.stem}") for path in sorted(SQL.glob("views/*/*.sql"))
]
TABLES = """
create schema samples; create schema quality; create schema evaluation;
create table samples.screened_impressions
    (dt date, user_id varchar, video_id varchar, is_click boolean, reject_reason varchar);
create table samples.impressions (dt date, user_id varchar, video_id varchar, is_click boolean);
create table samples.conversions (dt date, watch_ratio double, is_converted boolean);
create table quality.check_history (
    dt date, asset varchar, check_name varchar, severity varchar, passed boolean, is_blocking boolean,
    message varchar, observed varchar, waiver varchar, run_id varchar, audited_at timestamp
);
create table evaluation.daily_metrics (
    dt date, model varchar, task varchar, metric varchar, slice varchar, value double, n bigint,
    ci_low double, ci_high double, is_after_ticket_window boolean
);
create table evaluation.calibration
    (dt date, model varchar, task varchar, decile integer, predicted double, actual double, n bigint);
"""


@pytest.fixture
def con():
    with duckdb.connect() as con:
        con.execute(TABLES)
        yield con


@pytest.fixture
def lake(con):
    return Lake(con, SQL / "report", VIEWS, FIRST, LAST)


def test_the_funnel_counts_each_day_of_the_range_and_no_other(con, lake):
    rows = [(day, "u", "v", i < 3, None) for day in (5, 6, 7) for i in range(4)]
    rows += [(5, "u", "v", True, "duplicate")]
    con.executemany(
        "insert into samples.screened_impressions values (make_date(2026, 1, ?), ?, ?, ?, ?)", rows
    )
    con.execute(
        "insert into samples.conversions values ('2026-01-05', 0.9, true), ('2026-01-05', 0.1, false)"
    )

    assert lake.ask("funnel") == [
        {"dt": FIRST, "delivered": 5, "accepted": 4, "clicked": 3, "watched": 1},
        {"dt": LAST, "delivered": 4, "accepted": 4, "clicked": 3, "watched": 0},
    ]
    (rejected,) = lake.ask("rejected")
    assert (rejected["reject_reason"], rejected["n_rows"], rejected["share"]) == ("duplicate", 1, 1 / 9)


def test_table_one_counts_a_user_of_two_days_once(con, lake):
    rows = [(5, "a", "v", True), (6, "a", "w", False), (6, "b", "w", True), (7, "c", "x", True)]
    con.executemany("insert into samples.impressions values (make_date(2026, 1, ?), ?, ?, ?)", rows)
    con.execute("insert into samples.conversions values ('2026-01-05', 0.9, true), ('2026-01-07', 0.9, true)")

    assert lake.ask("table_one") == [
        {"users": 2, "videos": 2, "impressions": 3, "clicks": 2, "conversions": 1}
    ]


def test_only_the_newest_audit_of_a_day_counts_and_a_refusal_comes_before_a_waiver_and_a_warning(con, lake):
    def audit(hour, name, passed, blocking=False, waiver=None):
        at = datetime(2026, 1, 8, hour)
        row = (FIRST, "a/b", name, "critical", passed, blocking, "found", "{}", waiver, f"run{hour}", at)
        con.execute(f"insert into quality.check_history values ({', '.join('?' * 11)})", row)

    audit(1, "keys", False, blocking=True)
    audit(2, "volume", False)
    audit(2, "drift", False, waiver="a holiday")
    audit(2, "labels", False, blocking=True)
    audit(2, "keys", True)

    assert lake.ask("checks") == [
        {
            "asset": "a/b", "n_days": 1, "n_checks": 4, "n_passed": 1,
            "n_warned": 1, "n_waived": 1, "n_refused": 1,
        }
    ]  # fmt: skip
    assert [(row["check_name"], row["outcome"]) for row in lake.ask("failed_checks")] == [
        ("labels", "not published"),
        ("drift", "waived"),
        ("volume", "warning"),
    ]


def test_a_slice_is_a_mean_over_days_that_count_by_their_rows(con, lake):
    def measure(day, model, value, n):
        row = (date(2026, 1, day), model, "ctr", "auc", "page=feed", value, n, None, None, True)
        con.execute(f"insert into evaluation.daily_metrics values ({', '.join('?' * 10)})", row)

    for model, values in (("snet", (0.6, 0.8)), ("baseline", (0.5, 0.7))):
        measure(5, model, values[0], 100)
        measure(6, model, values[1], 300)

    (row,) = lake.ask("slices")

    assert row["snet"] == pytest.approx((0.6 * 100 + 0.8 * 300) / 400)
    assert row["baseline"] == pytest.approx((0.5 * 100 + 0.7 * 300) / 400)
    assert (row["n"], row["n_days"]) == (400, 2)


def test_calibration_joins_the_days_by_their_rows(con, lake):
    con.execute("""insert into evaluation.calibration values
        ('2026-01-05', 'snet', 'ctr', 1, 0.1, 0.2, 10), ('2026-01-06', 'snet', 'ctr', 1, 0.4, 0.5, 30)""")

    (row,) = lake.ask("calibration")

    assert row["predicted"] == pytest.approx((0.1 * 10 + 0.4 * 30) / 40)
    assert row["actual"] == pytest.approx((0.2 * 10 + 0.5 * 30) / 40)


def test_a_table_without_rows_and_one_that_is_not_there_are_gaps_with_the_way_to_make_them(lake):
    empty, absent = lake.ask("daily_metrics"), lake.ask("table_two")

    assert empty == Gap(
        "evaluation/daily_metrics",
        "it has no row from 2026-01-05 to 2026-01-06",
        "lt4rec backfill --from D --to D, once the ticket window is complete",
        is_empty=True,
    )
    assert absent == Gap("experiments/offline_comparison", "this home has no such table yet", "lt4rec race")


def test_every_question_says_what_it_reads_and_is_one_select():
    names = {path.stem for path in (SQL / "report").glob("*.sql")}
    with duckdb.connect() as con:
        lake = Lake(con, SQL / "report", [], FIRST, LAST)
        assert all(isinstance(lake.ask(name), Gap) for name in names)
        for path in (SQL / "report").glob("*.sql"):
            assert [s.type for s in con.extract_statements(path.read_text())] == [duckdb.StatementType.SELECT]


def test_a_query_that_fails_and_a_file_without_inputs_are_named(con, tmp_path):
    (tmp_path / "bad.sql").write_text("-- Bad.\n-- inputs: samples.conversions\nselect 1 / 'x' from nowhere")
    (tmp_path / "mute.sql").write_text("select 1")
    lake = Lake(con, tmp_path, [], FIRST, LAST)

    bad = lake.ask("bad")
    assert bad.asset == "samples/conversions"
    assert "bad.sql cannot be answered: Catalog Error" in bad.why
    assert "materialise" in bad.make
    assert not bad.is_empty
    with pytest.raises(SqlFileError, match="does not say what it reads"):
        lake.ask("mute")
    with pytest.raises(SqlFileError, match="cannot read"):
        lake.ask("absent")
