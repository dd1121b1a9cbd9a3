import shutil
from datetime import date

import duckdb
import pytest

from lt4rec_core.data.source_check import check_source
from lt4rec_core.data.sources import REQUIRED, load_source
from lt4rec_core.data.sqlfile import read_sql_file
from tests.core.data.source_check.conftest import DAY, NEXT, PARAMS, ROWS, SQL, csv

SPOILED = [
    *ROWS,
    {"play_ms": "long"},
    {"duration_ms": "0"},
    {"play_ms": "-1"},
    {"occurred_at": "2026-04-02 12:00:00"},
    {"play_ms": "4999"},
]
"""One row for each reason, in their order; the last is the first row again, with a shorter play."""


def test_a_good_delivery_is_ready_and_counted(check):
    report = check()

    assert report.problems == []
    assert [(d["dt"], d["n_rows"], d["n_clicks"]) for d in report.days] == [
        (date(2026, 3, 2), 3, 2),
        (date(2026, 3, 3), 2, 1),
    ]
    assert (report.n_rows, report.total("n_ratios"), report.total("n_above_one")) == (5, 3, 1)
    assert report.total("watch_ratio_sum") == 2.0
    assert report.day == DAY


def test_each_column_says_how_many_rows_have_it(check):
    found = {c.name: (c.n_values, c.n_distinct, c.is_required) for c in check(SPOILED).columns}

    assert found["user_id"] == (10, 3, True)
    assert found["play_ms"][0] == 9
    assert found["page"] == (0, 0, False)
    assert {name for name, facts in found.items() if facts[2]} == set(REQUIRED)


def test_what_the_projects_screening_rejects_is_shown_by_reason(check):
    report = check(SPOILED)

    assert report.rejected == dict.fromkeys(
        ["unreadable", "non_positive_duration", "negative_play", "wrong_day", "duplicate"], 1
    )
    examples = {row["reject_reason"]: row for row in report.examples}
    assert examples["duplicate"]["play_ms"] == 4999
    assert examples["unreadable"]["play_ms"] is None


def test_the_first_rows_of_each_reason_are_enough(check):
    report = check([*ROWS, *[{"user_id": f"u{i}", "duration_ms": "0"} for i in range(5)]])

    assert report.rejected == {"non_positive_duration": 5}
    assert [row["user_id"] for row in report.examples] == ["u0", "u1", "u2"]


def test_a_copy_on_another_day_is_no_duplicate_as_days_are_screened_by_themselves(check):
    assert check([{}, {}, {"dt": "2026-03-03"}]).rejected == {"duplicate": 1}


@pytest.mark.parametrize("day", ["soon", "4713-01-01 (BC)", "5877641-06-23"])
def test_a_row_without_a_possible_day_is_a_problem_and_is_shown(check, day):
    report = check([*ROWS, {"dt": day, "user_id": "dan"}])

    assert (report.n_rows, report.total("n_rows")) == (6, 5)
    (problem,) = report.problems
    assert problem.startswith("1 of 6 rows have a day that cannot be read or lies outside")
    assert "'user_id': 'dan'" in problem


def test_one_day_can_be_looked_at_alone(check):
    report = check(day=date(2026, 3, 3))

    assert [(d["dt"], d["n_rows"]) for d in report.days] == [(date(2026, 3, 3), 2)]
    assert report.day == date(2026, 3, 3)


def test_a_day_that_is_not_there_is_a_problem(check):
    report = check(day=date(2026, 4, 1))

    assert report.problems[0].startswith("the log has no row with a day on 2026-04-01")


def test_only_the_first_rows_are_read_when_so_asked(check):
    report = check(max_rows=2)

    assert (report.n_rows, report.is_partial) == (2, True)


def test_ids_that_the_tables_do_not_list_are_counted(check):
    users, videos = sorted(check(day=date(2026, 3, 3)).references, key=lambda row: row["table_name"])

    # On 3 March ann saw v1 and cat, whom nobody lists, v3.
    assert [users[k] for k in ("n_listed", "n_in_log", "n_unlisted", "rows_unlisted", "n_rows")] == [
        2,
        2,
        1,
        1,
        2,
    ]
    assert [videos[k] for k in ("n_listed", "n_in_log", "n_unlisted")] == [2, 2, 1]


def test_an_id_that_is_listed_twice_is_a_problem(check):
    problems = check(users="user_id\nann\nann\n").problems

    assert problems == [
        "source.users lists 1 id(s) more than once. "
        "It must have one row for each, as known at the start of the day."
    ]


def test_users_and_videos_need_no_file_in_the_custom_source(check):
    report = check(users=None, videos=None)

    assert report.problems == []
    assert [row["n_listed"] for row in report.references] == [0, 0]
    assert (report.raw["users"].n_files, report.raw["impressions"].n_files) == (0, 1)


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (b"", "is empty, where its header should be"),
        ("a,b\n1,2\n", r"lacks the column(s) dt, occurred_at"),
        (csv(ROWS)[:-9], "Expected Number of Columns: 7 Found"),
        (csv(ROWS).replace("cat", "c\udcff").encode(errors="surrogateescape"), "nicode"),
        (csv(ROWS).encode("utf-16"), "is no UTF-8 text"),
        (csv([]), "the log has no row with a day"),
        (csv(ROWS, columns=("dt",)), "lacks the column(s) occurred_at"),
    ],
    ids=["empty", "others", "cut", "invalid", "UTF-16", "no row", "columns missing"],
)
def test_what_is_wrong_with_a_file_is_a_problem_and_no_traceback(check, log, says):
    report = check(log)

    assert not report.ok
    assert any(says in problem for problem in report.problems), report.problems


def test_a_parquet_file_that_is_none_is_a_problem(check, deliver):
    (deliver() / "impressions" / "log.csv").rename(deliver() / "impressions" / "more.parquet")

    assert any("more.parquet as parquet" in problem for problem in check().problems)


def test_types_that_nobody_meant_are_rows_that_screening_rejects(check, deliver):
    odd = "timestamp 'infinity' as occurred_at, 7 as user_id, 1.5 as video_id, [true] as is_click"
    folder = deliver() / "impressions"
    row = f"'2026-03-02' as dt, {odd}, {{'a': 1}} as play_ms, 9::hugeint as duration_ms"
    duckdb.sql(f"copy (select {row}) to '{folder}/odd.parquet'")
    (folder / "log.csv").unlink()

    report = check(rows=None)

    assert (report.n_rows, report.rejected) == (1, {"unreadable": 1}), report.problems


def test_no_file_at_all_is_a_problem_that_says_where_it_looked(check, tmp_path):
    (tmp_path / "logs" / "impressions").mkdir(parents=True)

    assert "no file for raw.impressions" in check(rows=None).problems[0]


def test_columns_that_no_statement_reads_are_named(check):
    assert check(videos="video_id,category,secret\nv1,fun,x\n").raw["videos"].unread == ("secret",)


@pytest.fixture
def copied(tmp_path):
    """A copy of the source ``custom`` outside the project, whose files can be spoiled."""
    folder = tmp_path / "mine"
    shutil.copytree(SQL / "sources" / "custom", folder)

    def change(file, old, new):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))
        return str(folder)

    return change


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("impression_log.sql", "(play_ms as bigint)", "(play_ms as double)", "play_ms double, its header"),
        ("impression_log.sql", "   is_like ", "   is_lick ", "is_like boolean is missing"),
        ("impression_log.sql", "page::varchar", "pages::varchar", "does not fit what it reads"),
        ("impression_log.sql", "order by all", "", "must end with 'order by all'"),
        ("impression_log.sql", "try_cast(play_ms as bigint)", "play_ms::bigint", "Use try_cast"),
        ("users.sql", "raw.users(user_id)", "raw.users(user_id, age)", "lacks the column(s) age"),
        ("users.sql", "raw.users(user_id)", "raw.users(user_id), samples.clicks[-1]", "raw.* inputs alone"),
        ("videos.sql", "key:     video_id", "key:     vid", "which the columns do not declare"),
    ],
)  # fmt: skip
def test_a_statement_that_does_not_keep_the_contract_is_a_problem(check, copied, file, old, new, says):
    folder = copied(file, old, new)

    report = check([*ROWS, {"play_ms": "long"}], source=folder)

    assert any(says in problem for problem in report.problems), report.problems


def test_a_column_that_nothing_reads_is_noted(check, copied):
    folder = copied(
        "impression_log.sql", "    try_cast(is_long_view", "    1 as extra,\n    try_cast(is_long_view"
    )
    copied("impression_log.sql", "--   is_long_view", "--   extra   integer   more\n--   is_long_view")

    report = check(source=folder)

    assert report.problems == []
    assert any("yields extra, which nothing reads" in note for note in report.notes)


def test_a_generated_source_is_checked_over_its_days():
    source = load_source(SQL, "simulator", {"impressions_per_day": 500, "n_users": 200, "n_videos": 500})
    days = [date(2026, 1, 5), date(2026, 1, 6)]

    report = check_source(source, SQL, source_path=None, params=PARAMS, days=days)

    assert report.problems == []
    assert [d["dt"] for d in report.days] == days
    assert 700 < report.n_rows < 1300


def test_the_contract_is_what_screening_reads():
    screened = read_sql_file(SQL / "samples" / "screened_impressions.sql")

    assert set(REQUIRED) < {c.name for c in screened.columns}


def test_without_any_one_of_the_required_columns_a_row_is_unreadable(check):
    spoiled = [
        {**NEXT, "user_id": f"u{i}", column: ""} for i, column in enumerate(REQUIRED) if column != "dt"
    ]

    assert check([*ROWS, *spoiled]).rejected == {"unreadable": len(REQUIRED) - 1}


def test_nothing_is_written_beside_the_files(check, tmp_path):
    check()
    before = sorted(tmp_path.rglob("*"))

    check()

    assert sorted(tmp_path.rglob("*")) == before
