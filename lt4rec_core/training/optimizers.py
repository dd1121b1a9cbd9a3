"""Who moves which numbers: row-wise Adagrad for the embedding table, one fused Adam per task for the rest.

A gradient of zero is not a standstill: with one Adam for all tasks the momentum of one task's steps keeps
moving weights that only another task keeps. With one Adam per task the moments of a weight outside the task's
mask stay exactly zero, and so does its update. There is no weight decay, which would move everything.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import Lookup, SharedNet


class RowwiseAdagrad:
    """Adagrad with one accumulator per row of the table, touching only the rows of the batch."""

    def __init__(
        self,
        net: SharedNet,
        learning_rate: float,
        eps: float,
        initial: float,
        table: nn.Parameter | None = None,
    ) -> None:
        self.table, self.layout = net.table if table is None else table, net.layout
        self.learning_rate, self.eps = learning_rate, eps
        self.accumulator = torch.full((net.layout.n_rows,), initial)

    @torch.no_grad()
    def step(self, lookup: Lookup, gradient: Tensor) -> None:
        """Move the rows that made the field vectors by their gradient (b, f, d).

        A row's gradients within the batch are summed first; its accumulator grows by the mean square over d.
        """
        self.move(*self.gradient_by_row(lookup, gradient))

    @torch.no_grad()
    def move(self, rows: Tensor, total: Tensor) -> None:
        """Move distinct rows (m,) by their gradients (m, d)."""
        self.accumulator.index_add_(0, rows, total.square().mean(1))
        root = self.accumulator.index_select(0, rows).sqrt_().add_(self.eps)
        self.table.index_add_(0, rows, total * (-self.learning_rate / root).unsqueeze(1))

    def gradient_by_row(self, lookup: Lookup, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The distinct rows (m,) and their summed gradients (m, d)."""
        b, f, d = gradient.shape
        n = lookup.ids.shape[1]
        base = torch.arange(b, dtype=torch.int32).unsqueeze(1) * f
        rows = [lookup.ids.flatten()]
        source = [(base + torch.arange(n, dtype=torch.int32)).flatten()]
        weight = [torch.ones(b * n)]
        for i, (name, ids) in enumerate(lookup.lists.items(), start=n):
            real = ids != self.layout.list_offsets[name]  # padding moves nothing
            share = 1 / real.sum(1, keepdim=True).clamp(min=1)
            rows.append(ids[real])
            source.append((base + i).expand_as(ids)[real])
            weight.append(share.expand_as(ids)[real])
        ordered, order = torch.sort(torch.cat(rows), stable=True)
        distinct, count = torch.unique_consecutive(ordered, return_counts=True)
        total = F.embedding_bag(
            torch.cat(source)[order],
            gradient.reshape(b * f, d),
            (count.cumsum(0) - count).int(),
            mode="sum",
            per_sample_weights=torch.cat(weight)[order],
        )
        return distinct, total


class TaskAdam:
    """A fused Adam over what one task may move, with the state of that task alone."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], learning_rate: float, betas: tuple[float, float]
    ) -> None:
        self.parameters = dict(parameters)
        self._adam = torch.optim.Adam(
            list(self.parameters.values()), lr=learning_rate, betas=betas, fused=True
        )

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Apply one update; ``gradients`` are in the order of ``parameters``."""
        for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
            parameter.grad = gradient
        self._adam.step()
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """``<parameter>.<moment>`` to tensor; empty before the first step."""
        return {
            f"{name}.{key}": value
            for name, p in self.parameters.items()
            for key, value in self._adam.state.get(p, {}).items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave; an empty state is one before the first step."""
        self._adam.state.clear()
        if not state:
            return
        for name, p in self.parameters.items():
            keys = ("step", "exp_avg", "exp_avg_sq")
            if any(f"{name}.{key}" not in state for key in keys) or state[f"{name}.exp_avg"].shape != p.shape:
                raise ModelStoreError(
                    f"The optimiser state of {name!r} is missing or has another shape. "
                    "Was the model saved with another network config?"
                )
            self._adam.state[p] = {key: state[f"{name}.{key}"].clone() for key in keys}


class Optimizers:
    """All optimisers of one network, and their state as flat tensors.

    ``tasks`` holds one Adam per task, or with joint steps one for all of them.
    """

    def __init__(
        self,
        net: SharedNet,
        embedding: RowwiseAdagrad,
        tasks: Mapping[str, TaskAdam],
        views: Mapping[str, RowwiseAdagrad] | None = None,
    ) -> None:
        self.net, self.embedding, self.tasks, self.views = net, embedding, dict(tasks), dict(views or {})

    def state(self) -> dict[str, Tensor]:
        """Flat names to tensors, ready for safetensors."""
        flat = {"table.accumulator": self.embedding.accumulator}
        flat |= {f"views.{task}.accumulator": view.accumulator for task, view in self.views.items()}
        for task, adam in self.tasks.items():
            flat |= {f"{task}/{name}": value for name, value in adam.state().items()}
        return flat

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave.

        Raises:
            ModelStoreError: it belongs to another network.
        """
        tables = {"table": self.embedding, **{f"views.{task}": view for task, view in self.views.items()}}
        for name, embedding in tables.items():
            accumulator = state.get(f"{name}.accumulator")
            if accumulator is None or accumulator.shape != embedding.accumulator.shape:
                raise ModelStoreError(
                    "The embedding optimiser's state is missing or has another number of rows."
                )
            embedding.accumulator = accumulator.clone()
        for task, adam in self.tasks.items():
            prefix = f"{task}/"
            adam.load({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
