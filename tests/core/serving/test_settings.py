import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.serving.settings import ServingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auc_floor": 55.0}, "auc_floor is an AUC, from 0 to 1, got 55.0"),
        ({"mse_below_constant": 1}, "mse_below_constant is true or false, got 1"),
        ({"n_replicates": 3}, "n_replicates is a number from 20"),
        ({"keep_days": -1}, "keep_days is a number of days, 0 for all, got -1"),
        ({"keep_days": True}, "keep_days is a number of days"),
        ({"latency_seconds": -1.0}, "latency_seconds is a number of seconds"),
    ],
)
def test_an_impossible_floor_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        ServingConfig(**settings)
