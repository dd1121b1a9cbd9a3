"""The one training loop: one task or many, one pass or several, dense or through masks; and prediction."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.streaming import Samples, blocks_of
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.backprop import Backprop
from lt4rec_core.model.masks import Masks, check_fits
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import trunk_logits
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import (
    Batch,
    JointBatch,
    SampleWeights,
    iterate_batches,
    iterate_joint_batches,
    n_of_task,
)
from lt4rec_core.training.losses import conflict_weights
from lt4rec_core.training.optimizers import Optimizers
from lt4rec_core.training.parallel import Reached, Rounds, SharedStep, Together, check_alike
from lt4rec_core.training.precision import DTYPES, Precision
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.steps import (
    Keep,
    Met,
    direct_gradients,
    direct_step,
    joint_stepper,
    single_gradients,
    single_step,
    step_together,
)

AnyBatch = TypeVar("AnyBatch", Batch, JointBatch)


@dataclass(frozen=True)
class TaskLoss:
    """What training saw of one task."""

    loss: float
    """Mean loss over the samples as they were met, before each step; NaN without samples."""
    n: int
    """Samples trained on (each pass counts)."""


@dataclass
class _Sum:
    total: float = 0.0
    n: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a pass stands."""

    done: int
    """Samples so far."""
    total: int
    """Samples of all passes."""
    losses: dict[str, TaskLoss] = field(default_factory=dict)
    """Per task, the mean loss so far."""


def train(
    net: SharedNet,
    optimizers: Optimizers,
    samples: Samples,
    tasks: Sequence[Task],
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    masks: Masks | None = None,
    epochs: int = 1,
    sample_weights: SampleWeights | None = None,
    report: Callable[[Progress], None] | None = None,
    precision: Precision = "fp32",
    together: Together | None = None,
) -> dict[str, TaskLoss]:
    """Train ``net`` in place on mixed batches of single tasks (Algorithm 1, lines 12-17).

    With ``config.steps`` other than ``alternating`` on batches of impressions for all tasks at once.

    Args:
        net: the network; every task trains the trunk through its own mask.
        optimizers: of that network; their state goes on.
        samples: all samples; each task takes its own. Those of a stream are shuffled block by block.
        tasks: whose turn it can be.
        config: losses, batch size, dropout.
        generator: shuffles and drops; equal generators give equal bits.
        masks: per task; None or a missing entry trains the dense trunk.
        epochs: passes over the samples.
        sample_weights: per task (n,) weights of the samples in its loss.
        report: called about a hundred times with where training stands.
        precision: of the matrix products; ``config.precision`` is for callers to decide by.
        together: with other workers, whose networks, settings and generator are equal to these; ``samples``
            are then this worker's share of one pass, and losses and progress are those of all.

    Returns:
        Per task the mean loss met on the way.

    Raises:
        TrainingError: nothing to train on, a loss that is not finite (the step is not made), a network or
            steps that know no bf16, or weights of the samples of a stream; with other workers, steps that
            are not of single tasks, or networks that are not equal.
        LakeError: a stream cannot be read.
        MaskError: a mask does not fit the network.
    """
    keep = _float_masks(net, masks)
    repeats = {task.name: config.repeats_of(task.name) for task in tasks}
    n_of = together.count(samples, tasks) if together else {t.name: n_of_task(samples, t) for t in tasks}
    total = sum(n * repeats[name] for name, n in n_of.items()) * epochs
    if total == 0:
        raise TrainingError(
            f"Nothing to train on: none of {len(samples)} samples has a label of {[t.name for t in tasks]}. "
            "Look at training.samples of these days."
        )
    step = _stepper(net, optimizers, config, tasks, keep, generator, precision, together)
    sums = {
        task.name: _Sum(*(together.reached.sums if together else {}).get(task.name, ())) for task in tasks
    }
    done, next_report = sum(s.n for s in sums.values()), 0.0
    batches: Callable[[], Iterator[Any]] = partial(
        _batches, samples, tasks, config, generator, sample_weights
    )
    draw = generator
    if together:
        if epochs != 1 or sample_weights:
            raise TrainingError(
                "Several workers train one pass, and their samples take no weights of their own."
            )
        batches, draw = _in_rounds(net, samples, tasks, config, generator, sums, together)
    for _ in range(epochs):
        for number, batch in enumerate(batches()):
            batch = drop_unknown(net, batch, config.unknown_dropout, draw)
            for task, (loss, n) in step(batch, number).items():
                seen = sums[task]
                seen.total, seen.n, done = seen.total + loss * n, seen.n + n, done + n
            if report and (done >= next_report or done == total):
                next_report = done + total / 100
                report(Progress(done, total, _means(sums)))
    return _means(sums)


def _stepper(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Sequence[Task],
    keep: Keep,
    generator: torch.Generator,
    precision: Precision,
    together: Together | None = None,
) -> Callable[..., Met]:
    """What makes one update of a batch: gradients written out where they are, else autograd's."""
    if together and config.steps != "alternating":
        raise TrainingError(
            f"Several workers make steps of single tasks, asked for steps = {config.steps!r}. "
            "Train with one worker ([ray] workers in lt4rec.toml), or with steps = 'alternating'."
        )
    if config.steps == "alternating" and Backprop.takes(net):
        by_name, backprop = {task.name: task for task in tasks}, Backprop(net, keep, DTYPES[precision])
        if together:
            direct = partial(direct_gradients, net, config, by_name, backprop)
            return SharedStep(direct, optimizers, together.exchange)
        return partial(direct_step, net, optimizers, config, by_name, backprop)
    if precision != "fp32":
        raise TrainingError(
            f"{type(net).__name__} with steps = {config.steps!r} trains in fp32 only, asked for {precision}. "
            "Look at [training] precision and [network] interaction in lt4rec.toml."
        )
    if together:
        single = partial(single_gradients, net, optimizers, config, tasks, keep)
        return SharedStep(single, optimizers, together.exchange)
    if config.steps == "alternating":
        return partial(single_step, net, optimizers, config, tasks, keep)
    if config.steps == "together":
        return partial(step_together, net, optimizers, config, tasks, keep)
    return joint_stepper(net, optimizers, config, tasks, keep, generator)


def _batches(
    samples: Samples,
    tasks: Sequence[Task],
    config: TrainingConfig,
    generator: torch.Generator,
    given: SampleWeights | None,
) -> Iterator[Any]:
    """``Batch`` or ``JointBatch`` of one pass, a stream's block by block."""
    if not isinstance(samples, SampleSet) and any(w is not None for w in (given or {}).values()):
        raise TrainingError("Samples that are streamed take no weights of their own. Load them into memory.")
    iterate: Callable[..., Iterator[Any]] = iterate_joint_batches
    if config.steps == "alternating":
        iterate = partial(
            iterate_batches,
            repeats={task.name: config.repeats_of(task.name) for task in tasks},
            batch_sizes={task.name: config.batch_size_of(task.name) for task in tasks},
        )
    for block in blocks_of(samples, generator):
        weights = _sample_weights(block, tasks, config, given)
        yield from iterate(block, tasks, config.batch_size, generator, weights)


def _in_rounds(
    net: SharedNet,
    samples: Samples,
    tasks: Sequence[Task],
    config: TrainingConfig,
    generator: torch.Generator,
    sums: Mapping[str, _Sum],
    together: Together,
) -> tuple[Callable[[], Iterator[Batch]], torch.Generator]:
    """The batches of a pass of several workers, and what this one draws from while it meets them."""

    def weigh(block: SampleSet) -> SampleWeights:
        return _sample_weights(block, tasks, config, None)

    def ended(number: int) -> None:
        check_alike(together.exchange, net)
        if together.after_round:
            together.after_round(Reached(number, {task: (s.total, s.n) for task, s in sums.items()}))

    check_alike(together.exchange, net)
    rounds = Rounds(together, samples, tasks, config, generator, weigh, ended)
    return rounds.__iter__, rounds.draw


def _sample_weights(
    samples: SampleSet, tasks: Sequence[Task], config: TrainingConfig, given: SampleWeights | None
) -> SampleWeights:
    """Per task the weights given, times those of conflicting samples."""
    weights: dict[str, Tensor | None] = {}
    for task in tasks:
        found = conflict_weights(
            config.conflict, task.name, samples.labels, config.conflict_strength, config.conflict_below
        )
        own = (given or {}).get(task.name)
        weights[task.name] = own if found is None else found if own is None else own * found
    return weights


def drop_unknown(net: SharedNet, batch: AnyBatch, share: float, generator: torch.Generator) -> AnyBatch:
    """Set the features that are unknown when serving to missing, in a random share of the samples."""
    layout = net.layout
    if not (layout.unknown_columns or layout.unknown_lists) or share == 0 or not len(batch.ids):
        return batch
    gone = torch.rand(len(batch.ids), generator=generator) < share
    ids, lists = set_missing(net, batch.ids, batch.lists, gone)
    return batch._replace(ids=ids, lists=lists)


def set_missing(
    net: SharedNet, ids: Tensor, lists: dict[str, Tensor], gone: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Ids and lists with the features unknown when serving at 0, missing, where ``gone`` (b,)."""
    ids, lists = ids.clone(), dict(lists)
    for column in net.layout.unknown_columns:
        ids[gone, column] = 0
    for name in net.layout.unknown_lists:
        lists[name] = lists[name].masked_fill(gone.unsqueeze(1), 0)
    return ids, lists


def predict(
    net: SharedNet,
    samples: Samples,
    tasks: Iterable[str],
    masks: Masks | None = None,
    batch_size: int = 4096,
) -> dict[str, np.ndarray]:
    """Probability, or expected label, of each task for every sample, features unknown when serving left out.

    Returns:
        Task name to float64 (n,), in the order of ``samples``.
    """
    keep, tasks = _float_masks(net, masks), tuple(tasks)
    if isinstance(samples, SampleSet):
        return _predict(net, samples, tasks, keep, batch_size)
    blocks = [_predict(net, block, tasks, keep, batch_size) for block in samples.in_order()]
    return {task: np.concatenate([block[task] for block in blocks]) for task in tasks}


@torch.inference_mode()
def _predict(
    net: SharedNet, samples: SampleSet, tasks: Sequence[str], keep: Keep, batch_size: int
) -> dict[str, np.ndarray]:
    scores = {task: np.empty(len(samples)) for task in tasks}
    for start in range(0, len(samples), batch_size):
        part = slice(start, start + batch_size)
        ids, lists = samples.ids[part], {name: value[part] for name, value in samples.lists.items()}
        ids, lists = set_missing(net, ids, lists, torch.ones(len(ids), dtype=torch.bool))
        lookup = net.lookup(ids, lists)
        inputs = net.interact(net.embed(lookup))
        for task in tasks:
            seen = net.interact(net.embed(lookup, task), task) if net.views else inputs
            logits = trunk_logits(net, task, seen, keep.get(task))
            scores[task][part] = torch.sigmoid(logits.double()).numpy()
    return scores


def _float_masks(net: SharedNet, masks: Masks | None) -> dict[str, dict[str, Tensor] | None]:
    """Masks as 0/1 floats, once per call: multiplying by bool would convert at every step."""
    keep: dict[str, dict[str, Tensor] | None] = {}
    for task in net.tasks:
        mask = (masks or {}).get(task)
        if mask is not None:
            check_fits(mask, net.maskable(mask))
        keep[task] = None if mask is None else {name: m.float() for name, m in mask.items()}
    return keep


def _means(sums: Mapping[str, _Sum]) -> dict[str, TaskLoss]:
    return {task: TaskLoss(s.total / s.n if s.n else math.nan, s.n) for task, s in sums.items()}
