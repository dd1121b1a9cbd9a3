"""On the simulator's first days, with the project's own SQL."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import load_samples
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.experiments.scarcity import KEY, keep_labels
from lt4rec_core.experiments.thinning import LABELS, thin

SQL = Path(__file__).parents[3] / "sql"
TABLES = (
    "samples/screened_impressions",
    "samples/impressions",
    "samples/clicks",
    "samples/conversions",
    "features/user_daily_stats",
    "features/video_daily_stats",
    "features/user_features",
    "features/video_features",
    "training/samples",
)


class Home:
    """Three days of a small simulated platform."""

    def __init__(self, folder):
        self.source = load_source(SQL, "simulator", {"impressions_per_day": 1500, "messy_share": 0.0})
        fragments = self.source.catalogue.fragments()
        files = [
            read_sql_file(SQL / "sources" / "simulator" / f"{name}.sql")
            for name in ("impression_log", "users", "videos")
        ]
        files += [read_sql_file(SQL / f"{name}.sql", fragments=fragments) for name in TABLES]
        self.files = {file.table: file for file in files}
        self.lake = Lake(folder / "home")
        self.lake.create(files)
        first = self.source.default_days[0]
        self.days = [first + timedelta(days=i) for i in range(3)]
        self.params = {
            "time_zone": self.source.time_zone,
            "conversion_threshold": 0.5,
            "prior_strength": 10,
            "history_length": 20,
        }
        for day in self.days:
            for file in files:
                self.lake.publish(run_sql(self.lake, self.source, file, day, self.params))

    def thinned(self, folder, share):
        return thin(self.lake, folder, self.source, self.files, self.days, self.params, share, seed=1)

    def load(self, lake):
        reader = lake.open("training.samples", self.days[0], self.days[-1])
        return load_samples(reader, self.source.catalogue, keep=KEY)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("simulated"))


def test_all_labels_make_the_same_samples(home, tmp_path):
    every, same = home.load(home.lake), home.load(home.thinned(tmp_path, 1.0))

    assert torch.equal(every.ids, same.ids)
    assert all(torch.equal(every.lists[name], same.lists[name]) for name in every.lists)


def test_fewer_labels_change_the_trailing_watch_features_and_nothing_else(home, tmp_path):
    every, few = home.load(home.lake), home.load(home.thinned(tmp_path, 0.1))

    columns = [f.column for f in home.source.catalogue.features if f.kind == "categorical"]
    changed = {name for i, name in enumerate(columns) if (every.ids[:, i] != few.ids[:, i]).any()}
    assert changed == {
        f.column
        for f in home.source.catalogue.features
        if f.input in ("watch_ratio_7d", "watch_surplus_7d", "complete_rate_7d")
    }
    assert all(torch.equal(every.lists[name], few.lists[name]) for name in every.lists)


def test_what_judges_keeps_its_labels_and_training_drops_those_the_features_lack(home, tmp_path):
    lake = home.thinned(tmp_path, 0.3)
    samples = home.load(lake)
    with home.lake.scratch() as con:
        scan = Lake(lake.home).snapshot(LABELS).select(con, None, None)
        left = con.execute(f"select user_id, video_id, occurred_at from ({scan})").fetchall()

    every = home.load(home.lake)
    assert np.array_equal(samples.labels["watch_ratio"], every.labels["watch_ratio"], equal_nan=True)
    scarce = keep_labels(samples, 0.3, seed=1)
    known = scarce.select(~scarce.labels["watch_ratio"].isnan()).kept
    assert sorted(left) == sorted(zip(*(known[name].to_pylist() for name in KEY), strict=True))


def test_the_lake_beneath_is_not_touched_and_finished_days_stay(home, tmp_path):
    before = {table: home.lake.version(table) for table in home.files}
    lake = home.thinned(tmp_path, 0.3)
    versions = {table: Lake(lake.home).version(table) for table in ("training.samples", LABELS)}

    home.thinned(tmp_path, 0.3)

    assert {table: home.lake.version(table) for table in home.files} == before
    assert {table: Lake(lake.home).version(table) for table in versions} == versions
    assert lake.days("training.samples") == home.days


def test_each_share_and_seed_has_a_lake_of_its_own(home, tmp_path):
    homes = {
        thin(home.lake, tmp_path, home.source, home.files, [], home.params, share, seed).home
        for share, seed in ((0.1, 1), (0.1, 2), (0.03, 1))
    }

    assert len(homes) == 3
