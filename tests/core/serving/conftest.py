"""Random layers and what they give when simply computed; a platform whose days were trained on."""

from datetime import timedelta

import numpy as np
import pytest
import torch

from lt4rec_core.data.loading import load_samples
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.serving.compact import Layer
from lt4rec_core.serving.entities import read_entities
from lt4rec_core.serving.export import draft
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.daily import train_day
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.tickets import Ticket
from tests.sql.conftest import DAY, PARAMS, SHOWN, Platform


def draw_layers(widths=(100, 40, 24), density=0.2, seed=0):
    """Hidden layers of these widths and a logit layer, of which the hidden ones keep a share of weights."""
    g = np.random.default_rng(seed)
    layers = []
    for n_in, n_out in zip(widths, (*widths[1:], 1), strict=True):
        kept = g.random((n_out, n_in)) < (density if n_out > 1 else 1)
        weight = (kept * g.standard_normal((n_out, n_in))).astype(np.float32)
        layers.append(Layer(weight, g.standard_normal(n_out).astype(np.float32), relu=n_out > 1))
    return layers


def plain(layers, x):
    """The layers as their definition has them, in double precision: (b, d_in) to (b, d_out)."""
    h = x.astype(np.float64)
    for layer in layers:
        h = h @ layer.weight.astype(np.float64).T + layer.bias
        h = np.maximum(h, 0) if layer.relu else h
    return h


@pytest.fixture
def layers():
    return draw_layers()


class Served:
    """Three days of a tiny platform, and a chain of two days with random tickets."""

    def __init__(self, folder, density=0.4):
        self.platform = Platform(folder)
        self.days = [DAY + timedelta(days=i) for i in range(3)]
        g = np.random.default_rng(1)
        for day in self.days:
            users, videos = [f"u{i}" for i in range(9)], [f"v{i}" for i in range(12)]
            cities = [{"user_id": u, "city": ("Rome", "Oslo", None)[i % 3]} for i, u in enumerate(users[:7])]
            tags = [{"video_id": v, "tags": ["cats", "dogs"][: i % 3]} for i, v in enumerate(videos[:10])]
            self.platform.put("source.users", *cities, day=day)
            self.platform.put("source.videos", *tags, day=day)
            shown = [(u, v) for u in users[: 7 + (day - DAY).days] for v in videos if g.random() < 0.6]
            rows = [self.row(g, u, v, n, day) for n, (u, v) in enumerate(shown)]
            self.platform.log(*rows, day=day)
            self.platform.run_all(day=day)
        self.store = ModelStore(folder / "home")
        self.catalogue = self.platform.source.catalogue
        self.chain = self.trained(self.make_chain(density))

    def trained(self, chain):
        """The chain, with models of the first two days."""
        for day in self.days[:2]:
            train_day(self.store, chain, day, self.samples(day), first=day == DAY)
        return chain

    @staticmethod
    def row(g, user, video, n, day):
        clicked = bool(g.random() < 0.5)
        length = 500 * 3 ** (int(video[1:]) % 5)
        at = SHOWN["occurred_at"] + (day - DAY) + timedelta(minutes=n)
        played = int(length * g.random()) if clicked else 0
        return {
            "user_id": user, "video_id": video, "occurred_at": at, "is_click": clicked, "play_ms": played,
            "duration_ms": length, "page": ("feed", "search")[n % 2], "position": n % 4 + 1,
        }  # fmt: skip

    def make_chain(self, density, interaction="dot"):
        network = NetworkConfig(embedding_dim=4, hidden=(16, 8), embedding_std=0.1, interaction=interaction)
        net = SharedNet(self.catalogue, ("ctr", "cvr"), network, torch.Generator().manual_seed(0))
        g = torch.Generator().manual_seed(2)
        masks = {
            t: {n: torch.rand(w.shape, generator=g) < density for n, w in net.trunk_weights().items()}
            for t in net.tasks
        }
        return Chain(
            kind="snet", catalogue=self.catalogue, tasks=get_tasks(["ctr", "cvr"]), network=network,
            training=TrainingConfig(batch_size=16, learning_rate=0.01, embedding_learning_rate=0.2),
            tickets={t: Ticket(task=t, metric="auc", best_i=1, rounds=(), mask=m) for t, m in masks.items()},
        )  # fmt: skip

    def samples(self, day, keep=()):
        reader = self.platform.lake.open("training.samples", day, day)
        return load_samples(reader, self.catalogue, keep=keep)

    def entities(self):
        lake, files = self.platform.lake, self.platform.files
        return read_entities(lake, files, self.catalogue, self.days[1], PARAMS)[0]

    def draft(self, chain=None):
        zone = self.platform.source.time_zone
        return draft(self.store, chain or self.chain, self.days[1], self.entities(), zone)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """Read it, do not change it."""
    torch.set_num_threads(1)
    return Served(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def ranker(served):
    return served.draft().ranker
