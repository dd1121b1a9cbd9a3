"""Arrow stream -> tensors: the rows of ``training.samples`` as a SampleSet."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.errors import TrainingError

LABEL_COLUMNS = (
    "is_click",
    "watch_ratio",
    "is_converted",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_long_view",
)
"""Columns of ``training.samples`` that are read as labels, where they are there."""


@dataclass(frozen=True)
class SampleSet:
    """Samples as tensors, row i of each belonging to sample i."""

    ids: Tensor
    """(n, n_categorical) int32 bucket ids, columns in the catalogue's order; 0 is missing."""

    lists: dict[str, Tensor]
    """Column name to (n, K) int32 bucket ids, filled up with 0."""

    labels: dict[str, Tensor]
    """Column name to (n,) float32; NaN is unknown."""

    kept: pa.Table | None = field(default=None, compare=False)
    """The columns asked to be kept beside the tensors, in the same order of rows."""

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Tensor) -> "SampleSet":
        """The samples at these row numbers (or where this bool tensor is True), in that order."""
        if rows.dtype == torch.bool:
            rows = rows.nonzero().squeeze(1)
        return SampleSet(
            self.ids.index_select(0, rows),
            {name: value.index_select(0, rows) for name, value in self.lists.items()},
            {name: value.index_select(0, rows) for name, value in self.labels.items()},
            None if self.kept is None else self.kept.take(pa.array(rows.numpy())),
        )


def concat(parts: Sequence[SampleSet]) -> SampleSet:
    """Several sets of one catalogue as one, in order.

    Raises:
        TrainingError: there is none, or their columns differ.
    """
    if not parts:
        raise TrainingError("No samples to put together: the list of days is empty.")
    first = parts[0]
    for part in parts:
        if part.ids.shape[1] != first.ids.shape[1] or list(part.lists) != list(first.lists):
            raise TrainingError("Samples of different feature catalogues cannot be put together.")
    kept = [part.kept for part in parts]
    return SampleSet(
        torch.cat([part.ids for part in parts]),
        {name: torch.cat([part.lists[name] for part in parts]) for name in first.lists},
        {name: torch.cat([part.labels[name] for part in parts]) for name in first.labels},
        None if any(table is None for table in kept) else pa.concat_tables(kept),
    )


def load_samples(
    reader: pa.RecordBatchReader,
    catalogue: FeatureCatalogue,
    n_rows: int | None = None,
    keep: Sequence[str] = (),
) -> SampleSet:
    """Read a stream of ``training.samples`` into tensors.

    With ``n_rows`` the tensors are allocated once and filled batch by batch, so that memory beyond them is
    one batch; without it they grow by half at a time.

    Args:
        reader: yields the catalogue's ``f_*`` and ``m_*`` columns, labels, and the columns of ``keep``.
        catalogue: says which columns, in which order, with how many buckets.
        n_rows: the number of rows to come, if known; more or fewer are accepted.
        keep: columns to hand back as an Arrow table beside the tensors.

    Raises:
        TrainingError: a column is missing, or an id lies outside ``[0, buckets)``.
    """
    columns = Columns(catalogue, reader.schema, keep)
    capacity = max(n_rows or 0, 0)
    ids, lists, labels = columns.allocate(capacity)
    kept: list[pa.RecordBatch] = []
    n = 0
    for batch in reader:
        end = n + batch.num_rows
        if end > capacity:
            capacity = end if n == 0 else max(end, capacity + capacity // 2)
            ids, lists, labels = columns.grow(capacity, n, ids, lists, labels)
        columns.fill(batch, ids[n:end], lists, labels, n)
        kept.append(columns.kept_of(batch))
        n = end
    return SampleSet(
        ids[:n],
        {name: value[:n] for name, value in lists.items()},
        {name: value[:n] for name, value in labels.items()},
        columns.table_of(kept),
    )


class Columns:
    """What is read from each batch, and where it goes."""

    def __init__(
        self, catalogue: FeatureCatalogue, schema: pa.Schema, keep: Sequence[str], only_labels: bool = False
    ) -> None:
        features = () if only_labels else catalogue.features
        self.buckets = {f.column: catalogue.embeddings[f.embedding] for f in features}
        self.categorical = [f.column for f in features if f.kind == "categorical"]
        self.lists = {f.column: f.max_length or 0 for f in features if f.kind == "list"}
        self.names, self.keep = tuple(schema.names), list(keep)
        self._kept = pa.schema([schema.field(name) for name in keep if name in schema.names])
        self.labels = [name for name in LABEL_COLUMNS if name in schema.names]
        missing = [name for name in (*self.buckets, *keep) if name not in schema.names]
        if missing:
            raise TrainingError(
                f"training.samples lacks the columns {', '.join(missing)}, found {', '.join(schema.names)}. "
                "Was it built with another feature catalogue?"
            )

    def kept_of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns that are kept beside the tensors."""
        return batch.select(self.keep).cast(self._kept) if self.keep else batch.select([])

    def table_of(self, kept: Sequence[pa.RecordBatch]) -> pa.Table | None:
        """What was kept, as one table; None where nothing was to be."""
        return pa.Table.from_batches(kept, schema=self._kept) if self.keep else None

    def allocate(self, n: int) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Tensors for ``n`` rows; the system hands out their pages only as they are filled."""
        return (
            torch.empty(n, len(self.categorical), dtype=torch.int32),
            {name: torch.zeros(n, length, dtype=torch.int32) for name, length in self.lists.items()},
            {name: torch.empty(n) for name in self.labels},
        )

    def grow(
        self, capacity: int, n: int, ids: Tensor, lists: dict[str, Tensor], labels: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The first ``n`` rows in larger tensors."""
        more = self.allocate(capacity)
        more[0][:n] = ids[:n]
        for new, old in ((more[1], lists), (more[2], labels)):
            for name, value in old.items():
                new[name][:n] = value[:n]
        return more

    def fill(
        self,
        batch: pa.RecordBatch,
        ids: Tensor,
        lists: dict[str, Tensor],
        labels: dict[str, Tensor],
        start: int,
    ) -> None:
        """Write one Arrow batch into its rows."""
        rows = slice(start, start + batch.num_rows)
        table = ids.numpy()
        for i, name in enumerate(self.categorical):
            table[:, i] = self._ids(name, batch.column(name))
        for name, length in self.lists.items():
            self._fill_list(name, batch.column(name), lists[name][rows].numpy(), length)
        for name in self.labels:
            values = batch.column(name).cast(pa.float32()).to_numpy(zero_copy_only=False)  # NULL becomes NaN
            labels[name][rows] = torch.from_numpy(np.array(values))

    def _ids(self, name: str, column: pa.Array) -> np.ndarray:
        """Bucket ids as int32, checked; NULL is 0, missing."""
        if column.null_count:
            column = column.fill_null(0)
        values = column.cast(pa.int32()).to_numpy(zero_copy_only=False)
        buckets = self.buckets[name]
        # Read as unsigned a negative number is a large one, so one pass over the values is enough.
        if len(values) and values.view(np.uint32).max() >= buckets:
            bad = values[(values < 0) | (values >= buckets)]
            raise TrainingError(
                f"{name} has {len(bad)} bucket ids outside [0, {buckets}), for example {bad[0]}. "
                "Was training.samples built with another feature catalogue?"
            )
        return values

    def _fill_list(self, name: str, column: pa.Array, out: np.ndarray, length: int) -> None:
        """The first ``length`` ids of each list; a NULL list is an empty one."""
        sizes = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        values = self._ids(name, column.flatten())  # flatten leaves NULL lists out
        row = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        fits = place < length
        out[row[fits], place[fits]] = values[fits]
