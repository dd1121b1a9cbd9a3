"""Where Dagster's records stand, and what is said where they cannot. tests/slow has a real server."""

import importlib.metadata
import socket
import sys

import pytest
import yaml

from lt4rec_assets.home import TEMPLATE, prepare_home
from lt4rec_assets.postgres import STORAGE, is_on_postgres, reach, read_url
from lt4rec_assets.project import Project
from lt4rec_assets.settings import postgres_url
from lt4rec_core.errors import ConfigError
from tests.assets.conftest import make_settings

SECRET = "p%40ss%2Fw%25%3A"


@pytest.fixture(autouse=True)
def of_this_test_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("LT4REC_POSTGRES", raising=False)


@pytest.fixture
def nobody_there():
    """The address of a port that nothing listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://dagster:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/dagster"


def test_the_address_is_read_from_the_environment_and_from_env_files(tmp_path):
    assert postgres_url({}) is None
    assert postgres_url({"LT4REC_POSTGRES": " "}) is None
    (tmp_path / ".env").write_text("LT4REC_POSTGRES=postgresql://db/dagster\n")
    assert postgres_url() == "postgresql://db/dagster"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_an_address_is_read_with_the_driver_that_is_installed_and_its_password_decoded(scheme):
    url = read_url(f"{scheme}://dagster:{SECRET}@db:5433/records?sslmode=require")

    assert (url.drivername, url.host, url.port) == ("postgresql+psycopg2", "db", 5433)
    assert (url.password, url.database, url.query) == ("p@ss/w%:", "records", {"sslmode": "require"})


def test_what_an_address_leaves_out_is_left_to_libpq():
    url = read_url("postgresql://")

    assert url.translate_connect_args() == {}


@pytest.mark.parametrize(
    "text",
    ["mysql://u:geheim@db/x", "geheim", "postgresql://u:ge@heim@db/x", "postgresql://u:geheim@db:port/x"],
)
def test_what_is_no_address_is_refused_without_repeating_it(text):
    with pytest.raises(ConfigError, match=r"is no address.*postgresql://user@host:5432/dagster") as refused:
        read_url(text)

    assert "heim" not in str(refused.value)


def test_a_server_that_does_not_answer_is_one_line_without_the_password(nobody_there):
    with pytest.raises(ConfigError, match=r"cannot be opened: .*refused.*OPERATIONS.md, Postgres") as refused:
        reach(nobody_there)

    assert "ss" + "/w" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)

    with pytest.raises(ConfigError, match=r"dagster-postgres cannot be imported.*\.\[postgres\]"):
        read_url("postgresql://db/x")


def test_a_server_that_is_away_leaves_no_half_made_home(tmp_path, monkeypatch, nobody_there):
    monkeypatch.setenv("LT4REC_POSTGRES", nobody_there)

    with pytest.raises(ConfigError, match="cannot be opened"):
        prepare_home(Project.of(make_settings(tmp_path)))

    assert not (tmp_path / "dagster" / "dagster.yaml").exists()


def test_the_layout_names_the_class_and_neither_address_nor_password():
    config = yaml.safe_load(TEMPLATE.read_text() + STORAGE)

    assert config["storage"] == {"custom": {"module": "lt4rec_assets.postgres", "class": "PostgresRecords"}}
    assert is_on_postgres(config)
    assert not is_on_postgres(yaml.safe_load(TEMPLATE.read_text()))


@pytest.mark.parametrize(
    "config", [None, [], {}, {"storage": None}, {"storage": {"sqlite": {"base_dir": "x"}}}]
)
def test_any_other_layout_is_not_on_postgres(config):
    assert not is_on_postgres(config)


def test_a_home_on_sqlite_is_not_moved_and_is_told_so(tmp_path, monkeypatch):
    project = Project.of(make_settings(tmp_path))
    prepare_home(project)
    monkeypatch.setenv("LT4REC_POSTGRES", "postgresql://db/x")
    monkeypatch.setattr("lt4rec_assets.home.reach", lambda url: None)

    with pytest.raises(
        ConfigError, match=r"LT4REC_POSTGRES is set, but .*does not move along: set DAGSTER_HOME"
    ):
        prepare_home(project)


def test_a_home_on_postgres_without_the_variable_is_refused(tmp_path):
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text(STORAGE)

    with pytest.raises(ConfigError, match=r"LT4REC_POSTGRES is not set, but .*on PostgreSQL"):
        prepare_home(Project.of(make_settings(tmp_path)))

    assert not list(tmp_path.rglob("*.db"))


def test_a_layout_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("storage: {")

    with pytest.raises(ConfigError, match=r"dagster\.yaml cannot be read as YAML"):
        prepare_home(Project.of(make_settings(tmp_path)))


def test_the_extra_fits_the_dagster_that_is_installed():
    needs = importlib.metadata.requires("dagster-postgres")

    assert f"dagster=={importlib.metadata.version('dagster')}" in needs
