"""A real Ray cluster of two cores: cells side by side, a day of two workers, and workers that are killed."""

import threading
import time
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import numpy as np
import pytest
import torch
from support.dying import dies
from support.ray import ray_cluster

from lt4rec_assets.backfill import Backfill
from lt4rec_assets.cluster import cluster_of
from lt4rec_assets.defs.experiments import RUN
from lt4rec_assets.graph import build_graph
from lt4rec_assets.home import prepare_home
from lt4rec_assets.learning import Learning
from lt4rec_assets.project import Project
from lt4rec_assets.race import run_race
from lt4rec_assets.settings import read_settings
from lt4rec_core.data import staging
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.streaming import SampleStream
from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.training.daily import score_day, train_day
from lt4rec_core.training.store import ModelStore

pytestmark = [
    pytest.mark.slow,
    # Ray's own: it leaves what its processes were opened with to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FIRST, SECOND, THIRD, LAST = (date(2026, 1, 5) + timedelta(days=i) for i in range(4))
TOML = """
[source]
impressions_per_day = 7500
n_users = 600
n_videos = 300

[network]
embedding_dim = 8
hidden = [16, 8]

[training]
batch_size = 64
learning_rate = 0.005
embedding_learning_rate = 0.1
stream_above_mb = 1

[pruning]
n_pruning = 1
q = 0.5

[experiments]
seeds = 2
n_test = 1
n_trials = 1
max_epochs = 1
label_shares = []

[ray]
workers = 2
"""


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
        yield running


class Home:
    """Four days of samples in row groups of 500 rows, and what is run over them with or without Ray."""

    def __init__(self, folder):
        folder.mkdir()
        (folder / "lt4rec.toml").write_text(TOML)
        self.path, self.said = folder, []
        self.backfill("group:source or group:samples or group:features or group:training", FIRST, LAST)

    def settings(self, ray=""):
        return read_settings(
            {
                "LT4REC_HOME": str(self.path), "LT4REC_START": str(FIRST), "LT4REC_END": str(LAST),
                "LT4REC_TICKET_DAYS": "2", "LT4REC_RAY": ray,
            }
        )  # fmt: skip

    def backfill(self, select, first, last, ray=""):
        """Returns what was said; everything must have become green."""
        project = Project.of(self.settings(ray))
        prepare_home(project)
        with dg.DagsterInstance.get() as instance:
            outcome = Backfill(build_graph(project), project, instance, say=self.said.append).run(
                first, last, select
            )
        assert outcome.ok, outcome.failed
        return outcome

    def learning(self):
        return Learning.of(Project.of(self.settings()))

    def stream(self, day):
        samples, _ = self.learning().samples_or_stream(Lake(self.path), day, day)
        assert isinstance(samples, SampleStream)
        return samples

    def snet(self):
        store = ModelStore(self.path)
        return store, self.learning().chain("snet", store)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.setattr(staging, "ROWS_PER_GROUP", 500)
        torch.set_num_threads(1)
        yield Home(tmp_path_factory.mktemp("ray") / "home")


@pytest.fixture(scope="module")
def ticketed(home, cluster):
    """With tickets, which the cluster found."""
    home.backfill("key:tickets/ticket", FIRST, LAST, ray=cluster.address)
    return home


@pytest.fixture(scope="module")
def trained(ticketed, cluster):
    """With two days of sNET by one process, and a third by two workers undisturbed; its manifest."""
    ticketed.backfill("key:models/snet", FIRST, SECOND)
    ticketed.backfill("key:models/snet", THIRD, THIRD, ray=cluster.address)
    store, chain = ticketed.snet()
    return store.manifest("snet", chain.digest, THIRD)


def judged(store, chain, samples):
    """The model of the third day on the fourth: CTR's AUC and CVR's MSE."""
    found, _ = score_day(store, chain, THIRD, samples)
    names = ("is_click", "watch_ratio")
    parts = [[part.labels[name].clone() for name in names] for part in samples.labels(names)]  # of one buffer
    click, watch = (torch.cat(values).double().numpy() for values in zip(*parts, strict=True))
    clicked = ~np.isnan(watch) & (click == 1)
    return auc_score(click, found["p_ctr"]), mse_loss(watch[clicked], found["p_cvr"][clicked])


def test_tickets_found_on_the_cluster_are_those_that_this_machine_finds(ticketed):
    home = ticketed
    learning, store = home.learning(), ModelStore(home.path)

    found = store.load_ticket(learning.ticket_key, "cvr")
    here = learning.search("cvr", Lake(home.path), on_round=lambda done: None)
    assert found.digest == here.digest
    assert [r.metric for r in found.rounds] == [r.metric for r in here.rounds]


def test_a_day_of_two_workers_is_as_good_as_one_process_makes_it(home, trained):
    store, chain = home.snet()
    assert trained["identity"]["workers"] == 2
    assert trained["n_samples"] == trained["metrics"]["ctr"]["n"] == len(home.stream(THIRD))
    assert not list((home.path / "ray").glob("snet*")), "a finished day leaves no checkpoint"
    by_one, tomorrow = [], home.stream(LAST)
    for seed in range(1, 8):
        alone, other = ModelStore(home.path / f"seed{seed}"), replace(chain, seed=seed)
        for day in (FIRST, SECOND, THIRD):
            train_day(alone, other, day, home.stream(day), first=day == FIRST)
        by_one.append(judged(alone, other, tomorrow))
    by_two, mean = np.array(judged(store, chain, tomorrow)), np.mean(by_one, 0)
    spread = (
        2.447 * np.std(by_one, 0, ddof=1) * np.sqrt(1 + 1 / len(by_one))
    )  # where an eighth seed would lie
    print(f"AUC and MSE by two workers {by_two}, by one {mean} +- {spread}")
    assert by_two[0] > 0.55  # they learnt something
    assert (abs(by_two - mean) < spread).all()


def test_a_worker_killed_in_the_middle_is_replaced_and_the_day_ends_as_if_undisturbed(home, cluster, trained):
    store, chain = home.snet()
    killed = []

    def kill():
        """Once a checkpoint stands, so that there is something to go on from."""
        while not list((home.path / "ray").glob("snet*/*/manifest.json")):
            time.sleep(0.05)
        killed.append(cluster.kill_one("RayTrainWorker"))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    home.backfill("key:models/snet", THIRD, THIRD, ray=cluster.address)

    killer.join(0)
    assert killed
    again = store.manifest("snet", chain.digest, THIRD)
    assert again["written_at"] > trained["written_at"]
    assert again["digest"] == trained["digest"]
    assert again["metrics"] == trained["metrics"]


def test_seeds_run_side_by_side_and_a_cell_that_fails_takes_no_other_along(home, cluster):
    said = []

    def race():
        return run_race(home.settings(cluster.address), ("base_ctr",), (), say=said.append, tables=False)

    assert race().ok
    (folder,) = (home.path / "experiments").glob("*/cells/base_ctr/*")
    for cell in folder.iterdir():
        for file in sorted(cell.iterdir()):
            file.unlink()
        cell.rmdir()
    (folder / "1").write_text("in the way of the second seed")

    outcome = race()
    assert [key for asset, key in outcome.green if asset == RUN] == ["1|base_ctr|0"]
    assert [key for _, key in outcome.failed] == ["1|base_ctr|1"]
    assert "1|base_ctr|1: ModelStoreError" in next(iter(outcome.failed.values()))

    finished = (folder / "0" / "manifest.json").read_bytes()
    (folder / "1").unlink()
    assert race().ok
    assert (folder / "0" / "manifest.json").read_bytes() == finished, "a finished cell was run again"
    assert (folder / "1" / "manifest.json").exists()
    assert sum(line.startswith("[2/2] 1|base_ctr|1") and "ctr_auc" in line for line in said) == 2


def test_what_a_killed_process_was_at_is_begun_again_so_often_and_the_others_go_on(home, cluster, tmp_path):
    settings, said = home.settings(cluster.address), []
    calls = [(str(tmp_path / "a"), 0), (str(tmp_path / "b"), 1), (str(tmp_path / "c"), 9)]

    resource = cluster_of(settings)
    with resource.yield_for_execution(None):
        ended = dict(resource.each(Project.of(settings), dies, calls, said.append))

    assert [ended[call] for call in calls[:2]] == ["done after 0 deaths", "done after 1 deaths"]
    assert "died 3 times" in str(ended[calls[2]])
    assert "[ray] memory_gb" in str(ended[calls[2]])
    assert sum("begun again" in line for line in said) == 3


def test_a_cluster_that_is_not_there_is_named_at_once(home):
    began = time.monotonic()
    outcome = run_race(home.settings("127.0.0.1:9"), ("base_ctr",), (), say=lambda line: None, tables=False)

    assert "no Ray cluster answers at 127.0.0.1:9" in next(iter(outcome.failed.values()))
    assert time.monotonic() - began < 30
