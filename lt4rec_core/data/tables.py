"""The tables of a home, to be read: which there are, their newest versions, their days, and their rows.

Opening creates nothing. Whoever reads holds a snapshot, whose files never change.
"""

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lt4rec_core.data.duck import connect_scratch, first_line, quoted, stream
from lt4rec_core.data.opened import OpenTables, open_delta
from lt4rec_core.data.places import Place, RemotePath, folders, place, working_folder
from lt4rec_core.data.snapshot import Snapshot, plain
from lt4rec_core.data.staging import scratch_name
from lt4rec_core.errors import LakeError

KEY = "lt4rec.key"
EMPTY_DAYS = "_empty_days"
"""Folder in a table that names the days published without a row; Delta passes over such names."""

OPEN = OpenTables()


class Tables:
    """The tables of one home, read only. Cheap to make; opening them creates nothing."""

    def __init__(self, home: str | Place) -> None:
        self.home = place(home)
        self.root = self.home / "lake"
        self.staging = working_folder(self.home) / "staging"
        self.views = self.root / "views"

    def names(self) -> list[str]:
        """Every table there is, as ``group.name``."""
        if isinstance(
            self.root, RemotePath
        ):  # one request a group; a table's first object is its first commit
            return [f"{group.name}.{p.name}" for group in folders(self.root) for p in folders(group)]
        return sorted(f"{p.parent.parent.name}.{p.parent.name}" for p in self.root.glob("*/*/_delta_log"))

    def snapshot(self, table: str) -> Snapshot:
        """The newest version of a table.

        Raises:
            LakeError: there is no such table, or it is damaged.
        """
        path = self._path(table)

        def read(delta: DeltaTable) -> Snapshot:
            actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
            files = sorted((a["partition.dt"], _file(path, a), a["num_records"]) for a in actions)
            key = tuple(delta.metadata().configuration.get(KEY, "").split(","))
            schema = plain(pa.schema(delta.schema().to_arrow()))
            return Snapshot(table, delta.version(), schema, key, tuple(files))

        with self._opening(table):
            return OPEN.snapshot(path, read)

    def _delta(self, table: str) -> DeltaTable:
        with self._opening(table):
            return OPEN.newest(self._path(table))

    @contextlib.contextmanager
    def _opening(self, table: str) -> Iterator[None]:
        """Say which table is not there or cannot be read."""
        try:
            yield
        except TableNotFoundError as error:
            raise LakeError(
                f"there is no table {table} in {self.root}; there are: {', '.join(self.names()) or 'none'}. "
                "Is LT4REC_HOME the home you mean, and has it been prepared?"
            ) from error
        except (DeltaError, OSError) as error:
            raise LakeError(f"table {table} in {self.root} cannot be read: {error}") from error

    def delta(self, table: str, version: int | None = None) -> DeltaTable:
        """A table of one's own to read from or to change; None: its newest version.

        Raises:
            DeltaError, OSError: there is no such table or version, or it cannot be read.
        """
        return open_delta(self._path(table), version)

    def _path(self, table: str) -> Place:
        group, _, name = table.partition(".")
        return self.root / group / name

    def folder(self, table: str) -> Place:
        """The folder of the Delta table."""
        return self._path(table)

    def table_uri(self, table: str) -> str:
        """Where the Delta table lies."""
        return str(self._path(table))

    def version(self, table: str) -> int:
        """Its newest Delta version."""
        return self._delta(table).version()

    def days(self, table: str) -> list[date]:
        """The days that have rows, ascending."""
        return sorted({d for d, _, n in self.snapshot(table).files if n})

    def published(self, table: str) -> set[date]:
        """The days that were published, those that have no row included."""
        marked = (date.fromisoformat(p.name) for p in (self._path(table) / EMPTY_DAYS).glob("*"))
        return {*self.days(table), *marked}

    def files(self, table: str, first: date | None = None, last: date | None = None) -> list[str]:
        """The Parquet files of some days, newest; they never change, but a vacuum removes old ones."""
        return [str(p) for p in self.snapshot(table).between(first, last)]

    def open(
        self,
        table: str,
        first: date,
        last: date,
        columns: Iterable[str] | None = None,
        *,
        snapshot: Snapshot | None = None,
        threads: int = 2,
        memory_limit: str | None = None,
    ) -> pa.RecordBatchReader:
        """Stream some days of a table, day after day, each ordered by the table's key.

        Args:
            table: ``group.name``.
            first: first day, inclusive.
            last: last day, inclusive.
            columns: only these, in this order; None: all.
            snapshot: the version to read; None: the newest.
            threads: DuckDB's.
            memory_limit: DuckDB's, such as ``'2GB'``; beyond it a sort spills to the home.

        Raises:
            LakeError: no such table or column.
        """
        snapshot = snapshot or self.snapshot(table)
        names = list(columns) if columns is not None else snapshot.schema.names
        snapshot.require(names)  # refuse unknown columns now, not at the first batch
        schema = pa.schema([snapshot.schema.field(n) for n in names])
        days = sorted({d for d, _, _ in snapshot.files if first <= d <= last})

        def batches() -> Iterator[pa.RecordBatch]:
            for day in days:
                with self.scratch(threads, memory_limit) as con:
                    order = ", ".join(map(quoted, snapshot.key))
                    scan = snapshot.select(con, day, day)
                    sql = f"select {', '.join(map(quoted, names))} from ({scan}) order by {order}"
                    try:
                        for batch in stream(con, sql)[1]:
                            yield pa.RecordBatch.from_struct_array(batch.to_struct_array()).cast(schema)
                    except (duckdb.Error, pa.ArrowException) as error:
                        why = snapshot.damage(day, day)
                        raise LakeError(
                            why or f"cannot read {day} of {table} in {self.root}: {first_line(error)}."
                        ) from error

        return pa.RecordBatchReader.from_batches(schema, batches())

    @contextlib.contextmanager
    def scratch(
        self, threads: int = 2, memory_limit: str | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection of one's own, in memory; what does not fit spills below the staging folder."""
        spill = self.staging / scratch_name()
        con = connect_scratch(threads, memory_limit, spill)
        try:
            yield con
        finally:
            con.close()
            shutil.rmtree(spill, ignore_errors=True)


def _file(table: Place, action: Mapping[str, Any]) -> Place:
    """A file of a table's log."""
    file = table / action["path"]
    return replace(file, size=action["size_bytes"]) if isinstance(file, RemotePath) else file
