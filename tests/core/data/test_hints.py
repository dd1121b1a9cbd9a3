import duckdb
import pytest

from lt4rec_core.data.hints import close_to, empty_tables, known_names, mentioned, named

NAMES = ["evaluation.daily_metrics", "evaluation.worst_slices", "samples.clicks", "samples.conversions"]


@pytest.fixture
def con():
    """A connection as analysts have: tables come from registered data, views read them."""
    with duckdb.connect() as con:
        for group in ("samples", "evaluation"):
            con.execute(f"create schema {group}")
        for name, n in (("samples.clicks", 0), ("samples.conversions", 1)):
            con.register(f"lake {name}", con.sql(f"select 1 as x from range({n})").to_arrow_table())
            con.execute(f'create view {name} as select * from "lake {name}"')
        con.execute("create view evaluation.rates as select * from samples.clicks, samples.conversions")
        con.execute("create view evaluation.deep as select 1 as one from evaluation.rates")
        yield con


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("samples.click", "samples.clicks"),
        ("clicks", "samples.clicks"),
        ("sample.clicks", "samples.clicks"),
        ("Samples.Clicks", "samples.clicks"),
        ("daily_metric", "evaluation.daily_metrics"),
        ("metrics", "evaluation.daily_metrics"),
        ("evaluation.slices", "evaluation.worst_slices"),
    ],
)
def test_the_name_that_was_meant_comes_first(wanted, first):
    assert close_to(wanted, NAMES)[0] == first


def test_what_resembles_nothing_is_not_guessed_at():
    assert close_to("zebra", NAMES) == []


def test_a_missing_name_is_told_with_close_ones_first_and_each_name_once():
    message = named("samples.click", NAMES)

    assert message.startswith("there is no table or view samples.click. Did you mean samples.clicks")
    assert all(message.count(name) == 1 for name in NAMES if name != "samples.clicks")
    assert named("zebra", NAMES) == f"there is no table or view zebra. There are: {', '.join(NAMES)}."


def test_tables_and_views_are_known_and_nothing_else_is(con):
    assert list(known_names(con)) == [
        "evaluation.deep",
        "evaluation.rates",
        "samples.clicks",
        "samples.conversions",
    ]


def test_names_are_found_in_the_order_of_the_text_and_only_whole():
    text = 'select * from "samples".conversions, samples.clicks_old, Evaluation.Worst_Slices'
    assert mentioned(text, NAMES) == ["samples.conversions", "evaluation.worst_slices"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from samples.conversions", []),
        ("from samples.clicks", ["samples.clicks"]),
        ("from evaluation.rates", ["samples.clicks"]),
        ("from evaluation.deep", ["samples.clicks"]),
        ("select 1", []),
    ],
)
def test_empty_tables_are_found_through_views(con, text, expected):
    assert empty_tables(con, text) == expected
