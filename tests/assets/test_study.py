import tomllib

import pytest

from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings
from lt4rec_assets.study import FULL, Member, members, run_study
from lt4rec_assets.trials import ExperimentsConfig
from lt4rec_core.errors import ConfigError


def test_a_study_has_a_home_per_data_set_and_the_logs_only_where_they_are_given(tmp_path):
    simulated = [member.name for member in members(tmp_path, None)]
    both = [member.name for member in members(tmp_path, tmp_path)]

    assert simulated[0] == both[0] == "simulator"
    assert set(both) - set(simulated) == {"kuairand", "kuairand-full"}
    assert sum(name.startswith("simulator-data-") for name in simulated) == 4
    assert "simulator-taste-0-conflict-0" in simulated


@pytest.mark.parametrize("number", range(12))
def test_the_settings_of_every_home_can_be_read(tmp_path, number):
    (tmp_path / "logs").mkdir()
    member = members(tmp_path, tmp_path / "logs")[number]
    home = tmp_path / member.name
    home.mkdir()
    (home / "lt4rec.toml").write_text(member.toml)

    settings = read_settings({**member.env, "LT4REC_HOME": str(home)})
    Project.of(settings)
    config = ExperimentsConfig.of(settings)

    assert len(config.days(settings)) >= 10
    assert config.network["hidden"] == tomllib.loads(member.toml)["experiments"]["network"]["hidden"]
    takes_over = member.name.startswith(("simulator-data", "simulator-taste"))
    assert bool(config.frozen_from) == takes_over


def test_the_paper_s_network_is_repeated_on_the_logs(tmp_path):
    full = next(member for member in members(tmp_path, tmp_path) if member.name == "kuairand-full")

    assert full.network == FULL == (32, [512, 256, 128])


@pytest.mark.parametrize(
    ("kuairand", "only", "message"),
    [
        ("nowhere", (), "nowhere is no folder"),
        (None, ("kuairand",), "--only kuairand: there are simulator, simulator-data-1"),
    ],
)
def test_what_cannot_be_studied_is_named(tmp_path, kuairand, only, message):
    with pytest.raises(ConfigError, match=message):
        run_study(tmp_path, tmp_path / kuairand if kuairand else None, only, workers=1, say=print)


def test_a_home_that_fails_is_named_and_the_next_is_still_run(tmp_path, monkeypatch):
    def commands(env, say, *arguments):
        ran.append((env["LT4REC_HOME"].rsplit("/")[-1], arguments[0]))
        return 1 if "first" in env["LT4REC_HOME"] else 0

    ran = []
    days = {"LT4REC_START": "2026-01-05", "LT4REC_END": "2026-01-08"}
    monkeypatch.setattr("lt4rec_assets.study._lt4rec", commands)
    monkeypatch.setattr(
        "lt4rec_assets.study.members", lambda into, logs: [Member("first", days), Member("second", days)]
    )

    failed = run_study(tmp_path, None, (), workers=1, say=lambda line: None)

    assert failed == ["first"]
    assert ran == [("first", "backfill"), ("second", "backfill"), ("second", "race")]


def test_samples_that_are_there_are_not_made_again(raced, monkeypatch):
    ran = []
    monkeypatch.setattr("lt4rec_assets.study._lt4rec", lambda env, say, *a: ran.append(a[0]) or 0)
    home = raced.project.settings.home
    days = {"LT4REC_START": "2026-01-05", "LT4REC_END": "2026-01-08"}
    monkeypatch.setattr("lt4rec_assets.study.members", lambda into, logs: [Member(home.name, days)])

    assert run_study(home.parent, None, (), workers=1, say=lambda line: None) == []
    assert ran == ["race"]
