"""A chain over the small catalogue, sNET and baseline, with tickets drawn at random."""

import pytest
import torch

from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.chain import Chain
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
