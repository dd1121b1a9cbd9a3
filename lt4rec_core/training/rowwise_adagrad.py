"""The embedding table's optimiser: a step costs what its batch touches, and so does a day's state on disk."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import Lookup, SharedNet
from lt4rec_core.model.pages import prefer_huge_pages


class RowwiseAdagrad:
    """Adagrad with one accumulator per row of the table, touching only the rows of the batch.

    It remembers which rows it ever moved: its state holds these alone, for the others still have the first
    values, which the chain's seed draws again.
    """

    def __init__(
        self,
        net: SharedNet,
        learning_rate: float,
        eps: float,
        initial: float,
        table: nn.Parameter | None = None,
    ) -> None:
        """``table`` is another than the shared one: a task's view."""
        self.table, self.layout = net.table if table is None else table, net.layout
        self.learning_rate, self.eps = learning_rate, eps
        self.accumulator = prefer_huge_pages(torch.empty(net.layout.n_rows)).fill_(initial)
        # Not read off the accumulator: a small gradient moves a row while its square vanishes in the sum.
        self.touched = torch.zeros(net.layout.n_rows, dtype=torch.bool)

    @torch.no_grad()
    def step(self, lookup: Lookup, gradient: Tensor) -> None:
        """Move the rows that made the field vectors by their gradient (b, f, d).

        A row's gradients within the batch are summed first; its accumulator grows by the mean square over d.
        """
        b, f, d = gradient.shape
        self._move(*self._occurrences(lookup, f), gradient.reshape(b * f, d))

    @torch.no_grad()
    def move_summed(self, rows: Tensor, gradient: Tensor) -> None:
        """Move rows (m,) int64, named once or repeatedly, by the sums of their gradients (m, d)."""
        self._move(rows, torch.arange(len(rows)), None, gradient)

    def _move(self, rows: Tensor, source: Tensor, weight: Tensor | None, gradient: Tensor) -> None:
        """By what ``_occurrences`` tells, and the gradients (k, d) that ``source`` points into."""
        from lt4rec_core.training.rows_kernel import move_rows

        ordered, order = _stable_sort(rows)
        move_rows(
            ordered.numpy(),
            source[order].numpy(),
            (torch.empty(0) if weight is None else weight[order]).numpy(),
            gradient.numpy(),
            self.table.detach().numpy(),
            self.accumulator.numpy(),
            self.touched.numpy(),
            np.float32(self.learning_rate),
            np.float32(self.eps),
        )

    @torch.no_grad()
    def move(self, rows: Tensor, total: Tensor) -> None:
        """Move distinct rows (m,) by their summed gradients (m, d), which it uses up."""
        self.touched.index_fill_(0, rows, True)
        self.accumulator.index_add_(0, rows, total.square().mean(1))
        root = self.accumulator.index_select(0, rows).sqrt_().add_(self.eps)
        self.table.index_add_(0, rows, total.mul_((-self.learning_rate / root).unsqueeze(1)))

    def gradient_by_row(self, lookup: Lookup, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The distinct rows (m,) int64, ascending, and their summed gradients (m, d)."""
        b, f, d = gradient.shape
        rows, source, weight = self._occurrences(lookup, f)
        ordered, order = _stable_sort(rows)
        distinct, count = torch.unique_consecutive(ordered, return_counts=True)
        total = F.embedding_bag(
            source[order],
            gradient.reshape(b * f, d),
            count.cumsum(0) - count,
            mode="sum",
            per_sample_weights=None if weight is None else weight[order],
        )
        return distinct, total

    def _occurrences(self, lookup: Lookup, f: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Which row stands where: rows, their vectors' places among (b * f), and weights (None is 1)."""
        b, n = lookup.ids.shape
        if not lookup.lists:
            return lookup.ids.flatten(), torch.arange(b * n), None
        base = torch.arange(0, b * f, f)
        rows = [lookup.ids.flatten()]
        source = [(base.unsqueeze(1) + torch.arange(n)).flatten()]
        weight = [torch.ones(b * n)]
        for i, (name, ids) in enumerate(lookup.lists.items(), start=n):
            real = ids != self.layout.list_offsets[name]  # padding moves nothing
            sample, place = real.nonzero(as_tuple=True)
            rows.append(ids[sample, place])
            source.append(base.index_select(0, sample).add_(i))
            weight.append((1 / real.sum(1).clamp(min=1)).index_select(0, sample))
        return torch.cat(rows), torch.cat(source), torch.cat(weight)

    def state(self) -> dict[str, Tensor]:
        """The touched rows (m,) ascending, their values (m, d) and their accumulators (m,)."""
        rows = self.touched.nonzero().squeeze(1)
        values = self.table.detach().index_select(0, rows)
        return {"rows": rows.int(), "values": values, "accumulator": self.accumulator.index_select(0, rows)}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave, into a table that holds its first values.

        Raises:
            ModelStoreError: parts are missing, do not fit each other, or do not fit the table.
        """
        missing = {"rows", "values", "accumulator"} - set(state)
        if missing:
            raise ModelStoreError(
                f"The embedding table's state lacks {sorted(missing)}. Materialise the model again."
            )
        rows, values, accumulator = state["rows"], state["values"], state["accumulator"]
        n_rows, d = self.table.shape
        if rows.dim() != 1 or values.shape != (len(rows), d) or accumulator.shape != rows.shape:
            raise ModelStoreError(
                f"The embedding table's state does not fit: {tuple(rows.shape)} rows, {tuple(values.shape)} "
                f"values, {tuple(accumulator.shape)} accumulators for vectors of {d}. "
                "Was the model saved with another network config?"
            )
        if len(rows) and (rows.min() < 0 or rows.max() >= n_rows):
            raise ModelStoreError(
                f"The embedding table's state names rows {int(rows.min())} to {int(rows.max())}, "
                f"the table has {n_rows}. Was the model saved with another feature catalogue?"
            )
        self.table.index_copy_(0, rows.long(), values)
        self.accumulator.index_copy_(0, rows.long(), accumulator)
        self.touched[rows] = True


def _stable_sort(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n,) in ascending order, equal ones as they came, and where each came from; both int64.

    NumPy sorts integers several times faster than PyTorch, though not stably: here no two are equal. And
    int64 is what PyTorch's indexing is fast with.
    """
    keys = (rows.long() << 32) | torch.arange(len(rows))
    keys.numpy().sort()
    return keys >> 32, keys & 0xFFFF_FFFF
