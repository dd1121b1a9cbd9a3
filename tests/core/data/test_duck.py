import duckdb
import pytest

from lt4rec_core.data.duck import connect_scratch, first_line, literal, path_literal, quoted, stream


def test_a_scratch_connection_counts_in_utc_and_sees_no_python_variable():
    rows = [1, 2]  # a name that SQL could reach
    with connect_scratch(threads=1) as con:
        settings = con.execute("select current_setting('timezone'), current_setting('threads')")
        assert settings.fetchall() == [("UTC", 1)]
        with pytest.raises(duckdb.CatalogException):
            con.execute("from rows")
    assert len(rows) == 2


def test_a_stream_tells_its_columns_and_keeps_the_order():
    with connect_scratch(threads=1) as con:
        sql = "select i, [i::integer] as l from range($n) t(i) order by i desc"
        columns, batches = stream(con, sql, {"n": 5}, rows=2)

        assert columns == [("i", "bigint"), ("l", "integer[]")]
        assert [i for batch in batches for i in batch["i"].to_pylist()] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("text", ["it's", 'say "hi"', "a[b]c*d?e", "'; drop table x; --", "\\"])
def test_text_and_names_survive_as_sql(text):
    with connect_scratch(threads=1) as con:
        result = con.execute(f"select {literal(text)} as {quoted(text)}")

        assert (result.description[0][0], result.fetchall()) == (text, [(text,)])


def test_a_path_is_itself_and_no_pattern(tmp_path):
    name = "a[b]*?'.csv"
    for file in (name, "ab.csv", "abx'.csv"):
        (tmp_path / file).write_text(f"n\n{file}\n")
    with connect_scratch(threads=1) as con:
        sql = f"from read_csv({path_literal(tmp_path / name)}, header = true, delim = ',', quote = '|')"

        assert con.execute(sql).fetchall() == [(name,)]


def test_the_first_line_of_an_error_says_what_is_wrong():
    with connect_scratch(threads=1) as con, pytest.raises(duckdb.Error) as failed:
        con.execute("select nothing")

    assert first_line(failed.value).startswith("Binder Error: Referenced column")
    assert "LINE 1" not in first_line(failed.value)


def test_an_error_that_quotes_a_file_is_printable_and_short():
    error = ValueError(
        "CSV Error on Line: 3\nOriginal Line: \x1b[31m" + "x" * 9999 + "\n\nPossible fixes: none"
    )

    said = first_line(error)

    assert said.startswith(r"CSV Error on Line: 3 Original Line: \x1b[31mxxx")
    assert len(said) < 500
