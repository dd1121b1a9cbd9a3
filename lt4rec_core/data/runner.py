"""Runs one SQL file for one day: the statement sees what its header declares, and yields what it declares.

Each run has a DuckDB connection of its own, in memory, holding one view per declared input, restricted to the
declared days and columns. A statement cannot leak what it cannot see.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lt4rec_core.data.csvfile import unreadable_csv
from lt4rec_core.data.disk import MAKE_ROOM, is_full
from lt4rec_core.data.duck import first_line, quoted, stream
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.raw import FileStates, open_raw, require_unchanged
from lt4rec_core.data.snapshot import arrow_schema
from lt4rec_core.data.sources import OPTIONAL_TABLES, Source
from lt4rec_core.data.sqlfile import Input, SqlFile
from lt4rec_core.data.staging import Staged
from lt4rec_core.errors import LakeError, SourceError, SqlFileError

LOG = "source.impression_log"
"""The one statement that reads rows of all days; the runner keeps the partition's own."""


def run_sql(
    lake: Lake,
    source: Source,
    sqlfile: SqlFile,
    day: date,
    params: Mapping[str, Any],
    source_path: str | Path | None = None,
    *,
    threads: int = 2,
    memory_limit: str | None = None,
) -> Staged:
    """Run a statement for one day and stage its rows.

    Args:
        lake: where inputs are read and the result is staged; the table must have been created.
        source: whose raw inputs and time zone are meant.
        sqlfile: what to run.
        day: the partition.
        params: values of the parameters; undeclared ones are ignored, ``dt`` is always ``day``.
        source_path: the source's files, for ``raw.*`` inputs.
        threads: DuckDB's; the rows are the same whatever it is.
        memory_limit: DuckDB's, such as ``'2GB'``; beyond it the run spills to the home.

    Returns:
        The staged day, with the Delta versions of the inputs it read.

    Raises:
        SourceError: missing, unreadable or undeclared raw input; a row without a day; a day without rows; a
            file that changed while it was read.
        SqlFileError: the statement fails, or yields other columns or days than the header declares.
        LakeError: an input table is missing, or the result cannot be staged.
    """
    if sqlfile.compiled_sql is None:
        raise SqlFileError(f"{sqlfile.path} declares {sqlfile.table} but has no statement to run.")
    bound = _bound(sqlfile, {**params, "dt": day})
    with lake.scratch(threads, memory_limit) as con:
        versions, files = {}, FileStates()
        for given in sqlfile.inputs:
            if given.is_raw:
                files |= open_raw(con, source, given, day, source_path)
            else:
                version = open_table(con, lake, sqlfile, given, day)
                if version is not None:
                    versions[given.table] = version
        rows = _Rows(con, lake, sqlfile, day, bound)
        reader = pa.RecordBatchReader.from_batches(arrow_schema(sqlfile.columns), rows.batches())
        try:
            staged = lake.stage(sqlfile.table, day, reader, versions)
        except SourceError:
            require_unchanged(files)  # a file that is replaced looks damaged to who is reading it
            raise
        try:
            require_unchanged(files)
        except SourceError:
            lake.discard(staged)
            raise
        if sqlfile.table == LOG and staged.n_rows == 0:
            lake.discard(staged)
            raise rows.empty_day(source)
    return staged


def input_versions(lake: Lake, sqlfile: SqlFile) -> dict[str, int]:
    """The newest Delta version of each table that a statement reads; ``Staged.inputs``: what one did read."""
    there = set(lake.names())
    return {
        i.table: lake.version(i.table)
        for i in sqlfile.inputs
        if not i.is_raw and (i.table in there or not i.optional)
    }


def _bound(sqlfile: SqlFile, params: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in sqlfile.params if name not in params]
    if missing:
        raise SqlFileError(
            f"{sqlfile.path} declares {', '.join(f'${n}' for n in missing)}, which nothing sets. "
            f"Set are: {', '.join(f'${n}' for n in params)}."
        )
    return {name: params[name] for name in sqlfile.params}


def open_table(
    con: duckdb.DuckDBPyConnection, lake: Lake, sqlfile: SqlFile, given: Input, day: date
) -> int | None:
    """Create the view of one input; its version, or None where the source lacks an optional table.

    Raises:
        LakeError: the table is not there, or a file of it is damaged.
        SqlFileError: the input names columns that the table does not have.
    """
    group, name = given.table.split(".")
    con.execute(f"create schema if not exists {quoted(group)}")
    view = f"create view {quoted(group)}.{quoted(name)} as "
    if given.optional and given.table not in lake.names():
        types = {c.name: c.type for c in OPTIONAL_TABLES[given.table]}
        wanted = _with_dt(given.columns, list(types))
        con.execute(view + "select " + ", ".join(f"null::{types[c]} as {c}" for c in wanted) + " where false")
        return None
    snapshot = lake.snapshot(given.table)
    first, last = _window(given, day)
    try:
        con.execute(view + snapshot.select(con, first, last, _with_dt(given.columns, snapshot.schema.names)))
    except LakeError as error:
        raise SqlFileError(f"{sqlfile.path}: {error}") from error
    except duckdb.Error as error:
        why = snapshot.damage(first, last)
        raise LakeError(why or f"cannot read {given.table} in {lake.root}: {first_line(error)}.") from error
    return snapshot.version


def _window(given: Input, day: date) -> tuple[date | None, date | None]:
    first, last = (None if o is None else day + timedelta(days=o) for o in (given.first, given.last))
    return first, last


def _with_dt(columns: tuple[str, ...] | None, every: list[str]) -> list[str]:
    return every if columns is None else ["dt", *(c for c in columns if c != "dt")]


class _Rows:
    """The rows that a statement yields, checked on their way."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        sqlfile: SqlFile,
        day: date,
        params: dict[str, Any],
    ) -> None:
        self.con, self.lake, self.sqlfile, self.day, self.params = con, lake, sqlfile, day, params
        self.reads_raw = any(i.is_raw for i in sqlfile.inputs)
        self.is_log = sqlfile.table == LOG

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the day's rows in the lake's types.

        Raises:
            SourceError, SqlFileError: as ``run_sql``.
        """
        statement = (self.sqlfile.compiled_sql or "").rstrip().rstrip(";")
        if self.is_log:
            # A source's statement reads all its days. Rows without a day come last, and are an error.
            statement = f"select * from (\n{statement}\n) where dt = $lt4rec_day or dt is null"
            self.params = {**self.params, "lt4rec_day": self.day}
        schema = arrow_schema(self.sqlfile.columns)
        try:
            columns, batches = stream(self.con, statement, self.params)
            self._check_columns(columns)
            for batch in batches:
                self._check_days(batch)
                yield pa.RecordBatch.from_struct_array(batch.to_struct_array()).cast(schema)
        except (duckdb.Error, pa.ArrowException) as error:
            raise self._explained(error) from error

    def _check_columns(self, yielded: list[tuple[str, str]]) -> None:
        declared = [(c.name, c.type) for c in self.sqlfile.columns]
        if yielded == declared:
            return
        parts = [
            f"column {i} is {y[0]} {y[1]}, the header says {d[0]} {d[1]}"
            for i, (y, d) in enumerate(zip(yielded, declared, strict=False), start=1)
            if y != d
        ]
        if len(yielded) != len(declared):
            parts.append(f"it yields {len(yielded)} columns, the header declares {len(declared)}")
        raise SqlFileError(
            f"{self.sqlfile.path} does not yield the columns of its header: " + "; ".join(parts[:5]) + "."
        )

    def _check_days(self, batch: pa.RecordBatch) -> None:
        days = batch.column("dt").unique().to_pylist()
        if days == [self.day] or not days:
            return
        if self.is_log and None in days:
            raise self._row_without_day()
        other = next(d for d in days if d != self.day)
        raise SqlFileError(
            f"{self.sqlfile.path} yields a row of dt = {other} for the day {self.day}. "
            "A statement yields its own day only: select $dt as dt, or a dt of an input [0]."
        )

    def _row_without_day(self) -> SourceError:
        inner = (self.sqlfile.compiled_sql or "").rstrip().rstrip(";")
        own = {k: v for k, v in self.params.items() if k != "lt4rec_day"}
        found = self.con.execute(f"select count(*) from (\n{inner}\n) where dt is null", own).fetchall()
        sample = self.con.execute(f"select * from (\n{inner}\n) where dt is null limit 1", own)
        names = [d[0] for d in sample.description or []]
        row = {n: str(v) for n, v in zip(names, sample.fetchall()[0], strict=True) if v is not None}
        return SourceError(
            f"{found[0][0]} row(s) of {LOG} have a day that cannot be read, so they belong to no partition; "
            f"one of them: {row}. Correct the files, or how {self.sqlfile.path} reads dt."
        )

    def empty_day(self, source: Source) -> SourceError:
        """Say which days the source does have."""
        inner = (self.sqlfile.compiled_sql or "").rstrip().rstrip(";")
        own = {k: v for k, v in self.params.items() if k != "lt4rec_day"}
        days: Counter[date] = Counter()
        for day, n in self.con.execute(f"select dt, count(*) from (\n{inner}\n) group by dt", own).fetchall():
            days[day] = n
        has = f"it has {len(days)} day(s), {min(days)} to {max(days)}" if days else "it has no row at all"
        return SourceError(
            f"source {source.name!r} has no impression on {self.day}: {has}. "
            "Check LT4REC_START and LT4REC_END, and whether all files are there."
        )

    def _explained(self, error: Exception) -> Exception:
        """Whose fault it is: what does not bind is the SQL file's, a failing value may be the source's."""
        if is_full(error):
            return LakeError(f"the disk is full: {self.sqlfile.table} of {self.day} spilled. {MAKE_ROOM}")
        if unreadable := unreadable_csv(error):
            return unreadable
        if damaged := self._damaged_input():
            return LakeError(damaged)
        text = f"{self.sqlfile.path} failed on {self.day}: {first_line(error)}."
        binding = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
        if self.reads_raw and not isinstance(error, binding):
            return SourceError(f"{text} Are the source's files complete and in the published layout?")
        return SqlFileError(
            f"{text} It sees {', '.join(i.table for i in self.sqlfile.inputs)} and nothing else."
        )

    def _damaged_input(self) -> str | None:
        there = set(self.lake.names())
        tables = (i for i in self.sqlfile.inputs if not i.is_raw and i.table in there)
        found = (self.lake.snapshot(i.table).damage(*_window(i, self.day)) for i in tables)
        return next((why for why in found if why), None)
