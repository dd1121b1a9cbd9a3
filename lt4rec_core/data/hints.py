"""What an analyst is told when a query finds nothing: the names there are, and which tables are empty."""

import difflib
import re
from collections.abc import Iterable

import duckdb
import pyarrow as pa

from lt4rec_core.data.duck import first_line, quoted
from lt4rec_core.errors import QueryError

_NO_TABLE = re.compile(r'Table with name "?(?P<table>[^\s"]+)"? does not exist')
_NO_CATALOG = re.compile(r'Catalog "(?P<table>[^"]+)" does not exist')
_FROM_LAKE = re.compile(r'"lake (?P<table>[^"]+)"')


def known_names(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Every table and view of an analyst's connection, as ``group.name``, and the SQL that defines it."""
    rows = con.execute(
        "select schema_name || '.' || view_name, sql from duckdb_views() "
        "where not internal and not temporary order by 1"
    ).fetchall()
    return dict(rows)


def named(wanted: str, known: Iterable[str]) -> str:
    """``there is no table or view x``, and which there are: those with a similar name first."""
    every = sorted(known)
    close = close_to(wanted, every)
    rest = [name for name in every if name not in close]
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    also = "There are also" if close else "There are"
    return f"there is no table or view {wanted}. {meant}{also}: {', '.join(rest) or 'no others'}."


def close_to(wanted: str, known: Iterable[str]) -> list[str]:
    """The names that ``wanted`` may have been meant for, at most three, the closest first.

    A name may lack its group, or have another one.
    """
    wanted = wanted.lower()
    last = wanted.rpartition(".")[2]

    def likeness(name: str) -> float:
        own = name.rpartition(".")[2]
        parts = (
            difflib.SequenceMatcher(None, wanted, name).ratio(),
            difflib.SequenceMatcher(None, last, own).ratio(),
            0.9 if len(last) > 3 and (last in own or own in last) else 0.0,
        )
        return max(parts)

    scored = sorted(((likeness(name), name) for name in known), key=lambda pair: (-pair[0], pair[1]))
    return [name for score, name in scored[:3] if score >= 0.75]


def explained(con: duckdb.DuckDBPyConnection, text: str, error: Exception) -> QueryError:
    """The error of a query that fails, in words that lead on."""
    said = str(error)
    missing = _NO_TABLE.search(said) or _NO_CATALOG.search(said)
    if missing and isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        # DuckDB may leave out the group.
        written = re.search(rf"(?:\w+\.)*{re.escape(missing['table'])}\b", text.replace('"', ""))
        return QueryError(named(written[0] if written else missing["table"], known_names(con)))
    hint = "'lt4rec sql --describe' lists what there is."
    if isinstance(error, duckdb.BinderException) and (read := mentioned(text, known_names(con))):
        hint = f"'lt4rec sql --describe {read[0]}' lists its columns."
    if "Could not open Parquet" in said:
        hint = "That file of the lake is damaged: materialise the day it holds again, which replaces it."
    if ".parquet" in said and "no such file" in said.lower():
        hint = (
            "A vacuum has removed this version's files: connect again, or choose a newer version. "
            "If it is the newest, the file was lost: materialise its day again."
        )
    return QueryError(f"the query fails: {first_line(error)}. {hint}")


def mentioned(text: str, known: Iterable[str]) -> list[str]:
    """The tables and views that a statement names, in the order of its text."""
    bare = text.replace('"', "").lower()
    found = [(m.start(), name) for name in known if (m := re.search(rf"\b{re.escape(name)}\b", bare))]
    return [name for _, name in sorted(found)]


def empty_tables(con: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """Tables without a row among those that a query reads, through views too: why an answer may be empty.

    Args:
        con: of ``connect``; what it holds empty as of a time counts as empty.
        text: the query.
    """
    known = known_names(con)
    tables: list[str] = []
    names = mentioned(text, known)
    for name in names:  # grows while views lead to their tables
        if _FROM_LAKE.search(known[name]):
            tables.append(name)
        else:
            names += [other for other in mentioned(known[name], known) if other not in names]
    return [name for name in tables if _is_empty(con, name)]


def _is_empty(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    group, _, name = table.partition(".")
    try:
        return not con.execute(f"select 1 from {quoted(group)}.{quoted(name)} limit 1").fetchall()
    except (duckdb.Error, pa.ArrowException, OSError):
        return False
