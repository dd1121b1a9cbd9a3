"""The one training loop: one task or many, one pass or several, dense or through masks; and prediction."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.masks import Mask, check_fits
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import Batch, iterate_batches, rows_of_task
from lt4rec_core.training.losses import balance, task_loss
from lt4rec_core.training.optimizers import Optimizers, RowwiseAdagrad, TaskAdam
from lt4rec_core.training.settings import TrainingConfig

Masks = Mapping[str, Mask | None]
"""Task name to its mask; None (or no entry) is dense."""


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


def make_optimizers(net: SharedNet, config: TrainingConfig) -> Optimizers:
    """Fresh optimisers of a network: row-wise Adagrad for the table, one Adam per task."""
    embedding = RowwiseAdagrad(
        net, config.embedding_learning_rate, config.adagrad_eps, config.adagrad_initial
    )
    betas = (config.beta1, config.beta2)
    adams = {
        task: TaskAdam(net.task_parameters(task), config.learning_rate * config.weight_of(task), betas)
        for task in net.tasks
    }
    return Optimizers(net, embedding, adams)


def train(
    net: SharedNet,
    optimizers: Optimizers,
    samples: SampleSet,
    tasks: Sequence[Task],
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    masks: Masks | None = None,
    epochs: int = 1,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, TaskLoss]:
    """Train ``net`` in place on mixed batches of single tasks (Algorithm 1, lines 12-17).

    Args:
        net: the network; every task trains the trunk through its own mask.
        optimizers: of that network; their state goes on.
        samples: all samples; each task takes its own.
        tasks: whose turn it can be.
        config: losses, batch size, dropout.
        generator: shuffles and drops; equal generators give equal bits.
        masks: per task; None or a missing entry trains the dense trunk.
        epochs: passes over the samples.
        report: called about a hundred times with where training stands.

    Returns:
        Per task the mean loss met on the way.

    Raises:
        TrainingError: nothing to train on, or a loss that is not finite (the step is not made).
        MaskError: a mask does not fit the network.
    """
    keep = _float_masks(net, masks)
    total = sum(len(rows_of_task(samples, task)) for task in tasks) * epochs
    if total == 0:
        raise TrainingError(
            f"Nothing to train on: none of {len(samples)} samples has a label of {[t.name for t in tasks]}. "
            "Look at training.samples of these days."
        )
    kinds = {task.name: config.loss_of(task) for task in tasks}
    sums = {task.name: _Sum() for task in tasks}
    done, next_report = 0, 0.0
    for _ in range(epochs):
        for number, batch in enumerate(iterate_batches(samples, tasks, config.batch_size, generator)):
            batch = drop_unknown(net, batch, config.unknown_dropout, generator)
            loss = _step(
                net, optimizers, batch, kinds[batch.task], config.weight_of(batch.task), keep, number
            )
            seen = sums[batch.task]
            seen.total, seen.n = seen.total + loss * len(batch.labels), seen.n + len(batch.labels)
            done += len(batch.labels)
            if report and (done >= next_report or done == total):
                next_report = done + total / 100
                report(Progress(done, total, _means(sums)))
    return _means(sums)


def _step(
    net: SharedNet,
    optimizers: Optimizers,
    batch: Batch,
    kind: str,
    weight: float,
    keep: Mapping[str, Mapping[str, Tensor] | None],
    number: int,
) -> float:
    """One update for one task; the loss before it."""
    lookup = net.lookup(batch.ids, batch.lists)
    fields = net.embed(lookup).requires_grad_()  # (b, f, d): a leaf, the table itself stays out of autograd
    loss = task_loss(kind, task_logits(net, batch.task, fields, keep[batch.task]), batch.labels)
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(
            f"The loss of task {batch.task!r} is {value} at batch {number}; this step was not made. "
            "Lower the learning rates, or look for labels outside [0, 1] in training.samples."
        )
    adam = optimizers.tasks[batch.task]
    for_fields, *for_weights = torch.autograd.grad(balance(loss, weight), [fields, *adam.parameters.values()])
    adam.step(for_weights)
    optimizers.embedding.step(lookup, for_fields)
    return value


def drop_unknown(net: SharedNet, batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """Set the features that are unknown when serving to missing, in a random share of the samples."""
    layout = net.layout
    if not (layout.unknown_columns or layout.unknown_lists) or share == 0:
        return batch
    gone = torch.rand(len(batch.labels), generator=generator) < share
    ids, lists = _set_missing(net, batch.ids, batch.lists, gone)
    return batch._replace(ids=ids, lists=lists)


def _set_missing(
    net: SharedNet, ids: Tensor, lists: dict[str, Tensor], gone: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Ids and lists with the features unknown when serving at 0 where ``gone`` (b,)."""
    ids, lists = ids.clone(), dict(lists)
    for column in net.layout.unknown_columns:
        ids[gone, column] = 0
    for name in net.layout.unknown_lists:
        lists[name] = lists[name].masked_fill(gone.unsqueeze(1), 0)
    return ids, lists


@torch.inference_mode()
def predict(
    net: SharedNet,
    samples: SampleSet,
    tasks: Iterable[str],
    masks: Masks | None = None,
    batch_size: int = 4096,
) -> dict[str, np.ndarray]:
    """Probability, or expected label, of each task for every sample, features unknown when serving left out.

    Returns:
        Task name to float64 (n,), in the order of ``samples``.
    """
    keep, tasks = _float_masks(net, masks), tuple(tasks)
    scores = {task: np.empty(len(samples)) for task in tasks}
    for start in range(0, len(samples), batch_size):
        part = slice(start, start + batch_size)
        ids, lists = samples.ids[part], {name: value[part] for name, value in samples.lists.items()}
        ids, lists = _set_missing(net, ids, lists, torch.ones(len(ids), dtype=torch.bool))
        fields = net.embed(net.lookup(ids, lists))
        for task in tasks:
            logits = task_logits(net, task, fields, keep.get(task))
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
