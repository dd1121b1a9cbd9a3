from pathlib import Path

import pytest

from lt4rec_core.catalogue import Column, Fragment
from lt4rec_core.data.sqlfile import Input, read_sql_file
from lt4rec_core.errors import SqlFileError

HEADER = """\
-- What was clicked.
--
-- Two lines of it.
--
-- grain:    one clicked
--           impression
-- key:      user_id, video_id
-- inputs:   samples.impressions[0](user_id,
--             video_id), features.user_daily_stats[-7..-1], source.truth[0]?
-- params:   $threshold, share, from which
--             it counts
--           $dt, the day
-- compiled: $user_features
-- columns:
--   dt        date     business day
--   user_id   varchar  who; a long
--                      description
--   video_id  varchar
--   $user_features
"""
BODY = """
-- $not_a_param in a comment, nor '$here' in text
select $dt as dt, user_id, video_id, $user_features
from samples.impressions where x > $threshold and y <> '$z'
order by user_id, video_id
"""
FRAGMENTS = {
    "user_features": Fragment(
        "1 as f_a,\n    [2] as m_b", (Column("f_a", "integer"), Column("m_b", "integer[]"))
    )
}


def read(tmp_path, text, name="samples/clicks.sql", **options):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read_sql_file(path, fragments=FRAGMENTS, **options)


def test_a_header_is_read_whole(tmp_path):
    file = read(tmp_path, HEADER + BODY)

    assert file.table == "samples.clicks"
    assert file.description == "What was clicked.\nTwo lines of it."
    assert file.grain == "one clicked impression"
    assert file.key == ("user_id", "video_id")
    assert file.inputs == (
        Input("samples.impressions", 0, 0, ("user_id", "video_id")),
        Input("features.user_daily_stats", -7, -1),
        Input("source.truth", 0, 0, optional=True),
    )
    assert file.params == {"threshold": "share, from which it counts", "dt": "the day"}
    assert file.columns == (
        Column("dt", "date", "business day"),
        Column("user_id", "varchar", "who; a long description"),
        Column("video_id", "varchar", ""),
        *FRAGMENTS["user_features"].columns,
    )


def test_fragments_replace_their_placeholders_and_nothing_else(tmp_path):
    file = read(tmp_path, HEADER + BODY)

    assert "video_id, 1 as f_a,\n    [2] as m_b\nfrom" in file.compiled_sql
    assert "$threshold and y <> '$z'" in file.compiled_sql
    assert "$user_features" in file.statement


def test_a_header_alone_declares_a_table_that_python_fills(tmp_path):
    text = "-- P.\n-- grain: one row\n-- key: user_id\n-- columns:\n--   dt date\n--   user_id varchar\n"
    file = read(tmp_path, text)

    assert file.statement is None
    assert file.compiled_sql is None
    assert file.inputs == ()


@pytest.mark.parametrize(
    ("name", "table"),
    [("sources/any/users.sql", "source.users"), ("training/samples.sql", "training.samples")],
)
def test_the_path_names_the_table(tmp_path, name, table):
    assert read(tmp_path, HEADER + BODY, name).table == table


def test_a_keyless_table_is_ordered_by_all_columns(tmp_path):
    text = """\
-- L.
-- grain: a row
-- key: none, rows may repeat
-- inputs: raw.log(a, b?)
-- columns:
--   dt date
--   a varchar
"""
    file = read(tmp_path, text + "\nselect dt, a from raw.log order by all\n")

    assert file.key == ()
    assert file.order == ("dt", "a")
    assert file.inputs == (Input("raw.log", columns=("a", "b"), optional_columns=("b",)),)
    assert file.inputs[0].is_raw


def test_a_view_sees_every_day_and_needs_no_order(tmp_path):
    text = "-- V.\n-- grain: a row\n-- key: none\n-- inputs: samples.clicks\n-- columns:\n--   dt date\n"
    file = read(tmp_path, text + "\nselect dt from samples.clicks\n", "views/samples/rare.sql")

    assert file.is_view
    assert file.table == "samples.rare"
    assert file.inputs == (Input("samples.clicks"),)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("-- What was clicked.\n--\n-- Two lines of it.\n", "", 1, "does not begin with a description"),
        ("-- grain:    one clicked\n--           impression\n", "", 1, "has no 'grain'"),
        ("-- compiled:", "-- compield:", 13, "unknown key 'compield'"),
        ("-- compiled:", "-- key:", 13, "'key' stands twice"),
        ("user_id, video_id\n", "user_id, film_id\n", 7, "key names film_id"),
        ("stats[-7..-1]", "stats[-7...-1]", 9, "cannot read the input 'features.user_daily_stats"),
        ("stats[-7..-1]", "stats[-1..-7]", 9, "must ascend and end at 0"),
        ("stats[-7..-1]", "stats[0..1]", 9, "must ascend and end at 0"),
        ("stats[-7..-1]", "stats", 9, "does not say which days it sees"),
        ("features.user_daily_stats[-7..-1]", "samples.impressions[-1]", 9, "named twice"),
        ("features.user_daily_stats[-7..-1]", "raw.log[0]", 9, "raw input 'raw.log.0.' has no days"),
        ("features.user_daily_stats[-7..-1]", "samples.x[0](a?)", 9, "only a raw input may lack columns"),
        ("source.truth[0]?", "source truth", 9, "cannot read the input 'source truth'"),
        ("$threshold, share, from", "threshold, share, from", 10, "cannot read the param"),
        ("--           $dt, the", "--           $threshold, the", 12, r"\$threshold is declared twice"),
        ("compiled: $user_features", "compiled: $video_features", 13, "unknown compiled fragment"),
        ("--   $user_features", "--   $video_features", 19, "not named under compiled"),
        ("--   video_id  varchar", "--   video_id", 18, "cannot read the column 'video_id'"),
        ("--   video_id  varchar", "--   video_id  text", 18, "has type 'text'; the lake keeps bigint"),
        ("--   video_id  varchar", "--   user_id  varchar", 18, "column user_id is declared twice"),
        ("--   dt        date ", "--   day       date ", 15, "first column must be 'dt date'"),
        ("--   dt        date ", "-- dt       date ", 15, "belongs to no key"),
        ("$threshold and", "$treshold and", 20, r"\$treshold used but not declared"),
        ("$threshold and", "3 and", 20, r"\$threshold declared but not used"),
        (
            "\norder by user_id, video_id",
            "\norder by user_id",
            20,
            "must end with 'order by user_id, video_id'",
        ),
        ("select $dt", "selct $dt", 20, "does not parse"),
        ("order by user_id, video_id\n", "order by user_id, video_id; select 1\n", 20, "one SELECT, got 2"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path, old, new, line, message):
    text = HEADER + BODY
    assert old in text

    with pytest.raises(SqlFileError, match=message) as refused:
        read(tmp_path, text.replace(old, new, 1))

    assert str(refused.value).startswith(f"{tmp_path / 'samples/clicks.sql'}, line {line}: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SqlFileError, match=r"cannot read .*nothing\.sql"):
        read_sql_file(tmp_path / "nothing.sql")


def test_every_statement_of_the_project_reads():
    root = Path(__file__).parents[3] / "sql"
    names = [f"{side}_{kind}" for side in ("user", "video", "context") for kind in ("features", "columns")]
    fragments = {n: Fragment(f"1 as f_{n[0]}", (Column(f"f_{n[0]}", "integer"),)) for n in names}

    # Checks, profiles and the report's questions are statements, not tables: their headers say less.
    files = [p for p in root.rglob("*.sql") if not {"checks", "profiles", "report"} & set(p.parts)]

    assert len(files) > 10
    for path in files:
        file = read_sql_file(path, fragments=fragments)
        assert all(c.description for c in file.columns if not c.name.startswith("f_")), path
