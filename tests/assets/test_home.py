import os
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest

from lt4rec_assets.home import prepare_home
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource
from lt4rec_core.errors import ConfigError, LakeError
from tests.assets.conftest import SMALL, make_settings


@pytest.fixture(autouse=True)
def no_dagster_home(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")


def test_a_new_home_gets_dagsters_template(tmp_path):
    prepare_home(Project.of(make_settings(tmp_path)))

    assert "max_concurrent_runs" in (tmp_path / "dagster" / "dagster.yaml").read_text()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "dagster")


def test_dagster_accepts_the_template_and_runs_that_train_take_turns(tmp_path):
    prepare_home(Project.of(make_settings(tmp_path)))

    with dg.DagsterInstance.get() as instance:
        concurrency = instance.get_concurrency_config()
        assert instance.freshness_enabled
    assert concurrency.pool_config.default_pool_limit == 1
    assert concurrency.pool_config.pool_granularity.value == "run"


def test_of_several_that_start_at_once_one_makes_dagsters_databases(tmp_path, monkeypatch):
    project, real, opened = Project.of(make_settings(tmp_path)), dg.DagsterInstance.get, []
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: opened.append(1) or real())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: prepare_home(project), range(4)))
    prepare_home(project)

    assert len(opened) == 1
    assert list(tmp_path.rglob("runs.db"))


def test_what_the_owner_changed_in_the_template_stays(tmp_path):
    prepare_home(Project.of(make_settings(tmp_path)))
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    prepare_home(Project.of(make_settings(tmp_path)))

    assert (tmp_path / "dagster" / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_a_home_of_another_data_set_is_refused(tmp_path):
    prepare_home(Project.of(make_settings(tmp_path)))
    other = make_settings(tmp_path, LT4REC_START="2026-01-06")

    with pytest.raises(ConfigError, match=r"holds another data set: start '2026-01-05', not '2026-01-06'"):
        prepare_home(Project.of(other))


def test_a_home_made_with_another_threshold_or_simulator_is_refused(tmp_path):
    prepare_home(Project.of(make_settings(tmp_path)))
    other = make_settings(
        tmp_path, SMALL.replace("n_users = 60", "n_users = 61") + "[samples]\nprior_strength = 3\n"
    )

    with pytest.raises(
        ConfigError, match=r"holds another data set: samples .*'prior_strength': 10.*; generator"
    ):
        prepare_home(Project.of(other))


def test_an_asset_refuses_such_a_home_as_well(tmp_path):
    project = Project.of(make_settings(tmp_path))
    prepare_home(project)
    other = Project.of(make_settings(tmp_path, LT4REC_START="2026-01-06"))

    with pytest.raises(ConfigError, match="holds another data set"):
        LakeResource(home=str(tmp_path)).open(other)


def test_a_damaged_claim_is_named(tmp_path):
    project = Project.of(make_settings(tmp_path))
    (tmp_path / "home.json").write_text("{")

    with pytest.raises(ConfigError, match=r"home\.json says what the home is made from, and is damaged"):
        prepare_home(project)


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    settings = make_settings(tmp_path / "home")
    project = Project.of(settings)
    (tmp_path / "home" / "lt4rec.toml").unlink()
    (tmp_path / "home").rmdir()
    (tmp_path / "home").write_text("a file where the home should be")

    with pytest.raises(LakeError, match=r"home .* cannot be written.*LT4REC_HOME"):
        prepare_home(project)
