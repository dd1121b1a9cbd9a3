"""Trained rankers: how fast, how large and how good, of the very same models.

The paper's network (vectors of 32, a trunk of 512-256-128) on simulated days of 30,000 impressions: two
single-task models; S-Neuron keeping a fifth of the neurons; S-Weight with 80 and 90 % of the weights removed,
whatever validation says of it. Tickets are searched on the first days by Algorithm 1, all but the last day
train one pass with the default settings, one seed, the last day judges. What is exported is what is timed,
weighed and judged.

CPU time of one thread, from bucket ids to scores of both tasks, and of the trunks alone; all take turns and
of each the fastest pass counts. Bytes are those of the file on disk without users' and videos' features:
trunks, logit layers, and the embedding rows that training touched.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.homes import Chain, filled_home
from benchmarks.measure import Figure, script
from benchmarks.ranker import SECONDS, TARGETS, take_turns

if TYPE_CHECKING:
    from lt4rec_core.data.loading import SampleSet
    from lt4rec_core.experiments.rankers import Weights
    from lt4rec_core.serving.entities import Entities
    from lt4rec_core.serving.ranker import Ranker
    from lt4rec_core.serving.trunk import Trunk

HIDDEN = (512, 256, 128)
ROWS: Mapping[str, tuple[str, float]] = {
    "S-Neuron, 20 % of the neurons": ("s_neuron", 0.2),
    "S-Weight, 80 % removed": ("s_weight_fixed_sparsity", 0.2),
    "S-Weight, 90 % removed": ("s_weight_fixed_sparsity", 0.1),
}
"""Row of the race, and the share that its last round of pruning keeps."""

ROUNDS = 4
SINGLE = ("base_ctr", "base_cvr")
BATCHES = (1, 64, 1024, 8192)
TWO = "two single-task models"


@dataclass
class Model:
    """One ranker, or the two of single tasks, ready to score."""

    rankers: Sequence["Ranker"]
    megabytes: float
    trunk_bytes: int

    def score(self, samples: "SampleSet") -> dict[str, Any]:
        """Both tasks."""
        return {task: values for one in self.rankers for task, values in one.score(samples).items()}

    @property
    def trunks(self) -> list["Trunk"]:
        """What each runs above the interaction."""
        from lt4rec_core.serving.trunk import Trunk

        return [Trunk(one.heads, one.kinds) for one in self.rankers]


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Train, export, then time, weigh and judge."""
    import torch

    torch.set_num_threads(1)
    n, n_days = (300, 4) if asked.quick else (30_000, 6)
    with filled_home(n, n_days) as (home, days), tempfile.TemporaryDirectory() as folder:
        bench = _Bench(home, days, Path(folder), asked.quick)
        models = {TWO: bench.model(SINGLE, 1.0)}
        models |= {name: bench.model((row,), keeps) for name, (row, keeps) in ROWS.items()}
        of = f"served, {bench.n_inputs:,}-{'-'.join(map(str, bench.network.hidden))}"
        yield from _quality(of, models, bench.data.load(days[-1:]))
        yield from _sizes(of, models)
        seconds = 0.01 if asked.quick else SECONDS
        yield from _times(of, models, bench.data.load(days[-1:]), asked.runs, seconds)


class _Bench:
    """Samples of a home, and rows of the race fitted on them."""

    def __init__(self, home: Path, days: Sequence[date], folder: Path, quick: bool) -> None:
        from lt4rec_assets.learning import Learning
        from lt4rec_core.experiments.splits import RaceData, Split
        from lt4rec_core.model.network import NetworkConfig

        chain = Chain.of(home)
        learning = Learning.of(chain.project)
        self.folder, self.zone, self.last = folder, chain.project.source.time_zone, days[-2]
        self.network: NetworkConfig = (
            NetworkConfig(embedding_dim=4, hidden=(16, 8)) if quick else NetworkConfig(hidden=HIDDEN)
        )
        split = Split.by_day(days, n_test=1, n_valid=1, n_ticket=len(days) - 2)

        def load(wanted: Sequence[date]) -> "SampleSet":
            return learning.samples(chain.lake, wanted[0], wanted[-1])[0]

        self.data: RaceData = RaceData(chain.project.source.catalogue, split, load, "benchmark")
        self.entities: dict[str, Entities] = _known_after(chain, self.last)
        self.n_inputs = 0

    def model(self, rows: Sequence[str], keeps: float) -> Model:
        """Rows fitted and exported."""
        from lt4rec_core.serving.storage import n_bytes
        from lt4rec_core.serving.trunk import choose

        weights = [self._fit(row, keeps) for row in rows]
        rankers = [one.ranker(self.entities, self.last, self.zone) for one in weights]
        for ranker in rankers:
            if len(ranker.tasks) > 1:  # the single-task models are the dense reference
                ranker.run_as(choose(ranker.heads, repeats=20).kinds)
        self.n_inputs = rankers[0].widths[0]
        trunk = sum(n_bytes(one.tensors, "trunk/", "logits/") for one in weights)
        return Model(rankers, sum(self._on_disk(one) for one in weights) / 1e6, trunk)

    def _fit(self, row: str, keeps: float) -> "Weights":
        from lt4rec_core.experiments.fitting import FitSettings, fit, settings_for
        from lt4rec_core.experiments.rankers import weights_of
        from lt4rec_core.model.variants import VARIANTS
        from lt4rec_core.training.store import ModelStore
        from lt4rec_core.training.tickets import PruneConfig

        pruning = PruneConfig(n_pruning=ROUNDS, q=1 - keeps ** (1 / ROUNDS) if keeps < 1 else 0.5)
        settings = settings_for(
            VARIANTS[row], FitSettings(variant=row, network=self.network, pruning=pruning)
        )
        settings = replace(settings, pruning=replace(settings.pruning, choose="last"))
        fitted = fit(settings, self.data, self.data.refit, 0, ModelStore(self.folder))
        return weights_of(fitted, self.data.catalogue, 0)

    def _on_disk(self, weights: "Weights") -> int:
        from lt4rec_core.training import modelfile

        folder = Path(tempfile.mkdtemp(dir=self.folder))
        modelfile.publish(folder, weights.tensors, weights.identity, {})
        (file,) = folder.glob("*.safetensors")
        return file.stat().st_size


def _known_after(chain: Chain, day: date) -> dict[str, "Entities"]:
    from lt4rec_core.serving.entities import read_entities

    project = chain.project
    return read_entities(chain.lake, project.tables, project.source.catalogue, day, project.sql_params(day))[
        0
    ]


def _quality(of: str, models: Mapping[str, Model], samples: "SampleSet") -> Iterator[Figure]:
    from lt4rec_core.experiments.fitting import judge

    found = {name: judge(samples, model.score(samples)) for name, model in models.items()}
    for name, metrics in found.items():
        for metric, told in (("ctr_auc", "CTR AUC"), ("cvr_mse", "CVR MSE")):
            # More digits than a table of figures has.
            yield Figure(
                f"{of}, {name}, {told} of the next day: {metrics[metric]:.5f}", "", [metrics[metric]]
            )
            change = 100 * (metrics[metric] / found[TWO][metric] - 1)
            if name != TWO:
                yield Figure(f"{of}, {name}, {told} against the single task's", "%", [change])


def _sizes(of: str, models: Mapping[str, Model]) -> Iterator[Figure]:
    two = models[TWO]
    yield Figure(f"{of}, {TWO}, on disk", "MB", [two.megabytes])
    for name in ROWS:
        yield Figure(f"{of}, {name}, on disk", "MB", [models[name].megabytes])
        trunk, whole = models[name].trunk_bytes / two.trunk_bytes, models[name].megabytes / two.megabytes
        target = "at most 30" if "80 %" in name else ""
        yield Figure(f"{of}, {name}, trunk", "% of two dense trunks", [100 * trunk], target)
        target = "at most 55" if "80 %" in name else ""
        yield Figure(f"{of}, {name}, whole model", "% of two single-task models", [100 * whole], target)


def _times(
    of: str, models: Mapping[str, Model], samples: "SampleSet", runs: int, seconds: float
) -> Iterator[Figure]:
    import torch

    generator = torch.Generator().manual_seed(0)
    trunks = {name: model.trunks for name, model in models.items()}
    for batch in BATCHES:
        some = samples.select(torch.randint(len(samples), (batch,), generator=generator))
        x = torch.rand(batch, models[TWO].rankers[0].widths[0], generator=generator)
        whole = {name: partial(model.score, some) for name, model in models.items()}
        alone = {name: partial(_all, found, x) for name, found in trunks.items()}
        yield from _turns(f"{of}, batch {batch:,}, trunks", alone, runs, seconds, batch)
        yield from _turns(f"{of}, batch {batch:,}, whole pass", whole, runs, seconds, 0)


def _all(trunks: Sequence["Trunk"], x: Any) -> None:
    for trunk in trunks:
        trunk(x)


def _turns(
    of: str, passes: Mapping[str, Callable[[], object]], runs: int, seconds: float, batch: int
) -> Iterator[Figure]:
    """Milliseconds of the reference, and how much faster the others are; targets where ``batch`` has some."""
    times = [take_turns(passes, seconds) for _ in range(runs)]
    yield Figure(f"{of}, {TWO}", "CPU ms", [1e3 * taken[TWO] for taken in times])
    for name in ROWS:
        target = {1: "at least 1", 1024: f"at least {TARGETS[name]}"}.get(batch, "")
        yield Figure(f"{of}, {name}", "CPU ms", [1e3 * taken[name] for taken in times])
        faster = [taken[TWO] / taken[name] for taken in times]
        yield Figure(f"{of}, {name}", "times faster", faster, target)


if __name__ == "__main__":
    script("served", __doc__, measure, runs=3)
