"""SQL over the lake for people: a snapshot of every table that cannot write, read files or block a writer.

Tables come in as Arrow datasets, so the connection itself needs no file access and has none: with the lake's
folder allowed instead, ``COPY ... TO`` could overwrite a lake file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow.fs import SubTreeFileSystem

from lt4rec_core.data import objects
from lt4rec_core.data.duck import first_line, literal, quoted
from lt4rec_core.data.hints import explained, named
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place, RemotePath, listed
from lt4rec_core.errors import LakeError, QueryError

if TYPE_CHECKING:
    import pyarrow.dataset as ds  # brings pandas along, wherever that is installed

LOCKED = (
    "set enable_progress_bar = false",
    "set timezone = 'UTC'",
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
"""What makes the connection harmless; the last line keeps it so."""

# A SELECT can call these, and they change the session: logging to a file breaks it for good.
_SESSION_FUNCTIONS = re.compile(
    r"\b(enable|disable|truncate|set|write)_(logging|log|profiling|profile)\w*", re.IGNORECASE
)


def connect(
    home: str | Place,
    *,
    as_of: datetime | None = None,
    versions: Mapping[str, int] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open a snapshot of the lake: one view ``group.table`` per table, typed and empty before its first day.

    Later commits do not change what the connection sees, until ``refresh``.

    Args:
        home: whose lake.
        as_of: see every table as it was then; aware of its time zone, or UTC. None: as it is now.
        versions: table -> Delta version to see it at, before ``as_of``; ``commits`` lists them.

    Raises:
        LakeError: there is no lake in this home, or one of its tables cannot be read.
        QueryError: a table or a version that is not there.
    """
    con = duckdb.connect()
    for statement in LOCKED:
        con.execute(statement)
    try:
        refresh(con, home, as_of=as_of, versions=versions)
    except BaseException:
        con.close()
        raise
    return con


def refresh(
    con: duckdb.DuckDBPyConnection,
    home: str | Place,
    *,
    as_of: datetime | None = None,
    versions: Mapping[str, int] | None = None,
) -> None:
    """Let a connection of ``connect`` see the newest version of every table, or an older one.

    Raises:
        LakeError, QueryError: as ``connect``.
    """
    wanted = dict(versions or {})
    lake = Lake(home)
    names = lake.names()
    if not names:
        what = "holds no tables yet" if lake.home.exists() else "does not exist"
        raise LakeError(
            f"the home {lake.home} {what}. "
            "Set LT4REC_HOME to the home you mean, or fill it first: lt4rec backfill."
        )
    if unknown := sorted(set(wanted) - set(names)):
        raise QueryError(named(unknown[0], names))
    for name in names:
        try:
            dataset = _dataset(lake, name, _at(lake, name, wanted.get(name), as_of))
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise LakeError(f"table {name} in {lake.root} cannot be read: {error}") from error
        con.register(f"lake {name}", dataset)
        _create_view(con, name, f"select * from {quoted(f'lake {name}')}")
    for path in listed(lake.views, "*.sql"):
        _create_analysts_view(con, path.stem, path.read_text(encoding="utf-8"))


def _dataset(lake: Lake, name: str, delta: DeltaTable) -> "ds.Dataset":
    """A table's files; those of a bucket by Arrow's own file system, whose threads end with the process."""
    folder = lake.folder(name)
    if isinstance(folder, RemotePath):
        return delta.to_pyarrow_dataset(filesystem=SubTreeFileSystem(folder.arrow, objects.file_system()))
    return delta.to_pyarrow_dataset()


def _at(lake: Lake, name: str, version: int | None, as_of: datetime | None) -> DeltaTable:
    """A table at a version, or at the newest that there was at a time: before the first, it is empty."""
    newest = lake.delta(name)
    if version is None and as_of is not None:
        version = max((c.version for c in commits(lake, name) if c.at <= _utc(as_of)), default=0)
    if version is None:
        return newest
    if not 0 <= version <= newest.version():
        raise QueryError(
            f"{name} has no version {version}; it has 0 to {newest.version()}. 'lt4rec versions' lists them."
        )
    return lake.delta(name, version)


@dataclass(frozen=True)
class Commit:
    """One version of a table, and how it came about."""

    version: int
    at: datetime
    """UTC."""

    day: str | None
    """The day it replaced or added to; None where it changed no day."""

    n_rows: int | None
    """Rows it wrote."""


def commits(lake: Lake, table: str) -> list[Commit]:
    """The versions of a table, the newest first.

    Raises:
        LakeError: there is no such table, or its log cannot be read.
    """
    if table not in lake.names():
        raise LakeError(f"there is no table {table} in {lake.root}; there are: {', '.join(lake.names())}.")
    try:
        log = lake.delta(table).history()
    except (DeltaError, OSError) as error:
        raise LakeError(f"the log of {table} in {lake.root} cannot be read: {error}") from error
    return [
        Commit(
            version=entry["version"],
            at=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
            day=entry.get("lt4rec.day"),
            n_rows=_rows_written(entry),
        )
        for entry in log
    ]


def _rows_written(entry: Mapping[str, Any]) -> int | None:
    metrics = entry.get("operationMetrics") or {}  # of rows that were appended
    found = entry.get("lt4rec.n_rows", metrics.get("num_added_rows", metrics.get("num_output_rows")))
    return None if found is None else int(found)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _create_view(con: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    group, _, view = name.partition(".")
    con.execute(f"create schema if not exists {quoted(group)}")
    con.execute(f"create or replace view {quoted(group)}.{quoted(view)} as {select}")


def _create_analysts_view(con: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """A view of ``sql/views``; where this lake lacks what it reads, one that says so to whoever asks it.

    It must not keep people from all the others.
    """
    try:
        _create_view(con, name, select)
    except duckdb.Error as error:
        why = (
            f"the view {name} cannot be made from this lake: {first_line(error)}. "
            "Prepare the home with the code that wrote the view: any 'lt4rec backfill' does"
        )
        _create_view(con, name, f"select 1 as unmade where error({literal(why)})")


def query(con: duckdb.DuckDBPyConnection, text: str) -> duckdb.DuckDBPyRelation:
    """Answer exactly one SELECT (``from t``, ``describe t`` and ``show tables`` are such).

    Returns:
        The result, computed: ``print`` it, or take ``.to_arrow_table()``, ``.df()``, ``.fetchall()``.

    Raises:
        QueryError: another kind of statement, several or none, or a SELECT that fails.
    """
    try:
        kinds = [s.type for s in con.extract_statements(text)]
    except duckdb.Error as error:
        raise QueryError(
            f"the query does not parse: {first_line(error)}. It reads: {text.strip()}"
        ) from error
    if kinds != [duckdb.StatementType.SELECT]:
        got = ", ".join(k.name for k in kinds) or "nothing"
        hint = "The lake is written by its assets alone."
        if "pivot" in text.lower():  # DuckDB would first write down which values there are
            hint = "A pivot is one SELECT if it names its values: pivot … on model in ('snet', 'baseline') …"
        raise QueryError(f"only one SELECT is answered, got {got}. {hint}")
    if found := _SESSION_FUNCTIONS.search(text):
        raise QueryError(f"{found[0]} would change the session, and only reading is allowed. Leave it out.")
    try:
        relation = con.sql(text)
        relation.execute()
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise explained(con, text, error) from error
    return relation
