"""SQL over the lake for people: a snapshot of every table that cannot write, read files or block a writer.

Tables come in as Arrow datasets, so the connection itself needs no file access and has none: with the lake's
folder allowed instead, ``COPY ... TO`` could overwrite a lake file.
"""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lt4rec_core.data.duck import first_line, quoted
from lt4rec_core.data.lake import Lake
from lt4rec_core.errors import LakeError, QueryError

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


def connect(home: str | Path) -> duckdb.DuckDBPyConnection:
    """Open a snapshot of the lake: one view ``group.table`` per table, typed and empty before its first day.

    Later commits do not change what the connection sees, until ``refresh``.

    Raises:
        LakeError: there is no lake in this home, or one of its tables cannot be read.
    """
    con = duckdb.connect()
    for statement in LOCKED:
        con.execute(statement)
    try:
        refresh(con, home)
    except BaseException:
        con.close()
        raise
    return con


def refresh(con: duckdb.DuckDBPyConnection, home: str | Path) -> None:
    """Let a connection of ``connect`` see the newest version of every table.

    Raises:
        LakeError: as ``connect``.
    """
    lake = Lake(home)
    names = lake.names()
    if not names:
        what = "holds no tables yet" if lake.home.exists() else "does not exist"
        raise LakeError(
            f"the home {lake.home} {what}. "
            "Set LT4REC_HOME to the home you mean, or fill it first: lt4rec backfill."
        )
    for name in names:
        try:
            dataset = DeltaTable(lake.table_uri(name)).to_pyarrow_dataset()
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise LakeError(f"table {name} in {lake.root} cannot be read: {error}") from error
        con.register(f"lake {name}", dataset)
        _create_view(con, name, f"select * from {quoted(f'lake {name}')}")
    for path in sorted(lake.views.glob("*.sql")):
        _create_view(con, path.stem, path.read_text(encoding="utf-8"))


def _create_view(con: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    group, _, view = name.partition(".")
    con.execute(f"create schema if not exists {quoted(group)}")
    try:
        con.execute(f"create or replace view {quoted(group)}.{quoted(view)} as {select}")
    except duckdb.Error as error:
        raise LakeError(
            f"the view {name} cannot be made: {first_line(error)}. Its SQL lies in the lake."
        ) from error


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
        raise QueryError(
            f"the query fails: {first_line(error)}. 'show all tables' lists what there is."
        ) from error
    return relation
