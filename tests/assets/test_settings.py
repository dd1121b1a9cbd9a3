from datetime import date

import pytest

from lt4rec_assets.settings import read_settings
from lt4rec_core.errors import ConfigError


def settings_of(tmp_path, **env):
    return read_settings({"LT4REC_HOME": str(tmp_path), "LT4REC_START": "2022-04-25", **env})


def test_without_variables_the_simulator_runs_its_own_14_days(tmp_path):
    settings = read_settings({"LT4REC_HOME": str(tmp_path)})

    assert settings.source == "simulator"
    assert (settings.end - settings.start).days + 1 == 14
    assert settings.tasks == ("ctr", "cvr")


def test_the_ticket_window_starts_with_the_first_day(tmp_path):
    settings = settings_of(tmp_path, LT4REC_TICKET_DAYS="3")

    assert settings.ticket_window == [date(2022, 4, 25), date(2022, 4, 26), date(2022, 4, 27)]


def test_an_end_left_open_stays_open(tmp_path):
    assert settings_of(tmp_path).end is None


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"LT4REC_START": "25.04.2022"}, r"LT4REC_START is '25\.04\.2022', which is not a day"),
        ({"LT4REC_END": "2022-04-01"}, r"LT4REC_END \(2022-04-01\) lies before LT4REC_START"),
        ({"LT4REC_TICKET_DAYS": "a week"}, "LT4REC_TICKET_DAYS is 'a week'"),
        ({"LT4REC_TICKET_DAYS": "1"}, "at least 2 days"),
        ({"LT4REC_TASKS": "ctr"}, "ctr and cvr are always trained"),
        ({"LT4REC_TASKS": "ctr,cvr,ctr"}, "named once each"),
        ({"LT4REC_TASKS": "ctr,cvr,foo"}, "Unknown task: foo"),
        ({"LT4REC_SOURCE": "nowhere", "LT4REC_START": ""}, "nowhere"),
        ({"LT4REC_SOURCE": "kuairand", "LT4REC_START": ""}, "LT4REC_START is not set"),
    ],
)
def test_an_impossible_setting_is_named(tmp_path, env, message):
    with pytest.raises(ConfigError, match=message):
        settings_of(tmp_path, **env)


def test_the_home_may_tune_samples_and_learning(tmp_path):
    (tmp_path / "lt4rec.toml").write_text(
        "[samples]\nconversion_threshold = 0.3\n[network]\nembedding_dim = 8\n"
    )

    settings = settings_of(tmp_path)

    assert settings.samples["conversion_threshold"] == 0.3
    assert settings.samples["history_length"] == 20
    assert settings.learning["network"] == {"embedding_dim": 8}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[samples]\nthreshold = 1", "unknown settings threshold"),
        ("[quality]\nmin_row = 1", "unknown keys: min_row"),
        ("[quality]\nmin_rows = 0", "min_rows is a number of rows, days or users, at least 1, got 0"),
        ("[quality]\nmax_rate_change = 'much'", "max_rate_change must be a number above 0"),
        ("[automation]\ndaily_at = 4", "daily_at is 4, which is no time of day"),
        ("[automation]\nretention_days = 1", "retention_days is a number of days, at least 7, got 1"),
        ("[trainning]\nseed = 1", "unknown tables trainning"),
        ("network = 3", r"should be a table, \[network\]"),
        ("[network", "cannot be read as TOML"),
    ],
)
def test_a_faulty_toml_says_what_is_wrong(tmp_path, toml, message):
    (tmp_path / "lt4rec.toml").write_text(toml)

    with pytest.raises(ConfigError, match=message):
        settings_of(tmp_path)


def test_a_dotenv_file_is_honoured_and_the_environment_wins(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        f"LT4REC_HOME={tmp_path}\nLT4REC_TASKS=ctr,cvr,like\nLT4REC_TICKET_DAYS=5\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LT4REC_HOME", raising=False)
    monkeypatch.delenv("LT4REC_TASKS", raising=False)
    monkeypatch.setenv("LT4REC_TICKET_DAYS", "4")

    settings = read_settings()

    assert settings.tasks == ("ctr", "cvr", "like")
    assert settings.ticket_days == 4


@pytest.mark.parametrize("length", ["0", "-1", "2.5", "true"])
def test_a_history_of_no_clicked_video_is_refused(tmp_path, length):
    (tmp_path / "lt4rec.toml").write_text(f"[samples]\nhistory_length = {length}\n")

    with pytest.raises(ConfigError, match=r"history_length is .* from 1 on"):
        read_settings({"LT4REC_HOME": str(tmp_path), "LT4REC_START": "2026-01-05"})
