import pytest

from lt4rec_core.data.sources import load_source
from lt4rec_core.errors import ConfigError

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


def test_a_source_is_what_its_toml_says(make):
    source = make()

    assert (source.name, source.time_zone, source.default_days) == ("tiny", "Asia/Shanghai", None)
    assert source.raw["log"].files == ("data/log_*.csv", "data/log_*.csv.gz")
    assert source.catalogue.embeddings == {"user_id": 10, "video_id": 10, "page": 3}


def test_an_unknown_source_is_answered_with_those_there_are(make, tmp_path):
    make(name="one")
    make(name="two")

    with pytest.raises(ConfigError, match=r"unknown source 'three'; there are: one, two. LT4REC_SOURCE"):
        load_source(tmp_path / "sql", "three")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[source]", "[source", "cannot read"),
        ("[raw.log]", '[raw.log]\noptional = "no"', r"\[raw.log\] optional must be true or false, got 'no'"),
        ("[raw.log]", '[raw.log]\nformat = "xml"', r"format must be one of csv, parquet, auto, got 'xml'"),
        ("[source]", "[sauce]\n[source]", "unknown key.s. sauce"),
        ("time_zone", "timezone", r"\[source\] unknown key.s. timezone"),
        ("Asia/Shanghai", "Asia/Atlantis", "unknown time_zone 'Asia/Atlantis'"),
        ("[raw.log]\nfiles", "[rare.log]\nfiles", "unknown key.s. rare"),
        ('["data/log_*.csv", "data/log_*.csv.gz"]', '"data"', "files must be a list of globs"),
        ("[raw.log]", '[raw.log]\nformat = "xlsx"', "format must be one of csv, parquet"),
        ("[raw.log]", '[raw.log]\ngenerator = "log"', "names both files and a generator"),
        ("[source]", '[source]\nname = "other"', "name is 'other', its folder is 'tiny'"),
        ("buckets = 10", "buckets = 0", "'user_id': buckets must be"),
    ],
)
def test_a_faulty_toml_is_refused_by_path_and_reason(make, old, new, message):
    with pytest.raises(ConfigError, match=message) as refused:
        make(TOML.replace(old, new, 1))

    assert "source.toml" in str(refused.value)


GENERATED = (
    '[source]\n[generator]\nmodule = "tiny_generator"\nsettings = {rows = 2}\n'
    '[raw.log]\ngenerator = "impressions"\n' + FEATURES
)


def test_a_generator_that_is_no_module_is_a_fault_of_the_toml(make):
    with pytest.raises(ConfigError, match="module 'no_such_module' cannot be imported"):
        make(GENERATED.replace("tiny_generator", "no_such_module"))


def test_a_source_may_lie_anywhere_and_is_named_by_the_path_of_its_folder(make, tmp_path):
    make(name="shop")

    source = load_source(tmp_path / "elsewhere", str(tmp_path / "sql" / "sources" / "shop"))

    assert (source.name, source.folder) == ("shop", tmp_path / "sql" / "sources" / "shop")
    assert source.checks == tmp_path / "elsewhere" / "checks", "the project's own statements judge it"


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", r"nowhere does not exist. LT4REC_SOURCE names it"),
        ("empty", r"empty holds no source.toml"),
        ("my shop", r"my shop has a name that labels cannot carry. Name it in letters"),
    ],
)
def test_a_path_that_is_no_source_is_refused(tmp_path, folder, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "my shop").mkdir()
    (tmp_path / "my shop" / "source.toml").write_text(TOML)

    with pytest.raises(ConfigError, match=message):
        load_source(tmp_path, str(tmp_path / folder))


def test_an_unknown_name_is_told_how_a_path_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"or the path of one elsewhere, as in \./shop\."):
        load_source(tmp_path, "shop")
