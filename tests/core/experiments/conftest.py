"""A race small enough for a test: seven days of a few samples, and who asked for which days."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from lt4rec_core.data.loading import SampleSet, concat
from lt4rec_core.experiments.fitting import FitSettings
from lt4rec_core.experiments.race import Race
from lt4rec_core.experiments.splits import RaceData, Split
from lt4rec_core.experiments.tuning import TuningConfig
from lt4rec_core.model.boosting import BoostingConfig
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.tickets import PruneConfig

DAYS = [date(2022, 4, 8) + timedelta(days=i) for i in range(7)]


@pytest.fixture
def make_data(catalogue, make_samples):
    """``make_data(**RaceData fields)``; ``data.asked`` lists the days that were loaded."""

    def day(day, n):
        plain = make_samples(n, seed=day.toordinal())
        users = [str(u) for u in plain.ids[:, 0].tolist()]
        times = [datetime.combine(day, datetime.min.time()) + timedelta(seconds=i) for i in range(n)]
        kept = pa.table({"user_id": users, "video_id": users, "occurred_at": times})
        return SampleSet(plain.ids, plain.lists, plain.labels, kept)

    def make(n=120, **changes):
        asked = []

        def load(days):
            asked.extend(days)
            return concat([day(d, n) for d in days])

        split = Split.by_day(DAYS)
        data = RaceData(catalogue, split, load, **{"digest": f"test {n}", **changes})
        object.__setattr__(data, "asked", asked)
        return data

    return make


@pytest.fixture
def base(small_network):
    """Settings of which a fit takes a moment."""
    return FitSettings(
        variant="base_ctr",
        network=replace(small_network, hidden=(8, 4)),
        training=TrainingConfig(batch_size=64, learning_rate=0.01, embedding_learning_rate=0.1),
        pruning=PruneConfig(n_pruning=1, q=0.5),
        boosting=BoostingConfig(max_iter=5),
    )


@pytest.fixture
def make_race(tmp_path, make_data, base):
    def make(home=tmp_path, data=None, base=base, **tuning):
        budget = {"n_trials": 2, "max_epochs": 2, "boosting_max_iter": (5,), **tuning}
        return Race(home, data or make_data(), base, TuningConfig(**budget))

    return make
