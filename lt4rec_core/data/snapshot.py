"""One version of one table: its columns in Arrow's and DuckDB's types, and the files that hold its rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lt4rec_core.data import objects
from lt4rec_core.data.duck import first_line, path_literal, printable, quoted
from lt4rec_core.data.places import Place, RemotePath, open_parquet
from lt4rec_core.data.sqlfile import Column
from lt4rec_core.data.staging import ROWS_PER_GROUP, content_of
from lt4rec_core.errors import LakeError

if TYPE_CHECKING:
    import pyarrow.dataset as ds  # brings pandas along, wherever that is installed

ARROW_TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Snapshot:
    """One version of one table. Its files never change, whatever is published after it."""

    table: str
    version: int
    schema: pa.Schema
    key: tuple[str, ...]
    files: tuple[tuple[date, Place, int], ...]
    """(day, Parquet file, number of rows), by day."""

    def between(self, first: date | None, last: date | None) -> list[Place]:
        """The files of the days from ``first`` to ``last``, both inclusive; None: no bound."""
        return [p for d, p, _ in self.files if (first is None or d >= first) and (last is None or d <= last)]

    def contents(self, day: date) -> list[str]:
        """What the files of a day hold, by their names alone: equal where the rows are equal."""
        return sorted(content_of(p.name) for d, p, _ in self.files if d == day)

    def select(
        self,
        con: duckdb.DuckDBPyConnection,
        first: date | None,
        last: date | None,
        columns: Iterable[str] | None = None,
    ) -> str:
        """SQL text that scans those days on a connection; with no rows there, its result is still typed.

        Files of a folder are DuckDB's own to read. Those of a bucket come to it through Arrow, as a dataset
        that this registers: DuckDB would need an extension. Columns and conditions reach the files both ways.

        Raises:
            LakeError: the table has no such column.
        """
        names = list(columns) if columns is not None else self.schema.names
        self.require(names)
        files = self.between(first, last)
        if not files:
            types = {f.name: duckdb_type(f.type) for f in self.schema}
            return "select " + ", ".join(f"null::{types[n]} as {quoted(n)}" for n in names) + " where false"
        if isinstance(files[0], RemotePath):
            scan = quoted(f"{self.table} {self.version} {first} {last}")
            con.register(scan[1:-1], self._dataset(first, last))
        else:
            paths = ", ".join(path_literal(str(p)) for p in files)
            # dt is the name of the folder they lie in; files that were appended do not have it.
            scan = f"read_parquet([{paths}], hive_partitioning = true, hive_types = {{'dt': date}})"
        return f"select {', '.join(map(quoted, names))} from {scan}"

    def _dataset(self, first: date | None, last: date | None) -> "ds.Dataset":
        """The files of some days, their column ``dt`` as the log has it."""
        import pyarrow.dataset as ds

        kind, fs = ds.ParquetFileFormat(), objects.file_system()
        fragments: list[ds.ParquetFileFragment] = []
        for day, path, n_rows in self.files:
            is_asked = (first is None or day >= first) and (last is None or day <= last)
            if is_asked and isinstance(path, RemotePath):
                of_day = ds.field("dt") == pa.scalar(day, pa.date32())
                fragment = kind.make_fragment(path.arrow, fs, of_day, file_size=path.size)
                fragments += _by_row_group(fragment) if n_rows > ROWS_PER_GROUP else [fragment]
        return ds.FileSystemDataset(fragments, self.schema, kind, fs)

    def require(self, names: Iterable[str]) -> None:
        """Refuse columns that the table does not have.

        Raises:
            LakeError: which those are.
        """
        unknown = [n for n in names if n not in self.schema.names]
        if unknown:
            raise LakeError(
                f"{self.table} has no column {', '.join(unknown)}; it has {', '.join(self.schema.names)}."
            )

    def damage(self, first: date | None = None, last: date | None = None) -> str | None:
        """Which of the files of some days cannot be read, why, and what to do; None where all can.

        Reads them through, so it is for explaining an error that has happened.
        """
        for day, path, n_rows in self.files:
            is_asked = (first is None or day >= first) and (last is None or day <= last)
            if is_asked and (reason := _unreadable(path, n_rows)):
                return (
                    f"{path} is damaged: {reason}. It holds {day} of {self.table}: materialise that day "
                    "again, which replaces the file."
                )
        return None


def _by_row_group(fragment: "ds.ParquetFileFragment") -> "list[ds.ParquetFileFragment]":
    """A fragment for each row group: what Arrow has read of a fragment it keeps until the fragment's end."""
    try:
        return list(fragment.split_by_row_group())
    except (OSError, pa.ArrowException):  # whoever scans it is told what is wrong
        return [fragment]


def _unreadable(path: Place, n_rows: int) -> str | None:
    try:
        with open_parquet(path) as file:
            n_there = sum(batch.num_rows for batch in file.iter_batches())
    except (OSError, pa.ArrowException, ValueError) as error:
        return printable(first_line(error))
    return None if n_there == n_rows else f"it has {n_there} rows, not {n_rows}"


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of declared columns, every one nullable."""
    return pa.schema([(c.name, arrow_type(c.type)) for c in columns])


def arrow_type(name: str) -> pa.DataType:
    """``integer[]`` is a list of int32, and so on."""
    if name.endswith("[]"):
        return pa.list_(pa.field("element", ARROW_TYPES[name.removesuffix("[]")]))
    return ARROW_TYPES[name]


def duckdb_type(type_: pa.DataType) -> str:
    """The inverse of ``arrow_type``."""
    if pa.types.is_list(type_):
        return duckdb_type(type_.value_type) + "[]"
    return next(name for name, known in ARROW_TYPES.items() if known.equals(type_))


def plain(schema: pa.Schema) -> pa.Schema:
    """A schema in the lake's spelling: plain strings, lists of 'element', nothing required, no metadata."""

    def plain_type(type_: pa.DataType) -> pa.DataType:
        if pa.types.is_list(type_) or pa.types.is_large_list(type_):
            return pa.list_(pa.field("element", plain_type(type_.value_type)))
        return pa.string() if pa.types.is_large_string(type_) or pa.types.is_string_view(type_) else type_

    return pa.schema([(f.name, plain_type(f.type)) for f in schema])


def difference(there: pa.Schema, wanted: pa.Schema) -> str:
    """How two schemas differ, in words."""
    old, new = ({f.name: str(f.type) for f in s} for s in (there, wanted))
    parts = [f"{n} is missing" for n in old if n not in new] + [f"{n} is new" for n in new if n not in old]
    parts += [f"{n} is {new[n]}, was {old[n]}" for n in old if n in new and old[n] != new[n]]
    return "; ".join(parts) or f"the order is {', '.join(new)}, was {', '.join(old)}"
