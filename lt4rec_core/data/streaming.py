"""Days larger than memory: their samples block by block, shuffled or in order, never all at once."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import torch

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.duck import first_line
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import LABEL_COLUMNS, Columns, SampleSet, load_samples
from lt4rec_core.data.places import Place, open_parquet
from lt4rec_core.data.snapshot import Snapshot
from lt4rec_core.errors import LakeError

ROWS_AT_ONCE = 8_192
"""Rows decoded at a time: their tensors' rows are still in the cache while column after column fills them."""


class _Group(NamedTuple):
    """One row group of one file."""

    day: date
    path: Place
    number: int
    n_rows: int
    first: str
    """The smallest value of the key's first column, empty where the file does not say."""


def bytes_per_sample(catalogue: FeatureCatalogue) -> int:
    """What one sample takes as tensors, labels included."""
    numbers = sum((f.max_length or 0) if f.kind == "list" else 1 for f in catalogue.features)
    return 4 * (numbers + len(LABEL_COLUMNS))


@dataclass(frozen=True)
class SampleStream:
    """The samples of some days as they lie in the lake, read anew at every pass.

    A block is made of row groups from anywhere among the files and shuffled within by whoever trains on it:
    what meets in a batch is drawn from a block, not from the whole. Blocks share one buffer: a block is gone
    when the next one comes.
    """

    snapshot: Snapshot
    """Of ``training.samples``; its files are ordered by key, as every published day is."""
    first: date
    last: date
    catalogue: FeatureCatalogue
    block_rows: int
    """Rows in memory at a time, or one row group where that is more."""
    rank: int = 0
    """Whose share of the row groups this is ..."""
    workers: int = 1
    """... of so many that read one each."""

    def __len__(self) -> int:
        if self.workers > 1:
            return sum(group.n_rows for group in self._groups())
        return sum(n for day, _, n in self.snapshot.files if self.first <= day <= self.last)

    def shuffled(self, generator: torch.Generator, skip: int = 0) -> Iterator[SampleSet]:
        """One pass in blocks of randomly chosen row groups, the first ``skip`` of them not read.

        Raises:
            LakeError: a file is damaged or gone.
            TrainingError: as ``load_samples``.
        """
        groups = self._groups()
        order = torch.randperm(len(groups), generator=generator).tolist()
        return self._blocks([groups[i] for i in order], self._columns(), skip)

    def in_order(self, keep: Sequence[str] = ()) -> Iterator[SampleSet]:
        """One pass day after day, each in the order of its key, with the columns of ``keep`` beside.

        Raises:
            LakeError, TrainingError: as ``shuffled``.
        """
        return self._blocks(self._groups(), self._columns(keep))

    def labels(self, names: Sequence[str]) -> Iterator[SampleSet]:
        """Some labels alone, in order: a fraction of the bytes.

        Raises:
            LakeError: as ``shuffled``.
        """
        schema = self._schema(names)
        return self._blocks(self._groups(), Columns(self.catalogue, schema, (), only_labels=True))

    def _columns(self, keep: Sequence[str] = ()) -> Columns:
        features = [f.column for f in self.catalogue.features]
        return Columns(self.catalogue, self._schema([*features, *LABEL_COLUMNS, *keep]), keep)

    def _schema(self, names: Sequence[str]) -> pa.Schema:
        there = self.snapshot.schema
        return pa.schema([there.field(name) for name in dict.fromkeys(names) if name in there.names])

    def _groups(self) -> list[_Group]:
        """In the order of the rows: a day's files hold ranges of its key, one after the other."""
        groups = []
        for day, path, _ in self.snapshot.files:
            if not self.first <= day <= self.last:
                continue
            with self._reading(path), open_parquet(path) as file:
                key = file.schema_arrow.names.index(self.snapshot.key[0])
                for i in range(file.num_row_groups):
                    group = file.metadata.row_group(i)
                    known = group.column(key).statistics
                    smallest = str(known.min) if known is not None and known.has_min_max else ""
                    groups.append(_Group(day, path, i, group.num_rows, smallest))
        return self._own(sorted(groups, key=lambda group: (group.day, group.first)))

    def _own(self, groups: list[_Group]) -> list[_Group]:
        """Each row group to the worker that has the fewest rows so far; none is read by two."""
        n_rows, mine = [0] * self.workers, []
        for group in groups:
            worker = n_rows.index(min(n_rows))
            n_rows[worker] += group.n_rows
            if worker == self.rank:
                mine.append(group)
        return mine

    def is_ordered(self) -> bool:
        """Whether the rows lie in the order of their key, by reading the key."""
        before: dict[str, object] | None = None
        day = None
        for group in self._groups():
            before = before if group.day == day else None  # a day begins anew
            day = group.day
            for batch in self._read(group, self.snapshot.key):
                first, last = batch.slice(0, 1).to_pylist()[0], batch.slice(batch.num_rows - 1).to_pylist()[0]
                if None in first.values() or not _ascends(batch):
                    return False
                if before is not None and tuple(before.values()) > tuple(first.values()):
                    return False
                before = last
        return True

    def _blocks(self, groups: Sequence[_Group], columns: Columns, skip: int = 0) -> Iterator[SampleSet]:
        """Fill the buffer with as many row groups as it takes, hand it out, fill it again."""
        largest = max((group.n_rows for group in groups), default=0)
        n_all = sum(group.n_rows for group in groups)
        ids, lists, labels = columns.allocate(min(max(self.block_rows, largest), n_all))
        for block in _cut(groups, len(ids))[skip:]:
            kept: list[pa.RecordBatch] = []
            n = 0
            for value in lists.values():
                value.zero_()
            for group in block:
                for batch in self._read(group, columns.names):
                    end = n + batch.num_rows
                    columns.fill(batch, ids[n:end], lists, labels, n)
                    kept.append(columns.kept_of(batch))
                    n = end
            yield SampleSet(
                ids[:n],
                {name: value[:n] for name, value in lists.items()},
                {name: value[:n] for name, value in labels.items()},
                columns.table_of(kept),
            )

    def _read(self, group: _Group, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        in_file = [name for name in names if name != "dt"]  # dt is the folder the file lies in
        with self._reading(group.path), open_parquet(group.path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, [group.number], in_file, use_threads=False):
                if "dt" in names:
                    day = pa.array([group.day] * batch.num_rows, pa.date32())
                    batch = batch.append_column("dt", day)
                yield batch

    @contextmanager
    def _reading(self, path: Place) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            why = self.snapshot.damage(self.first, self.last)
            raise LakeError(why or f"cannot read {path}: {first_line(error)}.") from error


def _cut(groups: Sequence[_Group], most: int) -> list[list[_Group]]:
    """In blocks of at most so many rows."""
    blocks: list[list[_Group]] = []
    room = 0
    for group in groups:
        if not blocks or group.n_rows > room:
            blocks.append([])
            room = most
        blocks[-1].append(group)
        room -= group.n_rows
    return blocks


def _ascends(batch: pa.RecordBatch) -> bool:
    """Whether each row's values, compared one column after the other, are at least the row's before."""
    equal: pa.Array = pa.array([True] * max(batch.num_rows - 1, 0))
    for column in batch.columns:
        one, next_one = column[:-1], column[1:]
        falls = pc.and_(equal, pc.fill_null(pc.greater(one, next_one), True))
        if pc.any(falls).as_py():
            return False
        equal = pc.and_(equal, pc.equal(one, next_one))
    return True


def load_days(
    lake: Lake,
    snapshot: Snapshot,
    first: date,
    last: date,
    catalogue: FeatureCatalogue,
    keep: Sequence[str] = (),
) -> SampleSet:
    """Some days as tensors, each ordered by its key, with the columns of ``keep`` beside.

    A published day is ordered by its key, so its files are read as they lie; were they not, DuckDB would
    sort, which costs several times as much.

    Args:
        lake: where the table lies.
        snapshot: of ``training.samples``.
        first: first day, inclusive.
        last: last day, inclusive.
        catalogue: the features.
        keep: columns to hand back as an Arrow table.

    Raises:
        LakeError: a file is damaged or gone.
        TrainingError: as ``load_samples``.
    """
    stream = SampleStream(snapshot, first, last, catalogue, block_rows=sys.maxsize)
    if len(stream) and stream.is_ordered():
        return next(stream.in_order(keep))
    columns = [*(f.column for f in catalogue.features), *LABEL_COLUMNS, *keep]
    wanted = [name for name in dict.fromkeys(columns) if name in snapshot.schema.names]
    reader = lake.open(snapshot.table, first, last, wanted, snapshot=snapshot)
    return load_samples(reader, catalogue, len(stream), keep=keep)


Samples = SampleSet | SampleStream
"""Samples in memory, or read block by block."""


def blocks_of(samples: Samples, generator: torch.Generator, skip: int = 0) -> Iterator[SampleSet]:
    """What a pass of training shuffles within: the samples in memory, or the blocks of a stream.

    The first ``skip`` of them are left out.
    """
    if isinstance(samples, SampleStream):
        yield from samples.shuffled(generator, skip) if skip else samples.shuffled(generator)
    elif not skip:
        yield samples


def share_of(samples: Samples, rank: int, workers: int) -> Samples:
    """What one of several workers trains on; every sample is in exactly one share.

    Of a stream about equally many rows in whole row groups, of samples in memory every so many-th.
    """
    if isinstance(samples, SampleStream):
        return replace(samples, rank=rank, workers=workers)
    return samples.select(torch.arange(rank, len(samples), workers))


def in_order(samples: Samples, keep: Sequence[str] = ()) -> Iterator[SampleSet]:
    """The samples in memory, whatever they keep, or the blocks of a stream in order."""
    if isinstance(samples, SampleStream):
        yield from samples.in_order(keep)
    else:
        yield samples


def count(samples: Samples, names: Sequence[str], of: Callable[[SampleSet], int]) -> int:
    """How many samples ``of`` counts by the labels of these names."""
    parts = samples.labels(names) if isinstance(samples, SampleStream) else [samples]
    return sum(of(part) for part in parts)
