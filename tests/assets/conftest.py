"""A home small enough to fill in seconds: five simulated days, a tiny network, the real graph."""

from datetime import date

import dagster as dg
import pytest
import torch

from lt4rec_assets.backfill import Backfill
from lt4rec_assets.definitions import build_definitions
from lt4rec_assets.home import prepare_home
from lt4rec_assets.project import Project
from lt4rec_assets.race import run_race
from lt4rec_assets.settings import read_settings
from lt4rec_core.data.analyst import connect, query

SMALL = """
[source]
impressions_per_day = 400
n_users = 60
new_users_per_day = 2
n_videos = 50
new_videos_per_day = 2

[network]
embedding_dim = 4
hidden = [16, 8]

[training]
batch_size = 128

[serving]
latency_seconds = 0.01
"""
RACE = """
[pruning]
n_pruning = 1
q = 0.5

[experiments]
seeds = 2
n_test = 1
n_trials = 1
max_epochs = 1
label_shares = [0.5]
"""
FIRST, LAST = date(2026, 1, 5), date(2026, 1, 9)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make_settings(home, toml=SMALL, **env):
    """Settings of a small simulated home; ``env`` overrides."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "lt4rec.toml").write_text(toml)
    return read_settings(
        {
            "LT4REC_HOME": str(home),
            "LT4REC_START": FIRST.isoformat(),
            "LT4REC_END": LAST.isoformat(),
            "LT4REC_TICKET_DAYS": "2",
            **env,
        }
    )


class Home:
    """A prepared home with its own Dagster instance, and a backfill over it."""

    def __init__(self, settings):
        self.project = Project.of(settings)
        prepare_home(self.project)
        self.definitions = build_definitions(self.project)
        self.said = []

    def backfill(self, first=FIRST, last=LAST, select="*", **options):
        with dg.DagsterInstance.get() as instance:
            backfill = Backfill(self.definitions, self.project, instance, say=self.said.append, **options)
            return backfill.run(first, last, select)

    def ask(self, text):
        """The rows an analyst gets."""
        return query(connect(self.project.settings.home), text).fetchall()

    def latest(self, asset, partition=None):
        """The metadata of an asset's latest materialisation."""
        key = dg.AssetKey(asset.split("/"))
        with dg.DagsterInstance.from_config(str(self.project.settings.home / "dagster")) as instance:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None),
                limit=1,
            ).records
        return records[0].asset_materialization.metadata


@pytest.fixture(scope="session")
def raced(tmp_path_factory):
    """Four days, three rows raced at all and at half of the labels; add to it, but keep what is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        folder = tmp_path_factory.mktemp("raced")
        home = Home(make_settings(folder, SMALL + RACE, LT4REC_END="2026-01-08"))
        last = date(2026, 1, 8)
        made = home.backfill(FIRST, last, "group:source or group:samples or group:features or group:training")
        assert made.ok
        home.raced = run_race(
            home.project.settings, ("base_ctr", "base_cvr", "s_weight"), (), say=home.said.append
        )
    return home


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A home whose five days have all been run; read it, do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        home = Home(make_settings(tmp_path_factory.mktemp("home")))
        home.outcome = home.backfill()
        yield home


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """``empty(toml=..., **env)``: a prepared home; without a row when it is made first."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def make(toml=SMALL, **env):
        return Home(make_settings(tmp_path / "home", toml, **env))

    return make
