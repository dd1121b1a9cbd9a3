import pytest

from lt4rec_core.config import from_mapping
from lt4rec_core.errors import ConfigError
from lt4rec_core.quality.suites import DEFAULTS
from lt4rec_core.quality.thresholds import Thresholds


def test_what_is_not_named_keeps_its_default():
    given = from_mapping(Thresholds, {"min_rows": 1000, "max_volume_change": 1})

    assert given.as_params() == {**DEFAULTS, "min_rows": 1000, "max_volume_change": 1.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_rows": 0}, "at least 1, got 0"),
        ({"min_rows": True}, "at least 1, got True"),
        ({"history_users": 0}, "at least 1, got 0"),
        ({"min_drift_days": 2.5}, r"at least 1, got 2\.5"),
        ({"max_rate_change": 0}, r"above 0, got 0\.0"),
        ({"max_rate_change": float("nan")}, "above 0, got nan"),
        ({"max_volume_change": "half"}, "above 0, got 'half'"),
        ({"max_clicks": 1}, "unknown keys: max_clicks"),
    ],
)
def test_an_impossible_threshold_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Thresholds, given, where="[quality]")
