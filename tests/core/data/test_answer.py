import csv
import io
import json

import duckdb
import pyarrow.parquet as pq
import pytest

from lt4rec_core.data.answer import FORMATS, MAX_ROWS, new_file, write_answer
from lt4rec_core.errors import LakeError, QueryError

ROW = """
    select 1 as a, date '2026-01-05' as day, timestamp '2026-01-05 12:00:00' as at, 'nan'::double as nan,
        0.1::double as x, [1, 2]::integer[] as list, null::bigint as nothing, '' as empty,
        'says "no", twice' as said, true as yes, 12345678901234567890::hugeint as big
"""


def written(sql, form):
    with duckdb.connect() as con:
        out = io.BytesIO()
        write_answer(con.sql(sql), form, out)
    return out.getvalue()


def test_csv_keeps_null_apart_from_an_empty_text_and_quotes_only_what_it_must():
    head, row = written(ROW, "csv").decode().splitlines()

    assert head == "a,day,at,nan,x,list,nothing,empty,said,yes,big"
    assert row == (
        '1,2026-01-05,2026-01-05 12:00:00,nan,0.1,"[1, 2]",,"","says ""no"", twice",true,12345678901234567890'
    )


def test_csv_is_read_back_by_others_line_breaks_included():
    text = written("select 'a' || chr(10) || 'b' as two, 'c' || chr(13) as other", "csv").decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["two", "other"], ["a\nb", "c\r"]]


def test_json_is_one_object_a_line_with_values_in_their_own_types():
    lines = written(f"{ROW} union all {ROW}", "json").decode().splitlines()

    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "a": 1,
        "day": "2026-01-05",
        "at": "2026-01-05 12:00:00",
        "nan": None,
        "x": 0.1,
        "list": [1, 2],
        "nothing": None,
        "empty": "",
        "said": 'says "no", twice',
        "yes": True,
        "big": 12345678901234567890,
    }


def test_parquet_keeps_types():
    found = pq.read_table(io.BytesIO(written("select 1::integer as a, date '2026-01-05' as day", "parquet")))

    assert [str(t) for t in found.schema.types] == ["int32", "date32[day]"]
    assert found.num_rows == 1


def test_a_table_is_cut_and_says_so_and_the_other_formats_are_not():
    many = f"select range as n from range({MAX_ROWS + 500})"

    assert str(MAX_ROWS + 500).encode() in written(many, "table").replace(b".", b"").replace(b",", b"")
    assert len(written(many, "csv").splitlines()) == MAX_ROWS + 501
    assert len(written(many, "json").splitlines()) == MAX_ROWS + 500


@pytest.mark.parametrize("form", FORMATS)
def test_no_row_is_an_answer_too(form):
    out = written("select 1 as a where false", form)
    assert (out == b"") == (form == "json")


def test_two_columns_of_one_name_are_refused_where_they_cannot_be_told_apart():
    two = "select 1 as a, 2 as a"
    assert written(two, "csv") == b"a,a\n1,2\n"
    for form in ("json", "parquet"):
        with pytest.raises(QueryError, match="two columns are named a, which"):
            written(two, form)


def test_a_type_that_parquet_lacks_is_named():
    with pytest.raises(QueryError, match=r"Parquet cannot hold the answer.*Cast it"):
        written("select interval 1 day as i", "parquet")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "answer.csv"
    path.write_bytes(b"before")

    with duckdb.connect() as con, pytest.raises(QueryError), new_file(path) as file:
        write_answer(con.sql("select 1 as a, 2 as a"), "json", file)
    assert [p.name for p in tmp_path.iterdir()] == ["answer.csv"]
    assert path.read_bytes() == b"before"

    with new_file(path) as file:
        file.write(b"whole")
    assert [p.name for p in tmp_path.iterdir()] == ["answer.csv"]
    assert path.read_bytes() == b"whole"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "nowhere" / "answer.csv"
    with pytest.raises(LakeError, match=r"cannot write .*answer\.csv"), new_file(path):
        pass
