"""Several workers train one network on their shares of the samples, a step at a time together.

Every worker holds the whole network and its optimisers. In a step each computes the gradients of its part of
the batch; the mean over all parts is what every worker then moves by. So the networks stay equal bit for bit,
and a step is the one that a single process would make with the parts as one batch, but for rounding.

A pass goes in rounds: a block of samples at each worker. Between rounds nothing is under way, so that what a
network then is, with the number of the round, is all that it takes to go on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.streaming import Samples, blocks_of
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import (
    Batch,
    SampleWeights,
    batch_of,
    generator_for,
    n_of_task,
    rows_of_task,
)
from lt4rec_core.training.exchange import Exchange
from lt4rec_core.training.optimizers import Optimizers
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.steps import Found, Met, check_finite
from lt4rec_core.training.task_adam import TaskAdam


@dataclass(frozen=True)
class Reached:
    """How far a pass of all workers has come, in whole rounds."""

    rounds: int = 0
    sums: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Per task the sum of the losses met, and over how many samples."""


@dataclass(frozen=True)
class Together:
    """One of the workers of a pass: whom it speaks with, and where the pass begins."""

    exchange: Exchange
    reached: Reached = Reached()
    """Where an earlier attempt stood; the network must be as it was then."""
    after_round: Callable[[Reached], None] | None = None
    """Called by every worker between rounds, while the networks are equal."""

    def count(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, int]:
        """How many samples of each task all workers have; ``samples`` are this one's."""
        n = torch.tensor([n_of_task(samples, task) for task in tasks])
        self.exchange.add(n)
        return dict(zip((task.name for task in tasks), n.tolist(), strict=True))


class Rounds:
    """The batches of one pass, as many at every worker and of the same tasks in the same order.

    ``batch_size`` is that of all parts together: of the samples of a task in a round, however unevenly they
    lie at the workers, each worker cuts its own into as many parts as the step count asks for. A part may
    be empty.
    """

    def __init__(
        self,
        together: Together,
        samples: Samples,
        tasks: Sequence[Task],
        config: TrainingConfig,
        generator: torch.Generator,
        weigh: Callable[[SampleSet], SampleWeights],
        ended: Callable[[int], None],
    ) -> None:
        """``generator`` gives all workers the same numbers, ``samples`` are this worker's.

        ``ended`` is called when all batches of a round were met, with the number of rounds so far.
        """
        self._together, self._exchange = together, together.exchange
        self._samples, self._tasks, self._config = samples, tasks, config
        self._weigh, self._ended = weigh, ended
        # A stream of numbers for each round: what an earlier attempt drew need not be drawn again.
        self._seed = int(torch.randint(2**62, (), generator=generator))
        self.draw = torch.Generator()
        """What this worker draws for its batches; anew in every round."""

    def __iter__(self) -> Iterator[Batch]:
        number, rank = self._together.reached.rounds, self._exchange.rank
        blocks = blocks_of(self._samples, generator_for(self._seed, "order", rank), skip=number)
        while True:
            block = next(blocks, None)
            counts = self._count(block)
            if not counts[:, 0].any():
                return
            self.draw.set_state(generator_for(self._seed, "rows", number, rank).get_state())
            yield from self._batches(block, counts[:, 1:].sum(0).tolist(), number)
            number += 1
            self._ended(number)

    def _count(self, block: SampleSet | None) -> Tensor:
        """(workers, 1 + tasks) whether each worker has a block in this round, and of each task how many."""
        n = [0 if block is None else len(rows_of_task(block, task)) for task in self._tasks]
        return torch.stack(self._exchange.gather(torch.tensor([block is not None, *n], dtype=torch.int64)))

    def _batches(self, block: SampleSet | None, n_all: Sequence[int], number: int) -> Iterator[Batch]:
        turns: list[tuple[Task, Tensor]] = []
        for task, n in zip(self._tasks, n_all, strict=True):
            rows = torch.empty(0, dtype=torch.int64) if block is None else rows_of_task(block, task)
            steps = ceil(n / self._config.batch_size_of(task.name))
            for _ in range(self._config.repeats_of(task.name) if steps else 0):
                shuffled = rows[torch.randperm(len(rows), generator=self.draw)]
                turns += [(task, part) for part in shuffled.tensor_split(steps)]
        weights = {} if block is None else self._weigh(block)
        order = torch.randperm(len(turns), generator=generator_for(self._seed, "turns", number))
        for task, rows in (turns[i] for i in order.tolist()):
            if block is None:
                yield Batch(task.name, torch.empty(0, 0), {}, torch.empty(0))
            else:
                yield batch_of(block, task, rows, weights)


class SharedStep:
    """One update by the mean gradient over all workers' parts of a batch of one task.

    Of a trunk weight only what the task's mask keeps is exchanged: the rest stays where it is, at zero
    gradient and zero momentum. Embedding rows are gathered as each worker touched them, and every worker
    sums them in the same order, so that accumulators are equal too.
    """

    def __init__(
        self, gradients: Callable[[Batch], Found], optimizers: Optimizers, exchange: Exchange
    ) -> None:
        self._gradients, self._optimizers, self._exchange = gradients, optimizers, exchange
        self._averages = {name: _Average(adam) for name, adam in optimizers.tasks.items()}

    @torch.no_grad()
    def __call__(self, batch: Batch, number: int) -> Met:
        """Make it.

        Raises:
            TrainingError: a worker's loss is not finite; nothing moved at any.
        """
        optimizers, average, n = self._optimizers, self._averages[batch.task], len(batch.labels)
        width = optimizers.embedding.table.shape[1]
        if batch.task in optimizers.views:
            width += optimizers.views[batch.task].table.shape[1]
        rows, by_row = torch.empty(0, dtype=torch.int64), torch.empty(0, width)
        loss, for_weights = 0.0, None
        if n:
            with torch.enable_grad():
                found = self._gradients(batch)
            loss, for_weights = found.loss, found.for_weights
            if for_weights:
                rows, by_row = optimizers.embedding.gradient_by_row(found.lookup, found.for_fields)
        told = torch.zeros(2 + self._exchange.workers)
        told[0], told[1], told[2 + self._exchange.rank] = loss * n, n, len(rows)
        told, averaged = average.over(self._exchange, for_weights, n, told)
        n_all = int(told[1])
        mean = check_finite(float(told[0]) / n_all, batch.task, number)
        optimizers.tasks[batch.task].step(averaged)
        self._move_tables(batch.task, rows, by_row.mul_(n / n_all), told[2:].int().tolist())
        return {batch.task: (mean, n_all)}

    def _move_tables(self, task: str, rows: Tensor, by_row: Tensor, lengths: Sequence[int]) -> None:
        """Bits travel, not numbers: rows and gradients in one message, padded to the longest."""
        d = by_row.shape[1]
        message = torch.zeros(max(lengths), d + 1, dtype=torch.int32)
        message[: len(rows), :d], message[: len(rows), d] = by_row.view(torch.int32), rows
        parts = [part[:length] for part, length in zip(self._exchange.gather(message), lengths, strict=True)]
        gathered = torch.cat(parts)
        rows, gradient = gathered[:, d].long(), gathered[:, :d].contiguous().view(torch.float32)
        embedding, view = self._optimizers.embedding, self._optimizers.views.get(task)
        if view is None:
            embedding.move_summed(rows, gradient)
            return
        d = embedding.table.shape[1]
        embedding.move_summed(rows, gradient[:, :d].contiguous())
        view.move_summed(rows, gradient[:, d:].contiguous())


class _Average:
    """The mean gradient of one task's weights over all workers, those outside its mask left out."""

    def __init__(self, adam: TaskAdam) -> None:
        self._shapes = {name: p.shape for name, p in adam.parameters.items()}
        self._kept = {
            name: mask.flatten().nonzero().squeeze(1)
            for name, mask in adam.mask.items()
            if name in self._shapes
        }
        self._lengths = [
            len(self._kept[name]) if name in self._kept else shape.numel()
            for name, shape in self._shapes.items()
        ]
        # Outside a mask these stay zero.
        self._room = {name: torch.zeros(self._shapes[name]) for name in self._kept}

    def over(
        self, exchange: Exchange, gradients: Sequence[Tensor] | None, n: int, told: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """One sum over the workers for all: gradients times ``n``, and the numbers of ``told``.

        ``told[1]`` is ``n``. A worker without samples, or whose loss is not finite, has no gradients.
        """
        message = torch.zeros(sum(self._lengths) + len(told))
        *parts, end = message.split([*self._lengths, len(told)])
        end.copy_(told)
        for part, name, gradient in zip(parts, self._shapes, gradients or (), strict=bool(gradients)):
            flat = gradient.reshape(-1)
            torch.mul(flat[self._kept[name]] if name in self._kept else flat, n, out=part)
        exchange.add(message)
        n_all = float(end[1])
        averaged = []
        for part, (name, shape) in zip(parts, self._shapes.items(), strict=True):
            part.div_(n_all)
            if name in self._kept:
                self._room[name].view(-1).index_copy_(0, self._kept[name], part)
            averaged.append(self._room[name] if name in self._kept else part.view(shape))
        return end, averaged


def check_alike(exchange: Exchange, net: SharedNet) -> None:
    """See that all workers hold the same network.

    Raises:
        TrainingError: they do not.
    """
    total = sum(int(p.detach().view(torch.int32).sum(dtype=torch.int64)) for p in net.parameters())
    found = [int(value) for value in exchange.gather(torch.tensor([total % 2**62]))]
    if len(set(found)) > 1:
        raise TrainingError(
            f"The {exchange.workers} workers no longer hold the same network: its numbers add up to {found}. "
            "Processors of different kinds compute different last bits; train a day on machines of one kind, "
            "with the same PyTorch."
        )
