from dataclasses import dataclass
from datetime import date

import pytest

from lt4rec_core.config import added_later, as_mapping, digest_of, from_mapping
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.training.tickets import PruneConfig
from lt4rec_core.training.trainer import TrainingConfig


def test_a_toml_table_becomes_a_frozen_value():
    config = from_mapping(NetworkConfig, {"hidden": [8, 4], "embedding_std": 1})

    assert config == NetworkConfig(hidden=(8, 4), embedding_std=1.0)
    assert isinstance(config.embedding_std, float)


def test_unknown_keys_are_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"\[network\] has unknown keys: hiden.*embedding_dim"):
        from_mapping(NetworkConfig, {"hiden": [8]}, "[network]")


def test_a_value_of_the_wrong_type_is_a_config_error():
    with pytest.raises(ConfigError, match=r"\[training\] does not make a TrainingConfig"):
        from_mapping(TrainingConfig, {"batch_size": "many"}, "[training]")


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (NetworkConfig, {"embedding_dim": 0}, "embedding_dim must be positive, got 0"),
        (NetworkConfig, {"hidden": ()}, "hidden must name at least one"),
        (NetworkConfig, {"interaction": "cross"}, "interaction must be one of"),
        (NetworkConfig, {"embedding_std": 0.0}, "embedding_std must be positive"),
        (TrainingConfig, {"batch_size": 0}, "batch_size must be positive, got 0"),
        (TrainingConfig, {"adagrad_eps": -1.0}, "adagrad_eps must not be negative"),
        (TrainingConfig, {"beta2": 1.0}, r"beta2 must lie in \[0, 1\), got 1.0"),
        (TrainingConfig, {"unknown_dropout": 2.0}, "unknown_dropout is a share"),
        (TrainingConfig, {"cvr_loss": "mae"}, "cvr_loss must be one of"),
        (TrainingConfig, {"task_weights": (("cvr", 0.0),)}, "task_weights must be positive"),
        (PruneConfig, {"q": 20.0}, "It is a share of the surviving weights, not a percentage"),
        (PruneConfig, {"n_pruning": 0}, "n_pruning must be at least 1"),
        (PruneConfig, {"restart": "retry"}, "restart must be one of"),
        (PruneConfig, {"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(cls, values, message):
    with pytest.raises(ConfigError, match=message):
        cls(**values)


def test_a_digest_depends_on_values_and_not_on_the_order_of_keys():
    @dataclass
    class Dated:
        day: date

    assert digest_of({"a": 1, "b": (1, 2)}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of(Dated(date(2022, 5, 1))) != digest_of(Dated(date(2022, 5, 2)))


def test_a_field_that_came_later_leaves_the_digest_of_settings_that_do_not_use_it():
    @dataclass(frozen=True)
    class Before:
        rate: float = 0.1

    @dataclass(frozen=True)
    class After:
        rate: float = 0.1
        sizes: tuple = added_later(())

    assert digest_of(After()) == digest_of(Before())
    assert digest_of(After(sizes=(1,))) != digest_of(Before())
    assert digest_of({"within": After()}) == digest_of({"within": Before()})


def test_what_is_told_of_settings_reads_back_as_they_were():
    @dataclass(frozen=True)
    class Settings:
        rate: float = 0.1
        sizes: tuple = added_later(())

    for settings in (Settings(), Settings(0.2, (("cvr", 3),))):
        assert from_mapping(Settings, as_mapping(settings)) == settings
