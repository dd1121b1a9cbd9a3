import pytest

from lt4rec_core.catalogue import Column
from lt4rec_core.data import dictionary
from lt4rec_core.data.sqlfile import read_sql_file

TABLE = """\
-- What was clicked, and
-- how long it played. More about it.
--
-- grain:   one click
-- key:     user_id
-- inputs:  samples.impressions[0]
-- columns:
--   dt           date       business day
--   user_id      varchar    who | where
--   play_ms      bigint     how long it played
"""


@pytest.fixture
def clicks(tmp_path):
    path = tmp_path / "samples" / "clicks.sql"
    path.parent.mkdir()
    path.write_text(TABLE)
    return read_sql_file(path)


@pytest.mark.parametrize(
    ("name", "type_", "unit"),
    [
        ("occurred_at", "timestamp", "UTC"),
        ("play_ms", "bigint", "ms"),
        ("watch_ratio_millionths", "bigint", "millionths"),
        ("tenure_days", "integer", "days"),
        ("n", "bigint", "count"),
        ("n_clicks_7d", "bigint", "count"),
        ("p_ctr", "double", "probability"),
        ("click_rate_7d", "double", "share"),
        ("mean_watch_ratio", "double", "share"),
        ("density_ctr", "double", "share"),
        ("share", "double", "share"),
        ("value", "double", ""),
        ("page", "varchar", ""),
        ("is_click", "boolean", ""),
        ("dt", "date", ""),
        ("f_click_rate", "integer", ""),
    ],
)
def test_names_and_types_carry_the_unit(name, type_, unit):
    assert dictionary.unit_of(Column(name, type_)) == unit


def test_a_description_is_told_with_its_unit():
    assert dictionary.told(Column("play_ms", "bigint", "how long it played")) == "how long it played [ms]"
    assert dictionary.told(Column("page", "varchar", "where")) == "where"


def test_the_overview_tells_each_in_a_sentence(clicks):
    assert dictionary.overview([clicks], 200) == (
        "samples\n  samples.clicks  What was clicked, and how long it played."
    )
    assert dictionary.overview([clicks], 10).splitlines()[1:] == [
        "  samples.clicks  What was clicked, and how long",
        "                  it played.",
    ]


def test_every_column_is_a_row_with_its_type_unit_and_description(clicks):
    assert dictionary.columns([clicks]).to_pylist()[2] == {
        "table": "samples.clicks",
        "column": "play_ms",
        "type": "bigint",
        "unit": "ms",
        "description": "how long it played",
    }


def test_a_table_reads_as_text_and_as_markdown(clicks):
    text = dictionary.as_text(clicks).splitlines()
    assert text[0] == "samples.clicks, a table"
    assert "one row is  one click" in text
    assert "made from   samples.impressions" in text
    assert text[-1] == "play_ms  bigint   ms    how long it played"

    page = dictionary.as_markdown(clicks)
    assert "A table. One row is one click. Key: `user_id`." in page
    assert "| `user_id` | varchar |  | who \\| where |" in page


@pytest.mark.parametrize(
    ("pattern", "n"),
    [("samples.clicks", 1), ("SAMPLES.*", 1), ("*", 1), ("clicks", 0), ("samples", 1), ("samples.click", 0)],
)
def test_a_name_or_a_pattern_finds_tables(clicks, pattern, n):
    assert len(dictionary.matching([clicks], pattern)) == n
