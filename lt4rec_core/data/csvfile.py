"""CSV files as sources deliver them: all text, and a clear word about one that cannot be read.

Dialect and columns are told to DuckDB, never guessed by it: a row with a cell too many, or what users put
into ids, leads a sniffer astray.
"""

import csv
import gzip
import re
import zlib
from functools import lru_cache
from pathlib import Path

from lt4rec_core.data.duck import first_line, literal, path_literal, printable
from lt4rec_core.errors import SourceError

LOST = "\ufffd"
"""What stands for bytes that are no text."""


def csv_reader(path: Path) -> tuple[str, list[str]]:
    """The SQL table function that reads a file, plain or ``.gz``, and the names of its columns, all varchar.

    Raises:
        SourceError: the file cannot be opened, does not begin with a line of distinct column names, or is a
            ``.gz`` that is cut short or damaged.
    """
    names = _header(path)
    if path.suffix == ".gz":
        there = path.stat()
        _unpack(path, there.st_size, there.st_mtime_ns, there.st_ino)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({path_literal(path)}, auto_detect=false, header=true, columns={{{columns}}}, "
        f"compression='{'gzip' if path.suffix == '.gz' else 'none'}', delim=',', quote='\"', escape='\"', "
        "strict_mode=true, null_padding=false, ignore_errors=false)"
    ), names


@lru_cache(maxsize=4096)
def _unpack(path: Path, *_state: int) -> None:
    """Unpack a file to its end, where its checksum stands; once a process, until the file changes.

    DuckDB does not miss the end: of a file cut at the end of a row it reads what is there, as if it were all.
    Unpacking costs a third of what DuckDB takes to read the rows.
    """
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {path} as gzip: {printable(str(error))}. Is it complete?") from error


def unreadable_csv(error: BaseException) -> SourceError | None:
    """Where DuckDB failed on a CSV file while a statement ran: which file, and why."""
    files = re.findall(r"^  file = (.+)$", str(error), re.MULTILINE)
    if not files:
        return None
    # The last one named: what stands before may be quoted from the file.
    return SourceError(f"cannot read {files[-1]} as csv: {_why(error)}. Is it complete?")


def _why(error: BaseException) -> str:
    text = str(error).partition("\nPossible ")[0]
    line = re.search(r"CSV Error on Line: (\d+)\s+Original Line:\s+(.*\S)\s*\n(.+)", text, re.DOTALL)
    if line is None:
        odd = "a quote or a line end is out of place; all its lines must end the same way"
        return odd if "state machine" in text else first_line(error)
    number, found, reason = line.groups()  # DuckDB's lines are rows: the header is 1, a row of two lines one
    return f"{printable(reason.strip()).rstrip('.')} in row {number}: {printable(found)}"


def _header(path: Path) -> list[str]:
    # A row's bytes that are no text are DuckDB's to report, which knows their line.
    how = {"mode": "rt", "encoding": "utf-8-sig", "errors": "replace", "newline": ""}
    try:
        with gzip.open(path, **how) if path.suffix == ".gz" else path.open(**how) as file:  # type: ignore[call-overload]
            header = next(csv.reader(file, strict=True), None)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise SourceError(f"cannot read {path} as csv: {printable(str(error))}. Is it complete?") from error
    if not header:
        what = "is empty" if header is None else "begins with an empty line"
        raise SourceError(f"{path} {what}, where its header should be. Was it copied completely?")
    names = [name or f"column{i}" for i, name in enumerate(header)]
    if any(LOST in name or "\0" in name for name in names):
        raise SourceError(
            f"the header of {path} is no UTF-8 text: {printable(', '.join(names))}. Is it a CSV file?"
        )
    folded = [name.lower() for name in names]  # to DuckDB, names that differ only by case are the same
    if twice := [name for name in names if folded.count(name.lower()) > 1]:
        raise SourceError(f"{path} names columns twice: {printable(', '.join(twice))}. Which one is meant?")
    return names
