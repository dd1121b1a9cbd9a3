"""An analyst's answer, written as people want it: a table to read, CSV, JSON or Parquet.

The connection it comes from may write nothing: what is written here leaves by a stream of the caller's.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lt4rec_core.data.duck import quoted, stream
from lt4rec_core.errors import LakeError, QueryError

FORMATS = ("table", "csv", "json", "parquet")
MAX_ROWS = 1_000
"""Rows of a printed table; the other formats hold all."""

WIDE = 10_000
"""Columns of a table that goes to a file or a pipe: it is cut nowhere."""


def write_answer(answer: duckdb.DuckDBPyRelation, form: str, out: BinaryIO, width: int = WIDE) -> None:
    """Write an answer with all its rows; of a ``table`` at most ``MAX_ROWS``, with their number below.

    ``csv``: a header, then values as DuckDB prints them; NULL is an empty field, an empty text ``""``.
    ``json``: one object a line; NULL, NaN and infinity are null.
    ``parquet``: one file, in the query's types.

    Args:
        answer: what ``query`` returned.
        form: one of ``FORMATS``.
        out: where to.
        width: characters that a line of a table may have.

    Raises:
        QueryError: the format cannot hold the answer: two columns of one name, or a type it lacks.
    """
    if form == "table":
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            answer.show(max_rows=MAX_ROWS, max_width=width)
        out.write(text.getvalue().rstrip("\n").encode() + b"\n")
        return
    names, rows = list(answer.columns), answer.to_arrow_table()
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated and form != "csv":
        raise QueryError(
            f"two columns are named {', '.join(repeated)}, which {form} cannot tell apart. Rename one."
        )
    if form == "parquet":
        try:
            pq.write_table(rows, out, compression="zstd")
        except pa.ArrowNotImplementedError as error:
            raise QueryError(f"Parquet cannot hold the answer: {error}. Cast it: x::varchar.") from error
    elif form == "csv":
        _write_csv(names, rows, out)
    else:
        _write_json(names, rows, out)


def _write_csv(names: list[str], rows: pa.Table, out: BinaryIO) -> None:
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(names)
    out.write(header.getvalue().encode())
    fields = []
    for i in range(len(names)):
        text = f"c{i}::varchar"
        special = f"""regexp_matches({text}, '[",\\r\\n]') or {text} = ''"""
        quotes = f"""'"' || replace({text}, '"', '""') || '"'"""
        fields.append(f"coalesce(case when {special} then {quotes} else {text} end, '')")
    _write_lines(rows, " || ',' || ".join(fields), out)


def _write_json(names: list[str], rows: pa.Table, out: BinaryIO) -> None:
    fields = []
    for i, (name, type_) in enumerate(zip(names, rows.schema.types, strict=True)):
        value = f"case when isfinite(c{i}) then c{i} end" if pa.types.is_floating(type_) else f"c{i}"
        fields.append(f"{quoted(name)} := {value}")
    _write_lines(rows, f"to_json(struct_pack({', '.join(fields)}))", out)


def _write_lines(rows: pa.Table, line: str, out: BinaryIO) -> None:
    """Write one line a row, put together by DuckDB, which knows its own values; columns are c0, c1, ...."""
    with duckdb.connect() as con:
        con.execute("set enable_progress_bar = false")
        con.register("answer", rows.rename_columns([f"c{i}" for i in range(rows.num_columns)]))
        for batch in stream(con, f"select {line} as line from answer")[1]:
            out.write("".join(f"{text}\n" for text in batch.column(0).to_pylist()).encode())


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to be written whole or not at all: who looks meanwhile sees what was there before.

    Raises:
        LakeError: it cannot be written there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise LakeError(
            f"cannot write {path}: {error.strerror or error}. Does its folder exist, and is there room?"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
