import os
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest

from lt4rec_assets.home import prepare_home
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource
from lt4rec_assets.settings import read_settings
from lt4rec_core.data import objects
from lt4rec_core.data.places import place, put_text
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


@pytest.fixture
def bucket(in_store, tmp_path):
    """Where a home of the test's own is to lie; its ``lt4rec.toml`` is there."""
    home = place(f"s3://bucket-of-homes/{tmp_path.parent.name}/{tmp_path.name}")
    put_text(home / "lt4rec.toml", SMALL)
    return home


def settings_in(bucket):
    return read_settings({"LT4REC_HOME": str(bucket), "LT4REC_START": "2026-01-05"})


def test_a_home_in_a_bucket_has_dagsters_part_and_its_scratch_in_the_working_folder(bucket, tmp_path):
    project = Project.of(settings_in(bucket))
    prepare_home(project)
    lake = LakeResource(home=str(project.settings.home)).open(project)

    working = tmp_path / "working"
    assert project.settings.generator["impressions_per_day"] == 400
    assert os.environ["DAGSTER_HOME"] == str(working / "dagster")
    assert (working / "dagster" / "dagster.yaml").is_file()
    assert lake.staging == working / "staging"
    assert "samples.clicks" in lake.names()
    assert (bucket / "home.json").is_file()
    assert not (working / "home.json").exists()


def test_a_home_in_a_bucket_of_another_data_set_is_refused(bucket):
    prepare_home(Project.of(settings_in(bucket)))
    other = read_settings({"LT4REC_HOME": str(bucket), "LT4REC_START": "2026-01-06"})

    with pytest.raises(ConfigError, match=f"the home {bucket} holds another data set: start"):
        prepare_home(Project.of(other))


def test_a_working_folder_serves_one_home(bucket, tmp_path):
    prepare_home(Project.of(settings_in(bucket)))
    with pytest.raises(ConfigError, match=rf"belongs to {bucket}, not to {bucket}/b\. Set LT4REC_LOCAL"):
        prepare_home(Project.of(settings_in(bucket / "b")))

    (tmp_path / "working" / "home.json").write_text("{}")
    with pytest.raises(ConfigError, match="is a home of its own, and cannot serve"):
        prepare_home(Project.of(settings_in(bucket)))


def test_a_store_that_cannot_be_shared_is_refused_before_anything_is_there(in_store, tmp_path):
    with pytest.raises(LakeError, match="no conditional writes"):
        prepare_home(Project.of(settings_in("s3://forgetful-homes/home")))

    assert not list(objects.below("forgetful-homes", "home"))
    assert not (tmp_path / "working").exists()


def test_what_a_dotenv_file_says_of_the_bucket_reaches_what_reads_it(bucket, tmp_path, monkeypatch):
    """Its libraries read the process's environment, not this project's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LT4REC_HOME", str(bucket))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "taken back when the test ends")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=from-the-file\nAWS_REGION=other\n")

    read_settings()

    assert os.environ["AWS_ACCESS_KEY_ID"] == "from-the-file"
    assert os.environ["AWS_REGION"] == "eu-central-1"


def test_a_toml_that_cannot_be_read_from_a_bucket_says_why(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    objects.forget()

    with pytest.raises(ConfigError, match=r"lt4rec\.toml cannot be read: .* refuses these credentials"):
        settings_in(bucket)
