"""One update: for the task whose batch it is, or for all tasks at once."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lt4rec_core.errors import TrainingError
from lt4rec_core.model.backprop import Backprop
from lt4rec_core.model.network import Lookup, SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import Batch, JointBatch
from lt4rec_core.training.losses import balance, loss_and_slope, project_conflicts, task_loss
from lt4rec_core.training.optimizers import JOINT, Optimizers
from lt4rec_core.training.settings import TrainingConfig

Keep = Mapping[str, Mapping[str, Tensor] | None]
"""Task name to its mask as 0/1 floats; None is dense."""

Met = dict[str, tuple[float, int]]
"""Task name to its mean loss before the step, and over how many samples."""


class Found(NamedTuple):
    """What a batch of one task asks for, before anything moves."""

    loss: float
    """Mean over the batch; where it is not finite, the gradients mean nothing."""
    lookup: Lookup
    for_fields: Tensor
    """(b, f, d)"""
    for_weights: Sequence[Tensor]
    """In the order of the parameters of the task's Adam."""


def single_step(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Sequence[Task],
    keep: Keep,
    batch: Batch,
    number: int,
) -> Met:
    """One update for one task through its mask (Algorithm 1, lines 13-16)."""
    return move(optimizers, batch, number, single_gradients(net, optimizers, config, tasks, keep, batch))


def direct_step(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Mapping[str, Task],
    backprop: Backprop,
    batch: Batch,
    number: int,
) -> Met:
    """``single_step`` of a network whose gradients are written out."""
    return move(optimizers, batch, number, direct_gradients(net, config, tasks, backprop, batch))


def move(optimizers: Optimizers, batch: Batch, number: int, found: Found) -> Met:
    """Move what a batch of one task asks for.

    Raises:
        TrainingError: its loss is not finite; nothing moved.
    """
    check_finite(found.loss, batch.task, number)
    optimizers.tasks[batch.task].step(found.for_weights)
    _move_tables(optimizers, batch.task, found.lookup, found.for_fields)
    return {batch.task: (found.loss, len(batch.labels))}


def single_gradients(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Sequence[Task],
    keep: Keep,
    batch: Batch,
) -> Found:
    """By autograd, through the task's mask."""
    task = next(task for task in tasks if task.name == batch.task)
    lookup = net.lookup(batch.ids, batch.lists)
    # (b, f, d): a leaf, the tables themselves stay out of autograd
    fields = net.embed(lookup, task.name).requires_grad_()
    logits = task_logits(net, task.name, fields, keep[task.name])
    loss = task_loss(config.loss_of(task), logits, batch.labels, batch.weights)
    balanced = balance(loss, config.weight_of(task.name))
    wanted = [fields, *optimizers.tasks[task.name].parameters.values()]
    for_fields, *for_weights = torch.autograd.grad(balanced, wanted)
    return Found(loss.item(), lookup, for_fields, for_weights)


def direct_gradients(
    net: SharedNet, config: TrainingConfig, tasks: Mapping[str, Task], backprop: Backprop, batch: Batch
) -> Found:
    """As written out; they lie in buffers that the next batch uses again."""
    name = batch.task
    lookup = net.lookup(batch.ids, batch.lists)
    slope = partial(
        loss_and_slope,
        config.loss_of(tasks[name]),
        labels=batch.labels,
        weights=batch.weights,
        weight=config.weight_of(name),
    )
    loss, for_fields, for_weights = backprop.gradients(name, lookup, slope)
    return Found(loss, lookup, for_fields, for_weights)


def _move_tables(optimizers: Optimizers, task: str, lookup: Lookup, gradient: Tensor) -> None:
    """The shared dimensions by the shared optimiser, the task's own by its own."""
    if task not in optimizers.views:
        optimizers.embedding.step(lookup, gradient)
        return
    d = optimizers.embedding.table.shape[1]
    optimizers.embedding.step(lookup, gradient[..., :d].contiguous())
    optimizers.views[task].step(lookup, gradient[..., d:].contiguous())


def step_together(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Sequence[Task],
    keep: Keep,
    batch: JointBatch,
    number: int,
) -> Met:
    """One update of each task's weights through its mask, and one of the embeddings for all of them.

    Every gradient is taken before anything moves. As with single tasks each Adam has its own moments, so no
    task moves a trunk weight outside its mask.

    Raises:
        TrainingError: there are views: their tasks do not see the same fields.
    """
    if net.views:
        raise TrainingError(
            "steps = 'together' embeds a batch once for all tasks, but there are views of one task alone. "
            "Train those with steps = 'alternating'."
        )
    lookup = net.lookup(batch.ids, batch.lists)
    fields = net.embed(lookup).requires_grad_()
    for_fields, met = torch.zeros_like(fields), Met()
    moves = []
    for task in tasks:
        part = batch.parts.get(task.name)
        if part is None:
            continue
        logits = task_logits(net, task.name, fields[part.rows], keep[task.name])
        loss = task_loss(config.loss_of(task), logits, part.labels, part.weights)
        met[task.name] = (_finite(loss, task.name, number), len(part.labels))
        adam = optimizers.tasks[task.name]
        balanced = balance(loss, config.weight_of(task.name))
        own, *for_weights = torch.autograd.grad(balanced, [fields, *adam.parameters.values()])
        for_fields += own
        moves.append((adam, for_weights))
    for adam, for_weights in moves:
        adam.step(for_weights)
    optimizers.embedding.step(lookup, for_fields)
    return met


def joint_stepper(
    net: SharedNet,
    optimizers: Optimizers,
    config: TrainingConfig,
    tasks: Sequence[Task],
    keep: Keep,
    generator: torch.Generator,
) -> Callable[[JointBatch, int], Met]:
    """The function that makes one update for all tasks of a batch, through one Adam.

    Raises:
        TrainingError: there are masks, which one Adam's momentum would not respect, or views.
    """
    if any(mask is not None for mask in keep.values()) or net.views:
        raise TrainingError(
            f"steps = {config.steps!r} trains all tasks through one Adam, whose momentum respects neither "
            "masks nor views. Train those with steps = 'alternating'."
        )

    def step(batch: JointBatch, number: int) -> Met:
        lookup = net.lookup(batch.ids, batch.lists)
        fields = net.embed(lookup).requires_grad_()
        losses, met = {}, {}
        for task in tasks:
            part = batch.parts.get(task.name)
            if part is None:
                continue
            logits = task_logits(net, task.name, fields[part.rows], None)
            loss = task_loss(config.loss_of(task), logits, part.labels, part.weights)
            met[task.name] = (_finite(loss, task.name, number), len(part.labels))
            losses[task.name] = balance(loss, config.weight_of(task.name))
        if config.steps == "pcgrad":
            _step_projected(net, optimizers, lookup, fields, losses, generator)
        else:
            for_fields, *for_weights = _gradients(optimizers, fields, sum(losses.values(), torch.zeros(())))
            optimizers.tasks[JOINT].step(for_weights)
            optimizers.embedding.step(lookup, for_fields)
        return met

    return step


def _step_projected(
    net: SharedNet,
    optimizers: Optimizers,
    lookup: Lookup,
    fields: Tensor,
    losses: Mapping[str, Tensor],
    generator: torch.Generator,
) -> None:
    """PCGrad over what the tasks share, embedding rows included; a task's own logit layer is its own."""
    adam, rows = optimizers.tasks[JOINT], torch.empty(0)
    own = {name for name in adam.parameters if name.startswith("logits.")}
    shared, alone = [], []
    for loss in losses.values():
        for_fields, *for_weights = _gradients(optimizers, fields, loss)
        rows, by_row = optimizers.embedding.gradient_by_row(lookup, for_fields)
        named = dict(zip(adam.parameters, for_weights, strict=True))
        shared.append([by_row, *(g for name, g in named.items() if name not in own)])
        alone.append([g for name, g in named.items() if name in own])
    by_row, *trunk = _added(project_conflicts(shared, generator))
    in_order = {True: iter(_added(alone)), False: iter(trunk)}
    adam.step([next(in_order[name in own]) for name in adam.parameters])
    optimizers.embedding.move(rows, by_row)


def _added(gradients: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The tasks' gradients of each parameter, summed."""
    return [sum(parts[1:], parts[0]) for parts in zip(*gradients, strict=True)]


def _gradients(optimizers: Optimizers, fields: Tensor, loss: Tensor) -> tuple[Tensor, ...]:
    """Of the field vectors, then of all weights; zero where a batch did not touch them."""
    wanted = [fields, *optimizers.tasks[JOINT].parameters.values()]
    return torch.autograd.grad(loss, wanted, retain_graph=True, materialize_grads=True)


def _finite(loss: Tensor, task: str, number: int) -> float:
    return check_finite(loss.item(), task, number)


def check_finite(value: float, task: str, number: int) -> float:
    """The loss.

    Raises:
        TrainingError: it is not finite.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"The loss of task {task!r} is {value} at batch {number}; this step was not made. "
            "Lower the learning rates, or look for labels outside [0, 1] in training.samples."
        )
    return value
