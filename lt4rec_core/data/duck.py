"""DuckDB, set up the way every room needs it: in memory, in UTC, quiet, reproducible."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

ROWS_PER_BATCH = 65_536
LONGEST_MESSAGE = 400


def connect_scratch(
    threads: int = 2, memory_limit: str | None = None, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection of one's own: closing it leaves nothing, and nobody else can lock it."""
    con = duckdb.connect()
    con.execute(f"set threads = {int(threads)}")
    con.execute("set enable_progress_bar = false")
    con.execute("set timezone = 'UTC'")
    con.execute("set preserve_insertion_order = true")
    # SQL must never reach a Python variable that happens to have a table's name.
    con.execute("set python_enable_replacements = false")
    if memory_limit:
        con.execute(f"set memory_limit = {literal(memory_limit)}")
    if spill:
        con.execute(f"set temp_directory = {literal(str(spill))}")
    return con


def stream(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, Any] | None = None,
    rows: int = ROWS_PER_BATCH,
) -> tuple[list[tuple[str, str]], Iterator[pa.RecordBatch]]:
    """Run one statement: its columns as (name, type in lower case), and its rows in the statement's order.

    By ``execute``, not ``sql(..., params=...)``: that one keeps rows as Python values, ten times slower.
    """
    result = con.execute(sql, dict(params or {}))
    columns = [(d[0], str(d[1]).lower()) for d in result.description or []]
    return columns, iter(result.to_arrow_reader(rows))


def quoted(identifier: str) -> str:
    """A name as SQL text."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A value as SQL text, for the few statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def path_literal(path: str | Path) -> str:
    """A path as SQL text that DuckDB takes for itself, not for a glob."""
    return literal(re.sub(r"([\[*?])", r"[\1]", str(path)))


def first_line(error: BaseException) -> str:
    """What DuckDB says in one printable line, without the excerpt of the statement and the hints below it."""
    said = []
    for line in str(error).splitlines():
        if not line.strip() or line.startswith(("LINE ", "Possible ")):
            break
        said.append(line.strip())
    # The line of a file that DuckDB quotes may hold anything, and may be long.
    return printable(" ".join(said) or type(error).__name__).rstrip(". ")


def printable(text: str) -> str:
    """What a file says, fit for a message: control characters escaped, cut where it grows long."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + " ..."
