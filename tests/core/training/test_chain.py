from dataclasses import replace

import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.settings import TrainingConfig

TASKS = get_tasks(["ctr", "cvr"])
TRAINING = TrainingConfig(batch_size=32)


@pytest.fixture
def chain(catalogue, small_network, tickets):
    return Chain(
        kind="snet", catalogue=catalogue, tasks=TASKS, network=small_network, training=TRAINING,
        tickets=tickets, seed=3,
    )  # fmt: skip


def test_what_is_trained_decides_the_chain(chain, small_network, tickets, catalogue):
    snet = chain
    one_bit = {n: m.clone() for n, m in tickets["ctr"].mask.items()}
    one_bit["trunk.0.weight"][0, 0] ^= True
    others = [
        replace(snet, seed=4),
        replace(snet, tasks=TASKS[:1], tickets={}),
        replace(snet, network=replace(small_network, embedding_std=0.2)),
        replace(snet, training=replace(TRAINING, threads=2)),
        replace(snet, tickets={**tickets, "ctr": replace(tickets["ctr"], mask=one_bit)}),
        replace(snet, restart="rewind"),
        replace(snet, kind="baseline", tickets={}),
    ]

    assert len({snet.digest, *(c.digest for c in others)}) == 8
    assert replace(snet).digest == snet.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "dense"}, "kind must be 'snet' or 'baseline'"),
        ({"tasks": ()}, "at least one task"),
        ({"kind": "baseline"}, "The baseline is dense and takes no tickets"),
        ({"tasks": TASKS[:1]}, r"tickets of tasks that the chain does not have: \['cvr'\]"),
    ],
)
def test_an_impossible_chain_is_refused(catalogue, tickets, change, message):
    with pytest.raises(ConfigError, match=message):
        Chain(**{"kind": "snet", "catalogue": catalogue, "tasks": TASKS, "tickets": tickets, **change})
