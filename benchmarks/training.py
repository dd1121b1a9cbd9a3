"""Training throughput of the one loop, dense and through masks, and what the masks cost.

Two tasks (CTR on all impressions, CVR on the two in five that are clicks), 20 categorical fields, dimension
32, trunk 512-256-128, one Adam per task. Ids are drawn evenly, which touches more rows than a log's long
tail. Masks keep a random fifth of each layer. A sample is one row of one task's batch. The floor is the time
of the trunk's bare matrix products, measured in the same run.
"""

import argparse
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import Figure, measured, script

if TYPE_CHECKING:
    from lt4rec_core.catalogue import FeatureCatalogue
    from lt4rec_core.data.loading import SampleSet

N_FIELDS, DIM, HIDDEN = 20, 32, (512, 256, 128)
DENSITY = 0.2


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Dense and masked in turn, so that whatever else the machine does meets both."""
    import torch

    torch.set_num_threads(1)
    n, n_ids = (2_000, 2_000) if asked.quick else (65_536, 200_000)
    catalogue = even_catalogue(n_ids)
    samples = random_samples(catalogue, n)
    for batch in (256,) if asked.quick else (512, 1024, 4096):  # 512 is the default
        dense, masked, floor = [], [], []
        train = _Training(catalogue, batch)
        train.rate(samples.select(torch.arange(batch)), masked=True)  # first calls
        for _ in range(asked.runs):
            dense.append(train.rate(samples, masked=False))
            masked.append(train.rate(samples, masked=True))
            floor.append(train.gemm_rate())
        of = f"training, {n_ids:,} ids, batch {batch:,}"
        yield Figure(f"{of}, dense", "samples/CPU s", dense)
        yield Figure(f"{of}, masked {1 - DENSITY:.0%}", "samples/CPU s", masked)
        cost = [100 * (d / m - 1) for d, m in zip(dense, masked, strict=True)]
        yield Figure(f"{of}, cost of masking", "%", cost, "at most 8")
        share = [100 * d / median(floor) for d in dense]
        yield Figure(f"{of}, dense, share of the floor", "%", share, "at least 85, later")


class _Training:
    """One network, its optimisers and its masks."""

    def __init__(self, catalogue: "FeatureCatalogue", batch_size: int) -> None:
        import torch

        from lt4rec_core.model.network import NetworkConfig, SharedNet
        from lt4rec_core.model.tasks import get_tasks
        from lt4rec_core.training.batches import generator_for
        from lt4rec_core.training.optimizers import make_optimizers
        from lt4rec_core.training.settings import TrainingConfig

        self.tasks, self.stream = get_tasks(["ctr", "cvr"]), generator_for(0, "benchmark")
        self.config = TrainingConfig(batch_size=batch_size)
        network = NetworkConfig(embedding_dim=DIM, hidden=HIDDEN)
        self.net = SharedNet(catalogue, ("ctr", "cvr"), network, self.stream)
        self.optimizers = make_optimizers(self.net, self.config)
        self.masks = {
            task: {
                name: torch.rand(weight.shape, generator=self.stream) < DENSITY
                for name, weight in self.net.trunk_weights().items()
            }
            for task in self.net.tasks
        }

    def rate(self, samples: "SampleSet", masked: bool) -> float:
        """Samples per CPU second of one pass."""
        from lt4rec_core.training.trainer import train

        with measured() as span:
            losses = train(
                self.net,
                self.optimizers,
                samples,
                self.tasks,
                self.config,
                self.stream,
                masks=self.masks if masked else None,
            )
        return sum(loss.n for loss in losses.values()) / span.cpu

    def gemm_rate(self, n_steps: int = 10) -> float:
        """Samples per CPU second if a step were nothing but the trunk's three products per layer."""
        import torch

        layers = []
        for parameter in self.net.trunk_weights().values():
            out, inner = parameter.shape
            batch = self.config.batch_size
            layers.append((torch.randn(batch, inner), torch.randn(batch, out), parameter.detach()))
        with measured() as span:
            for _ in range(n_steps):
                for x, gradient, weight in layers:
                    _ = x @ weight.T, gradient.T @ x, gradient @ weight
        return n_steps * self.config.batch_size / span.cpu


def even_catalogue(n_ids: int) -> "FeatureCatalogue":
    """Nineteen hashed fields of equal size, of users and videos, and the hour as the context."""
    from lt4rec_core.catalogue import Feature, FeatureCatalogue

    hashed = [
        Feature(name=f"f{i}", side=("user", "video")[i % 2], buckets=n_ids // (N_FIELDS - 1))
        for i in range(N_FIELDS - 1)
    ]
    return FeatureCatalogue([*hashed, Feature(name="hour", side="context", bins=tuple(range(24)))])


def random_samples(catalogue: "FeatureCatalogue", n: int) -> "SampleSet":
    """Impressions with random ids; two in five are clicks with a random watch ratio."""
    import torch

    from lt4rec_core.data.loading import SampleSet

    stream = torch.Generator().manual_seed(0)
    buckets = [catalogue.embeddings[f.embedding] for f in catalogue.features]
    ids = torch.stack([torch.randint(b, (n,), generator=stream) for b in buckets], dim=1)
    click = (torch.rand(n, generator=stream) < 0.4).float()
    watch = torch.rand(n, generator=stream)
    watch[click == 0] = float("nan")
    return SampleSet(ids.int(), {}, {"is_click": click, "watch_ratio": watch})


if __name__ == "__main__":
    script("training", __doc__, measure)
