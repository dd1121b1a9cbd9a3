"""Whether speed costs accuracy: this training, in fp32 and bf16, against plain fp32 Adam by autograd.

Plain is one ``torch.optim.Adam`` over everything, the embedding table included, and every gradient by
autograd. Same first values, batches and single pass for all, dense, a research-size network (vectors of 16,
trunk 128-64). All days but the last two train, these two judge. Without ``--homes`` a simulated home is made;
for a home of another source set LT4REC_SOURCE.

A difference is paired by seed, positive where this training is worse; the range is over seeds, and the 95 %
interval of its mean (Student's t) is in its name.
"""

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date, timedelta
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figure, script

if TYPE_CHECKING:
    from lt4rec_core.data.loading import SampleSet
    from lt4rec_core.model.network import SharedNet

T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
"""Of Student's t with one degree of freedom less."""


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """``--runs`` is the number of seeds."""
    for home in asked.homes or [None]:
        with nullcontext(home) if home else _simulated(asked.quick) as folder:
            yield from _of_home(folder, Path(home).name if home else "simulator", asked.runs, asked.quick)


def _of_home(home: Any, name: str, seeds: int, quick: bool) -> Iterator[Figure]:
    import torch

    torch.set_num_threads(1)
    catalogue, training, judging = _samples(Path(home), 1 if quick else 2)
    scores: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("plain", *_precisions())}
    for seed in range(seeds):
        for kind, found in scores.items():
            found.append(_fitted(kind, catalogue, training, judging, seed))
    of = f"accuracy, {name}, {len(training):,} impressions"
    for kind, found in scores.items():
        for metric in ("ctr_auc", "cvr_mse"):
            values = [each[metric] for each in found]
            yield Figure(f"{of}, {kind}, {metric}", "", values)
            if kind != "plain" and seeds > 1:
                sign = 1 if metric == "cvr_mse" else -1
                worse = [
                    sign * (value - plain[metric])
                    for value, plain in zip(values, scores["plain"], strict=True)
                ]
                label = f"{of}, {kind}, {metric} worse than plain{_interval(worse)}"
                yield Figure(label, "", worse, "0 or less within the interval")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--homes", nargs="*", help="homes whose training.samples to use instead")


def _interval(values: list[float]) -> str:
    if len(values) not in T_975:
        return ""
    half = T_975[len(values)] * stdev(values) / math.sqrt(len(values))
    return f" ({mean(values):+.5f} ± {half:.5f})"


def _precisions() -> tuple[str, ...]:
    from lt4rec_core.training.precision import has_bf16

    return ("fp32", "bf16") if has_bf16() else ("fp32",)


def _samples(home: Path, n_judging: int) -> tuple[Any, "SampleSet", "SampleSet"]:
    """The catalogue; the samples of all days but the last ones, and of those."""
    from lt4rec_assets.learning import SAMPLES, Learning
    from lt4rec_assets.project import Project
    from lt4rec_assets.settings import read_settings
    from lt4rec_core.data.lake import Lake

    learning = Learning.of(Project.of(read_settings({**os.environ, "LT4REC_HOME": str(home)})))
    lake = Lake(home)
    days: list[date] = sorted({day for day, _, _ in lake.snapshot(SAMPLES).files})
    first_judging = days[-1] - timedelta(days=n_judging - 1)
    training = learning.samples(lake, days[0], first_judging - timedelta(days=1))[0]
    return learning.project.source.catalogue, training, learning.samples(lake, first_judging, days[-1])[0]


def _fitted(
    kind: str, catalogue: Any, training: "SampleSet", judging: "SampleSet", seed: int
) -> dict[str, float]:
    """AUC and MSE of one fit on the days that judge."""
    from lt4rec_core.experiments.fitting import judge
    from lt4rec_core.model.network import NetworkConfig, SharedNet
    from lt4rec_core.model.tasks import get_tasks
    from lt4rec_core.training.batches import generator_for
    from lt4rec_core.training.optimizers import make_optimizers
    from lt4rec_core.training.settings import TrainingConfig
    from lt4rec_core.training.trainer import predict, train

    config, tasks = TrainingConfig(), get_tasks(["ctr", "cvr"])
    network = NetworkConfig(embedding_dim=16, hidden=(128, 64))
    net = SharedNet(catalogue, ("ctr", "cvr"), network, generator_for(seed, "first values"))
    stream = generator_for(seed, "batches")
    if kind == "plain":
        _train_plainly(net, training, tasks, config, stream)
    else:
        precision: Any = kind
        train(net, make_optimizers(net, config), training, tasks, config, stream, precision=precision)
    return judge(judging, predict(net, judging, ("ctr", "cvr")))


def _train_plainly(net: "SharedNet", samples: "SampleSet", tasks: Any, config: Any, stream: Any) -> None:
    """One pass with one Adam for everything, all of it by autograd."""
    import torch
    from torch.nn import functional as F

    from lt4rec_core.model.sharing import task_logits
    from lt4rec_core.training.batches import iterate_batches
    from lt4rec_core.training.losses import task_loss
    from lt4rec_core.training.trainer import drop_unknown

    by_name = {task.name: task for task in tasks}
    net.table.requires_grad_()
    adam = torch.optim.Adam(net.parameters(), config.learning_rate, (config.beta1, config.beta2))
    for batch in iterate_batches(samples, tasks, config.batch_size, stream):
        batch = drop_unknown(net, batch, config.unknown_dropout, stream)
        lookup = net.lookup(batch.ids, batch.lists)
        fields = [F.embedding(lookup.ids, net.table)]
        for name, ids in lookup.lists.items():
            padding = net.layout.list_offsets[name]
            fields.append(F.embedding_bag(ids, net.table, mode="mean", padding_idx=padding).unsqueeze(1))
        logits = task_logits(net, batch.task, torch.cat(fields, dim=1), None)
        adam.zero_grad()
        task_loss(config.loss_of(by_name[batch.task]), logits, batch.labels).backward()
        adam.step()
    net.table.requires_grad_(False)


def _simulated(quick: bool) -> Any:
    """A home with fourteen days of simulated samples, made by the project's SQL."""
    from contextlib import contextmanager

    from benchmarks.homes import Chain, temporary_home

    @contextmanager
    def made() -> Iterator[Path]:
        with temporary_home(1_000 if quick else 30_000) as home:
            chain = Chain.of(home)
            for number in range(2 if quick else 14):
                for name in chain.tables:
                    chain.lake.publish(chain.stage(name, chain.day(number))[0])
            yield home

    return made()


if __name__ == "__main__":
    script("accuracy", __doc__, measure, more=_options)
