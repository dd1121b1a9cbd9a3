import gzip

import duckdb
import pytest

from lt4rec_core.data.csvfile import csv_reader, unreadable_csv
from lt4rec_core.errors import SourceError


@pytest.fixture
def read(tmp_path):
    """Write a file and read it: its columns, and its rows."""

    def read(data, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        reader, columns = csv_reader(path)
        with duckdb.connect() as con:
            return columns, con.execute(f"from {reader}").fetchall()

    return read


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_every_cell_is_text_whatever_ends_the_lines(read, end, name):
    data = end.join([b"a,b", b"1,NaN", b'"x,""y""\n",', b""])

    assert read(data, name) == (["a", "b"], [("1", "NaN"), ('x,"y"\n', None)])


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (b"\xef\xbb\xbfa,b", ["a", "b"]),
        (b'\xef\xbb\xbf"a",b', ["a", "b"]),
        (b'"a,1","b ""2"""', ["a,1", 'b "2"']),
        (b'"a\n1",b', ["a\n1", "b"]),
        (b",b", ["column0", "b"]),
        (b"1,2", ["1", "2"]),
        ("naïve,it's".encode(), ["naïve", "it's"]),
    ],
)
def test_the_first_line_names_the_columns_and_is_no_row(read, header, columns):
    assert read(header + b"\n3,4\n") == (columns, [("3", "4")])
    assert read(header) == (columns, [])


def test_a_row_that_fits_no_guess_is_read_as_it_is(read):
    rows = [("#1", "2|3;4"), ("a\tb", "'"), ("null", "-"), ("a", "b")]

    assert read(b"a,b\n#1,2|3;4\na\tb,'\nnull,-\na,b\n") == (["a", "b"], rows)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty, where its header should be"),
        (b"\na,b\n", "begins with an empty line, where its header should be"),
        (b"a,b,A\n1,2,3\n", "names columns twice: a, A. Which one is meant"),
        (b"column1,\n1,2\n", "names columns twice: column1, column1"),
        ("a,b\n1,2\n".encode("utf-16"), "is no UTF-8 text"),
        (b"PK\x03\x04\x00\x00,\n", "is no UTF-8 text: PK"),
        (b'a,"b" c\n', "cannot read .*log.csv as csv: ',' expected after '\"'"),
    ],
)
def test_a_file_that_does_not_begin_with_column_names_is_an_error(read, data, message):
    with pytest.raises(SourceError, match=message):
        read(data)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"cannot read .*no\.csv as csv: .*No such file"):
        csv_reader(tmp_path / "no.csv")


def test_a_compressed_file_that_is_none_or_is_cut_short_is_an_error(tmp_path):
    path = tmp_path / "log.csv.gz"
    for data in (b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n")[:12]):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"cannot read .*log\.csv\.gz as csv: .*Is it complete"):
            csv_reader(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b\n1,2,3\n", "Expected Number of Columns: 2 Found: 3 in row 2: 1,2,3"),
        (b"a,b\n1\n", "Expected Number of Columns: 2 Found: 1 in row 2: 1"),
        (b'a,b\n1,"2\n', 'unterminated quote found in row 2: 1,"2'),
        (b"a,b\n1,2\r\n3,4\n", "all its lines must end the same way"),
        (b'a,b\n1,"x\n  file = y\nz"\n1,2,3\n', "Columns: 2 Found: 3 in row 3: 1,2,3"),
        (b"a,b\n1,\x1b[31m\n1," + b"x" * 9999 + b",3\n", r"Found: 3 in row 3: 1,x+ \.\.\."),
        (b"a,b\n1,\x1b,3\n", r"Found: 3 in row 2: 1,\\x1b,3"),
        (b"a,b\n1,\xff\n", "[Uu]nicode.* in row 2: 1,"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_with_its_file(read, data, message):
    with pytest.raises(duckdb.Error) as caught:
        read(data)

    error = unreadable_csv(caught.value)

    assert error is not None
    with pytest.raises(SourceError, match=rf"cannot read .*log\.csv as csv: .*{message}.*\. Is it complete"):
        raise error


def test_other_errors_are_not_a_files():
    with duckdb.connect() as con, pytest.raises(duckdb.Error) as caught:
        con.execute("select 1 / 'x'::integer")
    assert unreadable_csv(caught.value) is None
