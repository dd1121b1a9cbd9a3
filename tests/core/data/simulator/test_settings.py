import pytest

from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.errors import ConfigError


def test_what_is_left_out_keeps_its_default():
    assert SimulatorSettings.from_mapping({"conflict": 0.25}) == SimulatorSettings(conflict=0.25)


def test_an_unknown_setting_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ConfigError, match=r"no setting 'n_user'; it knows seed, n_users, .*source\.toml"):
        SimulatorSettings.from_mapping({"n_user": 5})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("n_users", 50),  # as many as join every day: nobody would be known
        ("n_videos", 10**9),  # ten million days of uploads
        ("new_users_per_day", 0),
        ("impressions_per_day", 0),
        ("impressions_per_day", 0.5),
        ("shared_taste", 1.1),
        ("shared_taste", "half"),
        ("conflict", -0.1),
        ("conflict", float("nan")),
        ("drift", float("inf")),
        ("messy_share", True),
    ],
)
def test_an_impossible_value_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"simulator setting {name} must "):
        SimulatorSettings.from_mapping({name: value})


def test_a_whole_number_serves_where_a_fraction_is_possible():
    assert SimulatorSettings(shared_taste=0).shared_taste == 0
