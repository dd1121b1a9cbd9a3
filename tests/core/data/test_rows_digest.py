from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lt4rec_core.data.rows_digest import RowsDigest

SCHEMA = pa.schema(
    [
        ("dt", pa.date32()),
        ("user", pa.string()),
        ("n", pa.int64()),
        ("share", pa.float64()),
        ("is_click", pa.bool_()),
        ("at", pa.timestamp("us")),
        ("ids", pa.list_(pa.field("element", pa.int32()))),
        ("tags", pa.list_(pa.field("element", pa.string()))),
    ]
)
ROW = {
    "dt": date(2022, 4, 25),
    "user": "ä1",
    "n": 7,
    "share": 0.25,
    "is_click": True,
    "at": datetime(2022, 4, 25, 12),
    "ids": [1, 2],
    "tags": ["a", "bc"],
}


def digest(rows, sizes=None, schema=SCHEMA):
    made = RowsDigest(schema)
    table = pa.Table.from_pylist(rows, schema=schema)
    start = 0
    for size in sizes or [len(rows)]:
        made.update(table.slice(start, size))
        start += size
    assert start == len(rows)
    return made.hexdigest()


def test_the_same_rows_have_the_same_digest():
    assert digest([ROW, ROW]) == digest([dict(ROW), dict(ROW)])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dt", date(2022, 4, 26)),
        ("user", "ä2"),
        ("n", 8),
        ("share", 0.5),
        ("is_click", False),
        ("at", datetime(2022, 4, 25, 13)),
        ("ids", [2, 1]),
        ("ids", [1, 2, 0]),
        ("tags", ["ab", "c"]),
    ],
)
def test_another_value_gives_another_digest(column, value):
    assert digest([ROW, {**ROW, column: value}]) != digest([ROW, ROW])


@pytest.mark.parametrize(
    ("column", "value"),
    [("user", ""), ("n", 0), ("share", 0.0), ("is_click", False), ("ids", []), ("tags", []), ("tags", [""])],
)
def test_null_is_not_the_value_that_stands_in_its_place(column, value):
    assert digest([{**ROW, column: None}]) != digest([{**ROW, column: value}])


def test_which_row_is_null_matters():
    assert digest([{**ROW, "n": None}, {**ROW, "n": 0}]) != digest([{**ROW, "n": 0}, {**ROW, "n": None}])


def test_text_is_not_joined_across_rows():
    assert digest([{**ROW, "user": "ab"}, {**ROW, "user": "c"}]) != digest(
        [{**ROW, "user": "a"}, {**ROW, "user": "bc"}]
    )


def test_order_and_number_of_rows_and_names_of_columns_matter():
    other = {**ROW, "user": "b"}
    renamed = SCHEMA.set(2, pa.field("m", pa.int64()))

    assert digest([ROW, other]) != digest([other, ROW])
    assert digest([ROW, ROW]) != digest([ROW])
    assert digest([], [0]) != digest([], [0], renamed)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "dt": st.just(date(2022, 4, 25)),
            "user": st.none() | st.text(max_size=3),
            "n": st.none() | st.integers(-(2**60), 2**60),
            "share": st.none() | st.floats(allow_nan=False),
            "is_click": st.none() | st.booleans(),
            "at": st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
            "ids": st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3),
            "tags": st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(rows=ROWS, data=st.data())
def test_how_rows_come_in_batches_does_not_matter(rows, data):
    first = data.draw(st.integers(0, len(rows)))

    assert digest(rows, [first, len(rows) - first]) == digest(rows)
