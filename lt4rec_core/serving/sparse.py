"""Layers of few weights as the kernel reads them: lists by panel and row, for all tasks at once."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from lt4rec_core.serving import kernel
from lt4rec_core.serving.compact import Layer

CACHE_BYTES = 48 * 1024
"""Inputs of a panel fit in a first-level cache of this size; a smaller cache makes it slower, not wrong."""

PANEL = CACHE_BYTES // (4 * kernel.LANES * kernel.WIDE)
"""Columns of a panel."""


class SparseLayers:
    """Chains of sparse layers, one per head, that begin with the same inputs and run in one pass.

    Samples pass in blocks of 64 through all layers of all heads, so that nothing between two layers leaves
    the second-level cache. A layer's weights outside its mask take neither time nor memory.
    """

    def __init__(self, heads: Sequence[Sequence[Layer]]) -> None:
        """Lay the weights out.

        Args:
            heads: per head its layers, first to last; each head's first layer takes the same inputs.
        """
        self.widths = [head[-1].n_out for head in heads]
        self._heads = np.array([0, *accumulate(len(head) for head in heads)], dtype=np.int64)
        table, columns, values, starts, rows, biases = [], [], [], [], [], []
        n_weights = n_starts = n_rows = n_biases = 0
        for to, head in zip(accumulate([0, *self.widths]), heads, strict=False):
            for i, layer in enumerate(head):
                packed = _Packed(layer.weight, n_weights)
                goes_to = to if i == len(head) - 1 else -1
                relu = int(layer.relu)
                table.append(
                    (layer.n_in, layer.n_out, packed.n_panels, n_starts, n_rows, n_biases, relu, goes_to)
                )
                columns.append(packed.columns)
                values.append(packed.values)
                starts.append(packed.starts)
                rows.append(packed.rows)
                biases.append(layer.bias)
                n_weights += len(packed.columns)
                n_starts += len(packed.starts)
                n_rows += len(packed.rows)
                n_biases += len(layer.bias)
        self._table = np.array(table, dtype=np.int64)
        self._columns, self._starts = np.concatenate(columns), np.concatenate(starts)
        self._values = np.concatenate(values).astype(np.float32)
        self._rows, self._biases = np.concatenate(rows), np.concatenate(biases).astype(np.float32)
        widest = max(max(layer.n_in, layer.n_out) for head in heads for layer in head)
        self._scratch_per_lane = 3 * widest

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """(b, d_in) float32 to each head's outputs, (b, d_out)."""
        out = np.empty((len(x), sum(self.widths)), dtype=np.float32)
        n_wide = 1 if len(x) <= (kernel.WIDE - 1) * kernel.LANES else kernel.WIDE
        scratch = kernel.aligned(self._scratch_per_lane * kernel.LANES * n_wide)
        kernel.forward(
            np.ascontiguousarray(x, dtype=np.float32), self._table, self._heads, self._columns, self._values,
            self._starts, self._rows, self._biases, scratch, out,
        )  # fmt: skip
        return np.split(out, list(accumulate(self.widths))[:-1], axis=1)


class _Packed:
    """One layer's weights as lists, its rows sorted by the lengths of their lists within each panel.

    Neighbours of one length let the processor foresee where the innermost loop ends.
    """

    def __init__(self, weight: np.ndarray, first: int) -> None:
        n_out, n_in = weight.shape
        self.n_panels = max(-(-n_in // PANEL), 1)
        width = max(-(-n_in // self.n_panels), 1)
        columns, values, starts, rows = [], [], [], []
        for begin in range(0, self.n_panels * width, width):
            panel = weight[:, begin : begin + width]
            n_kept = (panel != 0).sum(1)
            length = -(-n_kept // kernel.UNROLLED) * kernel.UNROLLED
            order = np.argsort(length, kind="stable")
            ends = np.cumsum(length[order])
            starts.append(first + np.concatenate([[0], ends]))
            rows.append(order)
            # Filled up with weights of zero on the panel's first column.
            row, column = np.nonzero(panel[order])
            place = (ends - length[order])[row] + _within(n_kept[order])
            listed, filled = np.full(ends[-1] if n_out else 0, begin), np.zeros(ends[-1] if n_out else 0)
            listed[place], filled[place] = begin + column, panel[order][row, column]
            columns.append(listed)
            values.append(filled)
            first += len(listed)
        self.columns = np.concatenate(columns).astype(np.uint16)
        self.values = np.concatenate(values).astype(np.float32)
        self.starts = np.concatenate(starts).astype(np.int64)
        self.rows = np.concatenate(rows).astype(np.int64)


def _within(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... within each group, for groups of these sizes in order."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
