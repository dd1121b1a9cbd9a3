"""How long a ranker takes for a batch: the middle and the slowest hundredth of many passes."""

import time
from typing import NamedTuple

import numpy as np
import torch

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.serving.ranker import Ranker

BATCHES = (1, 64, 1024, 8192)
"""A single candidate, a request, many requests, a batch job."""

FEWEST, MOST = 3, 1000
"""Passes of a batch size."""


class Latency(NamedTuple):
    """Milliseconds of one batch, from ids to scores."""

    p50: float
    p99: float
    """Of fewer than a hundred passes it is close to the slowest."""
    n: int
    """Passes that were measured."""


def measure(ranker: Ranker, samples: SampleSet, seconds: float, seed: int = 0) -> dict[int, Latency]:
    """Time batches of the samples, drawn with replacement.

    Args:
        ranker: what is timed, on PyTorch's threads as they are set.
        samples: some, of the ranker's catalogue.
        seconds: about how long in all; at least three passes of each size are made. 0 measures nothing.
        seed: of the draws.

    Returns:
        Batch size to its latency.
    """
    if seconds <= 0 or len(samples) == 0:
        return {}
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for size in BATCHES:
        batch = samples.select(torch.randint(len(samples), (size,), generator=generator))
        ranker.score(batch)  # the first pass compiles, allocates, warms caches
        taken: list[float] = []
        ends = time.perf_counter() + seconds / len(BATCHES)
        while len(taken) < FEWEST or (time.perf_counter() < ends and len(taken) < MOST):
            started = time.perf_counter()
            ranker.score(batch)
            taken.append(1e3 * (time.perf_counter() - started))
        p50, p99 = np.percentile(taken, [50, 99])
        found[size] = Latency(float(p50), float(p99), len(taken))
    return found
