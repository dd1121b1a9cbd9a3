from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lt4rec_core.data.snapshot import Snapshot, arrow_schema, arrow_type, difference, duckdb_type, plain
from lt4rec_core.data.sqlfile import TYPES, Column
from lt4rec_core.errors import LakeError

APRIL = [date(2022, 4, d) for d in (24, 25, 26)]


@pytest.fixture
def snapshot():
    schema = arrow_schema([Column("dt", "date"), Column("ids", "varchar[]")])
    return Snapshot("a.b", 3, schema, ("dt",), tuple((d, Path(f"{d}.parquet"), 1) for d in APRIL))


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_a_header_may_name_is_the_same_in_arrow_and_duckdb(name):
    with duckdb.connect() as con:
        column = con.execute(f"select null::{name} as x").to_arrow_table().schema

    assert plain(column).field("x").type == arrow_type(name)
    assert duckdb_type(arrow_type(name)) == name


@pytest.mark.parametrize(
    ("first", "last", "n"),
    [(None, None, 3), (APRIL[1], None, 2), (None, APRIL[0], 1), (APRIL[1], APRIL[1], 1)],
)
def test_days_are_bounded_on_both_sides(snapshot, first, last, n):
    assert len(snapshot.between(first, last)) == n


def test_a_scan_of_no_days_is_typed(snapshot):
    with duckdb.connect() as con:
        result = con.execute(snapshot.select(con, date(2000, 1, 1), date(2000, 1, 2), ["ids", "dt"]))

        assert [(d[0], str(d[1])) for d in result.description] == [("ids", "VARCHAR[]"), ("dt", "DATE")]
        assert result.fetchall() == []


def test_an_unknown_column_is_named(snapshot):
    with duckdb.connect() as con, pytest.raises(LakeError, match=r"a\.b has no column x; it has dt, ids"):
        snapshot.select(con, None, None, ["x"])


def test_a_difference_is_told_in_words():
    old = pa.schema([("a", pa.int32()), ("b", pa.string()), ("c", pa.bool_())])
    new = pa.schema([("a", pa.int64()), ("c", pa.bool_()), ("d", pa.bool_())])

    assert difference(old, new) == "b is missing; d is new; a is int64, was int32"
    assert difference(old, pa.schema(list(old)[::-1])) == "the order is c, b, a, was a, b, c"
