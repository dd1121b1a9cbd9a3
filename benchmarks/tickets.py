"""What a ticket costs: a search of four rounds of pruning beside as many plain trainings, and one more.

A plain training draws a network, trains it dense for one pass and judges it on the validation samples, a
sixth as many. The search does so through masks, prunes in between and reads its samples once. CTR of random
samples, the network of ``benchmarks.training``, in the precision that tickets are searched in here.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks.measure import Figure, measured, script

N_PRUNING = 4


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """A search and plain trainings in turn."""
    import torch

    from benchmarks.trainers import even_catalogue, random_samples

    torch.set_num_threads(1)
    n, n_ids = (1_000, 2_000) if asked.quick else (49_152, 200_000)
    catalogue = even_catalogue(n_ids)
    both = random_samples(catalogue, n + n // 6)
    training, valid = both.select(torch.arange(n)), both.select(torch.arange(n, n + n // 6))
    searches, plains, ratios = [], [], []
    for seed in range(asked.runs):
        plain = 0.0
        for half in range(2):  # before and after, whatever else the machine does meanwhile
            with measured() as span:
                for i in range(N_PRUNING // 2 + half):
                    _plain(catalogue, training, valid, seed + 100 * i)
            plain += span.cpu
            if half == 0:
                with measured() as search:
                    _search(catalogue, training, valid, seed)
        searches.append(search.cpu)
        plains.append(plain)
        ratios.append(100 * (search.cpu / plain - 1))
    of = f"tickets, {n:,} samples, {n_ids:,} ids"
    yield Figure(f"{of}, {N_PRUNING + 1} plain trainings", "CPU s", plains)
    yield Figure(f"{of}, a search of {N_PRUNING} rounds", "CPU s", searches)
    yield Figure(f"{of}, search beyond the trainings", "%", ratios, "at most 5")


def _settings() -> tuple[Any, Any, Any]:
    from benchmarks.trainers import DIM, HIDDEN
    from lt4rec_core.model.network import NetworkConfig
    from lt4rec_core.training.precision import automatic
    from lt4rec_core.training.settings import TrainingConfig

    network, config = NetworkConfig(embedding_dim=DIM, hidden=HIDDEN), TrainingConfig()
    return network, config, automatic(config, network)


def _plain(catalogue: Any, training: Any, valid: Any, seed: int) -> None:
    from lt4rec_core.model.network import SharedNet
    from lt4rec_core.model.tasks import get_tasks
    from lt4rec_core.training.batches import generator_for
    from lt4rec_core.training.optimizers import make_optimizers
    from lt4rec_core.training.tickets import validate
    from lt4rec_core.training.trainer import train

    (task,), (network, config, precision) = get_tasks(["ctr"]), _settings()
    net = SharedNet(catalogue, ("ctr",), network, generator_for(seed, "first values"))
    optimizers, stream = make_optimizers(net, config), generator_for(seed, "batches")
    train(net, optimizers, training, (task,), config, stream, precision=precision)
    validate(net, task, None, valid)


def _search(catalogue: Any, training: Any, valid: Any, seed: int) -> None:
    from lt4rec_core.model.tasks import get_tasks
    from lt4rec_core.training.tickets import PruneConfig, find_ticket

    (task,), (network, config, precision) = get_tasks(["ctr"]), _settings()
    find_ticket(
        catalogue, task, training, valid, network=network, training=config,
        pruning=PruneConfig(n_pruning=N_PRUNING), seed=seed, precision=precision,
    )  # fmt: skip


if __name__ == "__main__":
    script("tickets", __doc__, measure, runs=3)
