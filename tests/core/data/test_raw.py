import gzip
import os
import sys
import types
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lt4rec_core.data import raw
from lt4rec_core.data.raw import find_files, open_raw
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import Input
from lt4rec_core.errors import ConfigError, SourceError

DAY = date(2022, 4, 25)
FEATURES = """
[[feature]]
name = "user_id"
side = "user"
buckets = 10
[[feature]]
name = "video_id"
side = "video"
buckets = 10
[[feature]]
name = "page"
side = "context"
values = ["1"]
"""
TOML = (
    '[source]\ntime_zone = "Asia/Shanghai"\n[raw.log]\nfiles = ["data/log_*.csv", "data/log_*.csv.gz"]\n'
    + FEATURES
)


@pytest.fixture
def make(tmp_path):
    """Write a source.toml and load it."""

    def make(toml=TOML, name="tiny", **options):
        folder = tmp_path / "sql" / "sources" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "source.toml").write_text(toml)
        return load_source(tmp_path / "sql", name, **options)

    return make


def read(source, path, columns=None, optional=(), name="log"):
    """The rows of a raw input."""
    given = Input(f"raw.{name}", columns=columns, optional_columns=optional)
    with duckdb.connect() as con:
        open_raw(con, source, given, DAY, path)
        return con.execute(f"from raw.{name}").fetchall()


def write(tmp_path, name, text):
    path = tmp_path / "logs" / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return tmp_path / "logs"


def refuse(monkeypatch, folder):
    """Let nobody list a folder, root included."""

    def denied(function):
        def checked(path=".", *args):
            if os.fspath(path) == os.fspath(folder):
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return function(path, *args)

        return checked

    monkeypatch.setattr("os.listdir", denied(os.listdir))
    monkeypatch.setattr("os.scandir", denied(os.scandir))


def test_csv_and_compressed_csv_are_read_together_as_text(make, tmp_path):
    write(tmp_path, "log_1.csv", "a,b\n1,x\n")
    path = write(tmp_path, "log_2.csv.gz", "b,a\ny,NaN\n")

    assert read(make(), path, ("a", "b")) == [("1", "x"), ("NaN", "y")]


def test_quotes_commas_newlines_and_control_characters_are_text(make, tmp_path):
    hostile = [
        'say "hi"',
        "a,b",
        "two\nlines",
        "\x01\x1b[31m\x7f",
        "'; drop table x; --",
        "\x00nul",
        " pad ",
        "é",
    ]
    quoted = ['"' + text.replace('"', '""') + '"' for text in hostile]
    path = write(tmp_path, "log_1.csv", "id,n\n" + "".join(f"{q},{i}\n" for i, q in enumerate(quoted)))

    assert read(make(), path, ("id", "n")) == [(text, str(i)) for i, text in enumerate(hostile)]


def test_an_empty_cell_is_null(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a,b\n,1\n")

    assert read(make(), path, ("a", "b")) == [(None, "1")]


def test_a_column_that_may_lack_is_null_where_it_does(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a\n1\n")

    assert read(make(), path, ("a", "b"), optional=("b",)) == [("1", None)]


def test_parquet_keeps_its_types(make, tmp_path):
    path = write(tmp_path, "x", "")
    pq.write_table(pa.table({"a": [1, 2], "b": [0.5, None]}), path / "data" / "log_1.parquet")
    source = make(
        TOML.replace('["data/log_*.csv", "data/log_*.csv.gz"]', '["data/*.parquet"]\nformat = "parquet"')
    )

    assert read(source, path, ("b", "a")) == [(0.5, 1), (None, 2)]


def test_a_folder_with_glob_characters_is_only_a_folder(make, tmp_path):
    odd = tmp_path / "lo[g]s *'?"
    (odd / "data").mkdir(parents=True)
    (odd / "data" / "log_1.csv").write_text("a\n1\n")

    assert read(make(), odd, ("a",)) == [("1",)]


def test_no_path_is_an_error(make):
    with pytest.raises(SourceError, match="LT4REC_SOURCE_PATH is not set"):
        find_files(make(), make().raw["log"], None)


def test_a_path_that_is_not_there_is_an_error(make, tmp_path):
    with pytest.raises(SourceError, match=r"nowhere' does not exist"):
        read(make(), tmp_path / "nowhere")


def test_no_file_is_an_error_that_says_what_was_looked_for(make, tmp_path):
    with pytest.raises(
        SourceError, match=r"no file for raw\.log .* looked in .* for data/log_\*\.csv, data/log"
    ):
        read(make(), tmp_path)


def test_a_missing_column_is_named_beside_those_there_are(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a,b\n1,2\n")

    with pytest.raises(SourceError, match=r"log_1\.csv lacks the column\(s\) c, d; it has a, b"):
        read(make(), path, ("a", "c", "d"))


def test_one_file_of_several_that_lacks_a_column_is_found(make, tmp_path):
    write(tmp_path, "log_1.csv", "a,b\n1,2\n")
    path = write(tmp_path, "log_2.csv", "a\n1\n")

    with pytest.raises(SourceError, match=r"log_2\.csv lacks the column\(s\) b"):
        read(make(), path, ("a", "b"))


@pytest.mark.parametrize("folder", ["", "data"])
def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_one(make, tmp_path, monkeypatch, folder):
    path = write(tmp_path, "log_1.csv", "a\n1\n")
    refuse(monkeypatch, path / folder)

    with pytest.raises(SourceError, match=r"logs' cannot be searched for raw\.log: .*denied.*/logs"):
        read(make(), path, ("a",))


def test_a_path_that_cannot_be_looked_at_is_an_error(make, tmp_path, monkeypatch):
    def stat(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    source = make()
    monkeypatch.setattr("pathlib.Path.stat", stat)

    with pytest.raises(SourceError, match=r"cannot be searched for raw\.log: .*denied.*May this user"):
        read(source, tmp_path, ("a",))


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever is root may read everything")
def test_what_the_system_refuses_to_list_is_an_error(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a\n1\n")
    (path / "data").chmod(0)
    try:
        with pytest.raises(SourceError, match=r"cannot be searched for raw\.log: .*denied"):
            read(make(), path, ("a",))
    finally:
        (path / "data").chmod(0o700)


@pytest.mark.parametrize("name", ["log_1.csv", "log_1.csv.gz"])
def test_an_empty_file_is_an_error(make, tmp_path, name):
    path = write(tmp_path, name, "")
    (path / "data" / name).write_bytes(b"")

    with pytest.raises(SourceError, match="is empty, where its header should be"):
        read(make(), path, ("a",))


def test_a_compressed_file_that_is_none_is_an_error(make, tmp_path):
    path = write(tmp_path, "log_1.csv.gz", "a\n1\n")
    (path / "data" / "log_1.csv.gz").write_bytes(b"a\n1\n")

    with pytest.raises(SourceError, match=r"cannot read .*log_1\.csv\.gz as csv"):
        read(make(), path, ("a",))


def test_a_parquet_file_that_is_none_is_an_error(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a\n1\n")
    source = make(
        TOML.replace('["data/log_*.csv", "data/log_*.csv.gz"]', '["data/log_1.csv"]\nformat = "parquet"')
    )

    with pytest.raises(SourceError, match=r"cannot read .*log_1\.csv as parquet"):
        read(source, path, ("a",))


@pytest.mark.parametrize("pattern", ["../*.csv", "/etc/*.csv", "data/../../x.csv"])
def test_a_glob_that_leaves_the_folder_is_refused(make, tmp_path, pattern):
    source = make(TOML.replace("data/log_*.csv.gz", pattern))

    with pytest.raises(SourceError, match="leaves the source path"):
        read(source, tmp_path)


def test_a_file_beside_its_compressed_copy_is_refused(make, tmp_path):
    write(tmp_path, "log_1.csv", "a\n1\n")
    path = write(tmp_path, "log_1.csv.gz", "a\n1\n")

    with pytest.raises(SourceError, match="every row would count twice"):
        read(make(), path, ("a",))


GENERATED = (
    '[source]\n[generator]\nmodule = "tiny_generator"\nsettings = {rows = 2}\n'
    '[raw.log]\ngenerator = "impressions"\n' + FEATURES
)


@pytest.fixture
def generator(monkeypatch):
    module = types.ModuleType("tiny_generator")
    module.calls = []

    def generate(day, settings):
        module.calls.append(day)
        return {"impressions": pa.table({"a": range(settings["rows"])})}

    module.generate, module.default_days = generate, lambda: (DAY, DAY)
    monkeypatch.setitem(sys.modules, "tiny_generator", module)
    monkeypatch.setattr(raw, "_last", None)
    return module


def test_a_generated_source_makes_a_day_once(make, generator):
    source = make(GENERATED)

    assert source.default_days == (DAY, DAY)
    assert read(source, None, ("a",)) == [(0,), (1,)] == read(source, None)
    assert generator.calls == [DAY]


def test_settings_of_a_generator_can_be_set_from_outside(make, generator):
    assert read(make(GENERATED, generator_settings={"rows": 1}), None) == [(0,)]


def test_what_a_generator_does_not_make_is_named(make, generator):
    source = make(GENERATED.replace('generator = "impressions"', 'generator = "views"'))

    with pytest.raises(ConfigError, match="makes impressions, not 'views'"):
        read(source, None)


def test_a_raw_input_that_the_toml_does_not_declare_is_named(make, tmp_path):
    with pytest.raises(ConfigError, match=r"raw\.users is not declared; .*source\.toml declares: raw\.log"):
        read(make(), tmp_path, name="users")


AUTO = TOML.replace('"data/log_*.csv", "data/log_*.csv.gz"]', '"data/log_*"]\nformat = "auto"')
OPTIONAL = TOML.replace("[raw.log]", "[raw.log]\noptional = true")


def test_with_format_auto_each_file_is_read_by_its_name(make, tmp_path):
    path = write(tmp_path, "log_1.csv", "a\n1\n")
    write(tmp_path, "log_2.csv.gz", "a\n2\n")
    duckdb.sql(f"copy (select 3 as a) to '{path}/data/log_3.parquet'")

    assert sorted(read(make(AUTO), path, ("a",))) == [("1",), ("2",), ("3",)]


def test_an_optional_input_without_files_is_empty_and_has_its_columns(make, tmp_path):
    path = write(tmp_path, "other.csv", "a\n1\n")

    assert read(make(OPTIONAL), path, ("a", "b")) == []
    with pytest.raises(
        ConfigError, match=r"declares none of its columns. Write them there, as in raw.log\(a, b\)"
    ):
        read(make(OPTIONAL), path)


def test_an_optional_input_with_files_is_read(make, tmp_path):
    assert read(make(OPTIONAL), write(tmp_path, "log_1.csv", "a\n1\n"), ("a",)) == [("1",)]
