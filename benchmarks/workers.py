"""One pass by one process and by several workers that train together, through gloo on loopback.

The network is that of ``benchmarks/training.py`` (20 fields, dimension 32, trunk 512-256-128), each task
through a mask that keeps a fifth. ``batch`` is that of a step over all workers. Workers share this machine:
with two cores the second has one of its own, with more workers than cores they take turns. A sample is one
row of one task's batch; samples per second are of the wall clock, since workers wait for each other.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.measure import Figure, script


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Each number of workers in turn, run after run."""
    n_ids, n_rows = (2_000, 1_024) if asked.quick else (200_000, 65_536)
    counts = asked.workers or ([2] if asked.quick else [1, 2])
    for batch in asked.batches or ((256,) if asked.quick else (512, 4096)):
        speed: dict[int, list[float]] = {n: [] for n in counts}
        for _ in range(asked.runs):
            for n in counts:
                speed[n].append(_pass(n, n_ids, n_rows, batch))
        for n, found in speed.items():
            yield Figure(f"workers, batch {batch:,}, {n}", "samples/s", found)
        if speed.get(1):
            alone = median(speed[1])
            for n in (n for n in speed if n > 1):
                yield Figure(
                    f"workers, batch {batch:,}, {n} against 1", "times", [s / alone for s in speed[n]]
                )


def _pass(workers: int, n_ids: int, n_rows: int, batch: int) -> float:
    """Samples per second of one pass."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    told = [json.dumps([address, rank, workers, n_ids, n_rows, batch]) for rank in range(workers)]
    env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", text], stdout=subprocess.PIPE, text=True, env=env
        )
        for text in told
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"a worker failed: {[process.returncode for process in running]}")
    return float(said[0])


def work(address: str, rank: int, workers: int, n_ids: int, n_rows: int, batch: int) -> float:
    """What each of the processes does; samples of all workers per second."""
    import torch
    from torch import distributed

    from benchmarks.trainers import Ours
    from lt4rec_core.data.streaming import share_of
    from lt4rec_core.training.batches import generator_for
    from lt4rec_core.training.exchange import Group
    from lt4rec_core.training.optimizers import make_optimizers
    from lt4rec_core.training.parallel import Together
    from lt4rec_core.training.trainer import train

    torch.set_num_threads(1)
    ours = Ours(n_ids, n_rows, batch, masked=True, precision="fp32")
    optimizers = make_optimizers(ours.net, ours.config, ours.masks)
    together: Together | None = None
    if workers > 1:
        distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=workers)
        together = Together(Group())

    def once(samples: Any) -> int:
        losses = train(
            ours.net, optimizers, samples, ours.tasks, ours.config, generator_for(1), masks=ours.masks,
            together=together,
        )  # fmt: skip
        return sum(loss.n for loss in losses.values())

    once(share_of(ours.samples.select(torch.arange(4 * batch % n_rows + workers)), rank, workers))
    mine = share_of(ours.samples, rank, workers)
    began = time.perf_counter()
    n = once(mine)
    took = time.perf_counter() - began
    if together:
        distributed.barrier()  # who ends first would abort the others
        distributed.destroy_process_group()
    return n / took


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", nargs="*", type=int, help="these numbers of workers; 1 and 2")
    parser.add_argument("--batches", nargs="*", type=int, help="only these batch sizes")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        print(work(*json.loads(sys.argv[1])))
    else:
        script("workers", __doc__, measure, runs=3, more=_options)
