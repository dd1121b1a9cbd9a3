"""A chain over the small catalogue, sNET and baseline, with tickets drawn at random; workers side by side."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
import torch
from torch import distributed

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.streaming import SampleStream
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.exchange import Group
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.tickets import Ticket


@pytest.fixture
def tickets(catalogue, small_network):
    net = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(1)
    masks = {
        t: {n: torch.rand(w.shape, generator=g) < 0.4 for n, w in net.trunk_weights().items()}
        for t in net.tasks
    }
    return {t: Ticket(task=t, metric="auc", best_i=1, rounds=(), mask=m) for t, m in masks.items()}


@pytest.fixture(params=["snet", "baseline"])
def chain(request, catalogue, small_network, tickets):
    return Chain(
        kind=request.param, catalogue=catalogue, tasks=get_tasks(["ctr", "cvr"]), network=small_network,
        training=TrainingConfig(batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1),
        tickets=tickets if request.param == "snet" else {}, seed=3,
    )  # fmt: skip


@pytest.fixture
def side_by_side():
    """``side_by_side(n, work)``: what ``work(exchange)`` returns at each of n workers, which are threads."""

    def run(n, work):
        store = distributed.HashStore()

        def at(rank):
            torch.set_num_threads(1)
            options = distributed.ProcessGroupGloo._Options()
            options._devices = [distributed.ProcessGroupGloo.create_device(interface="lo")]
            options._timeout = timedelta(seconds=20)
            return work(Group(distributed.ProcessGroupGloo(store, rank, n, options)))

        with ThreadPoolExecutor(n) as pool:
            return [future.result() for future in [pool.submit(at, rank) for rank in range(n)]]

    return run


@dataclass(frozen=True)
class Blocks(SampleStream):
    """Samples that come in blocks without lying in files."""

    blocks: tuple[SampleSet, ...] = ()

    def __len__(self):
        return sum(len(block) for block in self._mine())

    def _mine(self):
        return self.blocks[self.rank :: self.workers]

    def shuffled(self, generator, skip=0):
        mine = self._mine()
        order = torch.randperm(len(mine), generator=generator).tolist()
        yield from [mine[i] for i in order][skip:]

    def labels(self, names):
        yield from self._mine()


@pytest.fixture
def make_blocks(make_samples, catalogue):
    """``make_blocks(sizes)``: a stream of blocks of these sizes."""

    def make(sizes):
        day = date(2022, 4, 29)
        blocks = tuple(make_samples(n, seed=i) for i, n in enumerate(sizes))
        return Blocks(None, day, day, catalogue, 0, blocks=blocks)

    return make
