"""What a source delivers, typed by its own SQL and kept aside for a look, before any of it is in a lake.

Rows go to a temporary folder, in Parquet, and from there through DuckDB with a bounded memory: a log of many
million rows is looked at as a small one is, and nothing of it stays.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from lt4rec_core.data.csvfile import unreadable_csv
from lt4rec_core.data.duck import connect_scratch, first_line, path_literal, quoted
from lt4rec_core.data.raw import FileStates, open_file, open_raw, require_unchanged
from lt4rec_core.data.sources import OPTIONAL_TABLES, Source
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.errors import SourceError, SqlFileError

FEW = 10_000
"""Different values that are counted one by one."""

_ORDER = re.compile(r"\border\s+by\b[^()';]*;?\s*$", re.IGNORECASE)


@dataclass
class Delivery:
    """A DuckDB connection over a source's files, and a folder that goes when it closes."""

    con: duckdb.DuckDBPyConnection
    folder: Path
    source: Source
    source_path: str | Path | None
    params: Mapping[str, Any]
    files: FileStates = field(default_factory=dict)
    """Every file that was read, as it was before."""

    files_of: dict[str, list[Path]] = field(default_factory=dict)
    """Raw input -> its files."""

    def yielded(self, sqlfile: SqlFile, day: date) -> list[tuple[str, str]]:
        """The columns that a statement yields, as (name, type in lower case), without reading a row.

        Raises:
            SourceError: a raw input cannot be opened.
            SqlFileError: the statement does not bind to it.
        """
        self._open(sqlfile, day)
        with self._explaining(sqlfile):
            rows = self.con.execute(f"describe {statement(sqlfile)}", self._bound(sqlfile, day)).fetchall()
        return [(row[0], row[1].lower()) for row in rows]

    def keep_log(self, sqlfile: SqlFile, days: Sequence[date], only: date | None, limit: int | None) -> None:
        """Make the view ``delivered.log``: the rows of the log, ordered by day.

        Args:
            sqlfile: the source's ``impression_log.sql``.
            days: days to run it for; of a source that reads files, one is enough, as it yields all days.
            only: keep the rows of this day alone, and those that name none.
            limit: read no more than so many rows of each run.

        Raises:
            SourceError: a raw input cannot be opened, or not be read to its end.
            SqlFileError: the statement fails.
        """
        columns = ", ".join(quoted(c.name) for c in sqlfile.columns)
        kept = [path_literal(self.folder / f"log-{number:04}.parquet") for number in range(len(days))]
        for day, target in zip(days, kept, strict=True):
            self._open(sqlfile, day)
            wanted = f"select * from (\n{statement(sqlfile)}\n)"
            if only is not None:
                wanted += f" where dt is null or dt = date '{only}'"
            if limit is not None:
                wanted += f" limit {int(limit)}"
            copy = f"copy (select {columns} from ({wanted}) order by dt) to {target} (format parquet)"
            with self._explaining(sqlfile):
                self.con.execute(copy, self._bound(sqlfile, day))
        self.con.execute("create schema if not exists delivered")
        there = f"read_parquet([{', '.join(kept)}])"
        self.con.execute(f"create or replace view delivered.log as select * from {there}")

    def show_day(self, day: date) -> None:
        """Make the view ``source.impression_log``: of the kept rows, those of one day."""
        self.con.execute("create schema if not exists source")
        self.con.execute(
            "create or replace view source.impression_log as "
            f"select * from delivered.log where dt = date '{day}'"
        )

    def keep_table(self, sqlfile: SqlFile, day: date) -> None:
        """Make the table that a statement yields for a day, with the columns its header declares.

        Raises:
            SourceError, SqlFileError: as ``keep_log``.
        """
        self._open(sqlfile, day)
        columns = ", ".join(quoted(c.name) for c in sqlfile.columns)
        with self._explaining(sqlfile):
            self.make(sqlfile.table, f"select {columns} from (\n{statement(sqlfile)}\n)", sqlfile, day)

    def keep_empty(self, sqlfile: SqlFile) -> None:
        """Make a table with the columns that a header declares, and no row."""
        columns = ", ".join(f"null::{c.type} as {quoted(c.name)}" for c in sqlfile.columns)
        self.make(sqlfile.table, f"select {columns} where false", None, date.min)

    def make(self, table: str, select: str, sqlfile: SqlFile | None, day: date) -> None:
        """Make a temporary table of a SELECT, with the parameters that its SQL file declares."""
        group, name = table.split(".")
        self.con.execute(f"create schema if not exists {quoted(group)}")
        bound = self._bound(sqlfile, day) if sqlfile else {}
        self.con.execute(f"create or replace table {quoted(group)}.{quoted(name)} as {select}", bound)

    def rows(self, sqlfile: SqlFile, day: date, around: str | None = None) -> list[dict[str, Any]]:
        """The rows that a statement yields for a day over what was kept, or of a SELECT around it, ``{}``."""
        text = sqlfile.compiled_sql or ""
        text = text if around is None else around.format(f"\n{statement(sqlfile)}\n")
        result = self.con.execute(text, self._bound(sqlfile, day))
        names = [d[0] for d in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def columns_of(self, name: str) -> list[str]:
        """The columns that the files of a raw input have, each once.

        Raises:
            SourceError: a file cannot be read.
        """
        format_ = self.source.raw[name].format
        every = [c for path in self.files_of[name] for c in open_file(self.con, path, format_)[1]]
        return list(dict.fromkeys(every))

    def require_unchanged(self) -> None:
        """See that no file changed while it was read.

        Raises:
            SourceChangedError: one did.
        """
        require_unchanged(self.files)

    def _open(self, sqlfile: SqlFile, day: date) -> None:
        self.con.execute("drop schema if exists raw cascade")
        for given in sqlfile.inputs:
            if given.is_raw:
                states = open_raw(self.con, self.source, given, day, self.source_path)
                self.files |= {path: state for path, state in states.items() if path not in self.files}
                self.files_of[given.table.removeprefix("raw.")] = list(states)
            elif given.table not in OPTIONAL_TABLES:
                raise SqlFileError(
                    f"{sqlfile.path} reads {given.table}, but a source reads raw.* inputs alone. "
                    "What it delivers must not depend on what was made from it."
                )

    def _bound(self, sqlfile: SqlFile, day: date) -> dict[str, Any]:
        values = {**self.params, "dt": day}
        if missing := [name for name in sqlfile.params if name not in values]:
            raise SqlFileError(
                f"{sqlfile.path} declares {', '.join(f'${n}' for n in missing)}, which nothing sets. "
                f"Set are: {', '.join(f'${n}' for n in values)}."
            )
        return {name: values[name] for name in sqlfile.params}

    @contextmanager
    def _explaining(self, sqlfile: SqlFile) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            if unreadable := unreadable_csv(error):
                raise unreadable from error
            if isinstance(error, duckdb.BinderException | duckdb.CatalogException):
                raise SqlFileError(
                    f"{sqlfile.path} does not fit what it reads: {first_line(error)}. "
                    f"It sees {', '.join(i.table for i in sqlfile.inputs) or 'no input'}."
                ) from error
            if isinstance(error, duckdb.OutOfMemoryException):
                raise SourceError(
                    f"{sqlfile.path} needs more memory than it may use here: {first_line(error)}. "
                    "Look at a part of it: --day, --rows."
                ) from error
            raise SourceError(
                f"{sqlfile.path} failed: {first_line(error)}. "
                "Use try_cast for what may not be readable, and see whether the files are complete."
            ) from error


@contextmanager
def open_delivery(
    source: Source,
    source_path: str | Path | None,
    params: Mapping[str, Any],
    *,
    threads: int = 2,
    memory_limit: str = "512MB",
) -> Iterator[Delivery]:
    """Open what a source delivers; whatever was kept of it is gone afterwards.

    Args:
        source: whose.
        source_path: where its files lie.
        params: values of the parameters of SQL files.
        threads: DuckDB's.
        memory_limit: DuckDB's; what does not fit spills to the temporary folder (``TMPDIR``).
    """
    with tempfile.TemporaryDirectory(prefix="lt4rec-check-") as folder:
        con = connect_scratch(threads, memory_limit, Path(folder) / "spill")
        try:
            yield Delivery(con, Path(folder), source, source_path, params)
        finally:
            con.close()


def count_distinct(con: duckdb.DuckDBPyConnection, rows: str, columns: Sequence[str]) -> list[int]:
    """How many different values each column of a SELECT has: few are counted, many are estimated."""

    def ask(function: str, names: Sequence[str]) -> dict[str, int]:
        counts = ", ".join(f"{function}{quoted(name)})" for name in names)
        found = con.execute(f"select {counts} from ({rows})").fetchall()[0]
        return dict(zip(names, found, strict=True))

    found = ask("approx_count_distinct(", columns)
    if few := [name for name, n in found.items() if n < FEW]:
        found |= ask("count(distinct ", few)
    return [found[name] for name in columns]


def statement(sqlfile: SqlFile) -> str:
    """A statement as DuckDB runs it, without its last ORDER BY: here nobody asks for an order."""
    return _ORDER.sub("", sqlfile.compiled_sql or "").rstrip().rstrip(";")
