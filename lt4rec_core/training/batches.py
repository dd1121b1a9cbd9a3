"""Seeded batches of single tasks (Algorithm 1, lines 12-13): whose turn it is, and with which samples."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.streaming import Samples, count
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.tasks import CLICK_LABEL, Task


class Batch(NamedTuple):
    """Some samples of one task."""

    task: str
    ids: Tensor
    """(b, n_categorical) int32."""
    lists: dict[str, Tensor]
    """(b, K) int32 each."""
    labels: Tensor
    """(b,) float32, all known."""
    weights: Tensor | None = None
    """(b,) float32 of the samples' losses; None is 1."""


class Part(NamedTuple):
    """What one task makes of a joint batch."""

    rows: Tensor
    """(m,) which of the batch's impressions are its samples."""
    labels: Tensor
    """(m,) float32, all known."""
    weights: Tensor | None
    """(m,) float32; None is 1."""


class JointBatch(NamedTuple):
    """Some impressions, and what every task makes of them."""

    ids: Tensor
    """(b, n_categorical) int32."""
    lists: dict[str, Tensor]
    """(b, K) int32 each."""
    parts: dict[str, Part]
    """Task name to its part; a task without a sample among them is left out."""


SampleWeights = Mapping[str, Tensor | None]
"""Task name to the weights (n,) of all samples in its loss; None (or no entry) is 1."""


def generator_for(seed: int, *purpose: object) -> torch.Generator:
    """A random stream of its own for each purpose, e.g. ``generator_for(7, "snet", day)``.

    What one purpose draws moves no other stream, so a resumed run draws what an uninterrupted one would have.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))


def rows_of_task(samples: SampleSet, task: Task) -> Tensor:
    """Row numbers of a task's samples: its label is known and, for a task on clicks, the sample is a click.

    Raises:
        TrainingError: the label's column is not there.
    """
    if task.label not in samples.labels:
        raise TrainingError(
            f"Task {task.name!r} needs the label {task.label!r}, found {', '.join(samples.labels)}. "
            "Look at the columns of training.samples."
        )
    known = ~samples.labels[task.label].isnan()
    if task.sample == "clicked":
        known &= samples.labels[CLICK_LABEL] == 1
    return known.nonzero().squeeze(1)


def n_of_task(samples: Samples, task: Task) -> int:
    """How many samples a task has.

    Raises:
        TrainingError: the label's column is not there.
    """
    return count(samples, (task.label, CLICK_LABEL), lambda part: len(rows_of_task(part, task)))


def iterate_batches(
    samples: SampleSet,
    tasks: Sequence[Task],
    batch_size: int,
    generator: torch.Generator,
    weights: SampleWeights | None = None,
    repeats: Mapping[str, int] | None = None,
    batch_sizes: Mapping[str, int] | None = None,
) -> Iterator[Batch]:
    """One pass over the samples of all tasks, in batches of single tasks in random order.

    Each task's samples are shuffled and cut into batches (the last may be smaller), then all batches are
    shuffled together: a task's turns are in proportion to its samples. A task without samples has no turn.
    A task named in ``repeats`` is shuffled and cut that many times, one in ``batch_sizes`` into batches of
    its own size.
    """
    turns: list[tuple[Task, Tensor]] = []
    for task in tasks:
        rows = rows_of_task(samples, task)
        size = (batch_sizes or {}).get(task.name, batch_size)
        for _ in range((repeats or {}).get(task.name, 1)):
            shuffled = rows[torch.randperm(len(rows), generator=generator)]
            turns += [(task, part) for part in shuffled.split(size) if len(part)]
    for i in torch.randperm(len(turns), generator=generator).tolist():
        task, rows = turns[i]
        yield batch_of(samples, task, rows, weights)


def batch_of(samples: SampleSet, task: Task, rows: Tensor, weights: SampleWeights | None = None) -> Batch:
    """The samples at these row numbers as a batch of the task, whose samples they are."""
    own = (weights or {}).get(task.name)
    return Batch(
        task.name,
        samples.ids.index_select(0, rows),
        {name: value.index_select(0, rows) for name, value in samples.lists.items()},
        samples.labels[task.label].index_select(0, rows),
        None if own is None else own.index_select(0, rows),
    )


def iterate_joint_batches(
    samples: SampleSet,
    tasks: Sequence[Task],
    batch_size: int,
    generator: torch.Generator,
    weights: SampleWeights | None = None,
) -> Iterator[JointBatch]:
    """One pass over all impressions that are a sample of some task, in shuffled batches for all tasks."""
    mine = {task.name: torch.zeros(len(samples), dtype=torch.bool) for task in tasks}
    for task in tasks:
        mine[task.name][rows_of_task(samples, task)] = True
    used = torch.stack(list(mine.values())).any(0).nonzero().squeeze(1)
    for rows in used[torch.randperm(len(used), generator=generator)].split(batch_size):
        parts = {}
        for task in tasks:
            local = mine[task.name][rows].nonzero().squeeze(1)
            own = (weights or {}).get(task.name)
            if len(local):
                labels = samples.labels[task.label][rows[local]]
                parts[task.name] = Part(local, labels, None if own is None else own[rows[local]])
        lists = {name: value.index_select(0, rows) for name, value in samples.lists.items()}
        yield JointBatch(samples.ids.index_select(0, rows), lists, parts)
