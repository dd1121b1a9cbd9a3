"""The lake: every table is a Delta table under ``<home>/lake/<group>/<table>``, partitioned by ``dt``.

A day is first staged, audited where the table is gated, and then published: one commit replaces that day's
rows and nothing else, so readers see the old day or the new one, never half of one.
"""

import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lt4rec_core.data.dictionary import told
from lt4rec_core.data.disk import MAKE_ROOM, is_full
from lt4rec_core.data.lock import locked
from lt4rec_core.data.opened import is_table
from lt4rec_core.data.places import Place, RemotePath, lock_file, put_text, put_text_once, require_shareable
from lt4rec_core.data.replacing import has_file, moved_in, replace_day
from lt4rec_core.data.snapshot import Snapshot, arrow_schema, difference, plain
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.data.staging import Staged, is_abandoned, staged_name, write_parquet
from lt4rec_core.data.tables import EMPTY_DAYS, KEY, OPEN, Tables
from lt4rec_core.errors import LakeConflictError, LakeError

__all__ = ["Lake", "Published", "Snapshot", "Staged", "connect"]

KEEP_LOG = ("delta.enableExpiredLogCleanup", "false")
"""A log entry that is gone makes its version unreadable, also where the files are kept."""
UNUSABLE = "[]|^\\"
"""Characters that delta-rs takes for no part of a path; it would panic at the first write."""

ATTEMPTS = 10
"""Times a commit is tried before giving up on a conflict."""


@dataclass(frozen=True)
class Published:
    """One day of one table, as every reader now sees it."""

    table: str
    day: date
    version: int
    n_rows: int
    digest: str = ""
    """Of its rows: the same rows published again have the same."""


def connect(home: str | Place | None = None, **when: Any) -> duckdb.DuckDBPyConnection:
    """Open the lake for reading, as analysts do: ``lake.connect().sql("from samples.clicks").df()``.

    One view ``group.name`` per table, and those of ``sql/views``: a snapshot, whatever is committed later.

    Args:
        home: whose lake; None: that of LT4REC_HOME, or ``.lt4rec``.
        when: ``as_of`` a time, or ``versions`` of tables; see ``analyst.connect``.

    Raises:
        LakeError, QueryError: as ``analyst.connect``.
    """
    from lt4rec_core.data import analyst  # it stands below, and this is only its short name

    return analyst.connect(home or os.environ.get("LT4REC_HOME") or ".lt4rec", **when)


class Lake(Tables):
    """The tables of one home, as their assets write them; to read them, see ``Tables``."""

    def create(self, tables: Iterable[SqlFile]) -> None:
        """Create every table that is not there yet, and store the analysts' views. Idempotent.

        All tables are created before anything is written, by one process at a time: racing creations would
        both be committed, the second as a change of the table under its first writers.

        Raises:
            LakeError: the home cannot be written, or a table is there with other columns.
        """
        forbidden = sorted({c for c in str(self.home) if c in UNUSABLE or not c.isprintable()})
        if forbidden:
            raise LakeError(
                f"the home {str(self.home)!r} has {' '.join(map(repr, forbidden))} in its path, "
                "which Delta tables cannot have. Point LT4REC_HOME at another folder."
            )
        require_shareable(self.home)
        with self._writing(self.root):
            self.staging.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(exist_ok=True)
            with locked(lock_file(self.root)):
                for table in tables:
                    if table.is_view:
                        put_text(self.views / f"{table.table}.sql", table.compiled_sql or "")
                    else:
                        self._create_one(table)

    def _create_one(self, table: SqlFile) -> None:
        schema, path = arrow_schema(table.columns), self._path(table.table)
        if not is_table(path):
            try:
                _create(path, table, schema)
            except DeltaError as error:
                raise LakeError(f"cannot create {table.table} in {path}: {error}") from error
        there = self.snapshot(table.table).schema
        if not there.equals(schema):
            raise LakeError(
                f"table {table.table} in {self.home} has other columns than {table.path} declares: "
                f"{difference(there, schema)}. A home holds one data set under one catalogue: "
                "point LT4REC_HOME at a new folder, or put the old declaration back."
            )

    def stage(
        self, table: str, day: date, reader: pa.RecordBatchReader, inputs: Mapping[str, int] | None = None
    ) -> Staged:
        """Write one day of a table to a Parquet file beside the lake, in the order given.

        Raises:
            LakeError: the columns are not the table's, a row is of another day, or the disk refuses.
        """
        schema = self.snapshot(table).schema
        if reader.schema.names != schema.names or not plain(reader.schema).equals(schema):
            raise LakeError(
                f"rows for {table} do not have its columns: {difference(schema, plain(reader.schema))}. "
                "The table's header declares name, type and order."
            )
        path = self.staging / staged_name(table, day)
        with self._writing(path):
            self.staging.mkdir(parents=True, exist_ok=True)
            self.sweep()
            try:
                n_rows, digest = write_parquet(path, _only_day(reader, table, day), schema)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return Staged(table, day, path, n_rows, dict(inputs or {}), digest)

    def publish(self, staged: Staged, metadata: Mapping[str, Any] | None = None) -> Published:
        """Replace one day of a table by a staged one, in one commit, and remove the staged file.

        Publishing no rows removes the day's rows and remembers that the day was published; publishing the
        same rows again changes no row. If it fails the staged file is removed too.

        Args:
            staged: what ``stage`` returned.
            metadata: kept in the commit, beside the versions of the inputs.

        Raises:
            LakeConflictError: other writers were faster each time.
            LakeError: the staged file is gone, or the table refuses the commit.
        """
        noted = {
            "lt4rec.day": str(staged.day),
            "lt4rec.inputs": staged.inputs,
            "lt4rec.rows": staged.digest,
            "lt4rec.n_rows": staged.n_rows,
            **(metadata or {}),
        }
        try:
            with self._writing(self._path(staged.table)):
                version = self._replace(staged, {k: str(v) for k, v in noted.items()})
                if staged.n_rows == 0:
                    marks = self._path(staged.table) / EMPTY_DAYS
                    marks.mkdir(exist_ok=True)
                    (marks / str(staged.day)).touch()
        finally:
            self.discard(staged)
        return Published(staged.table, staged.day, version, staged.n_rows, staged.digest)

    def _replace(self, staged: Staged, metadata: dict[str, str]) -> int:
        schema, path = self.snapshot(staged.table).schema, self._path(staged.table)
        if not staged.path.exists():
            raise LakeError(
                f"{staged.path} is gone: {staged.table} of {staged.day} was published or discarded. "
                "Stage it again."
            )
        with contextlib.ExitStack() as moved:
            moving = moved_in(staged.path, path, staged.day, staged.digest)
            file = moved.enter_context(moving) if staged.n_rows else None

            tried: list[int] = []

            def write(delta: DeltaTable) -> int:
                # An answer that got lost on its way lets a commit that was made look like another's.
                if tried and file is not None and has_file(delta, file):
                    return delta.version()
                tried.append(delta.version())
                return replace_day(delta, schema, staged.day, file, staged.n_rows, metadata)

            return self._commit(staged.table, staged.day, write)

    def append(self, table: str, day: date, rows: pa.Table) -> int:
        """Add rows to one day of a table that only grows, and return the version; nothing is replaced.

        Other writers of the same day neither wait nor lose a row: appends do not conflict.

        Raises:
            LakeError: the columns are not the table's, a row is of another day, or the disk refuses.
        """
        schema = self.snapshot(table).schema
        if not plain(rows.schema).equals(schema):
            raise LakeError(
                f"rows for {table} do not have its columns: {difference(schema, plain(rows.schema))}. "
                "The table's header declares name, type and order."
            )
        batches = pa.RecordBatchReader.from_batches(schema, _only_day(rows.to_reader(), table, day))
        whole = batches.read_all()

        def write(delta: DeltaTable) -> int:
            write_deltalake(
                delta,
                whole,
                mode="append",
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=CommitProperties(custom_metadata={"lt4rec.day": str(day)}),
            )
            return delta.version()

        with self._writing(self._path(table)):
            return self._commit(table, day, write)

    def _commit(self, table: str, day: date, write: Callable[[DeltaTable], int]) -> int:
        """Write to the newest version of a table; again, with backoff, while others are faster.

        Returns:
            The version that was written.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                delta = self._delta(table)
                with OPEN.forgetting(self._path(table)):
                    return write(delta)
            except (DeltaError, pa.ArrowException) as error:
                if is_full(error):
                    raise LakeError(self._no_room(self._path(table))) from error
                if not isinstance(error, CommitFailedError):
                    raise LakeError(f"{table} of {day} cannot be published: {error}") from error
                if attempt == ATTEMPTS:
                    raise LakeConflictError(
                        f"{table} of {day} lost {ATTEMPTS} commits to other writers: {error}. "
                        "Is another backfill writing the same day?"
                    ) from error
                time.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 5))
        raise AssertionError

    def discard(self, staged: Staged) -> None:
        """Remove a staged file that will not be published."""
        staged.path.unlink(missing_ok=True)

    def sweep(self) -> list[Path]:
        """Remove what dead processes left in the staging folder; a living process's files stay."""
        gone = []
        if self.staging.is_dir():
            for path in sorted(self.staging.iterdir()):
                if is_abandoned(path):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                    gone.append(path)
        return gone

    @contextlib.contextmanager
    def _writing(self, path: Place) -> Iterator[None]:
        """Say which path the disk refused, and why."""
        try:
            yield
        except OSError as error:
            where = error.filename or path
            if is_full(error):
                raise LakeError(self._no_room(where)) from error
            raise LakeError(
                f"cannot write {where}: {error.strerror or error}. "
                f"LT4REC_HOME is {self.home}: may this user write there, and is there room?"
            ) from error

    def _no_room(self, path: Place | str) -> str:
        return f"the disk is full: {path} cannot be written. LT4REC_HOME is {self.home}. {MAKE_ROOM}"


def _create(path: Place, table: SqlFile, schema: pa.Schema) -> None:
    """Make the first version of a table."""
    if isinstance(path, RemotePath):  # the store says who was first; two creations would both be committed
        with tempfile.TemporaryDirectory() as folder:
            _create(Path(folder), table, schema)
            (first,) = (Path(folder) / "_delta_log").glob("*.json")
            put_text_once(path / "_delta_log" / first.name, first.read_text(encoding="utf-8"))
        return
    fields = zip(schema, table.columns, strict=True)  # Spark and Trino show the descriptions
    path.mkdir(parents=True, exist_ok=True)
    DeltaTable.create(
        str(path),
        pa.schema([f.with_metadata({"comment": told(c)}) for f, c in fields]),
        mode="ignore",
        partition_by=["dt"],
        name=table.table,
        description=table.description,
        configuration={KEY: ",".join(table.order), KEEP_LOG[0]: KEEP_LOG[1]},
        raise_if_key_not_exists=False,
    )


def _only_day(reader: pa.RecordBatchReader, table: str, day: date) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        other = [d for d in batch.column("dt").unique().to_pylist() if d != day]
        if other:
            raise LakeError(
                f"rows staged for {table} of {day} hold dt = {other[0]}. A partition holds one day."
            )
        yield batch
