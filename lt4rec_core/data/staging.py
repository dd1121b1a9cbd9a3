"""Where a table's day waits before it is published: one Parquet file in ``<home>/staging``.

A staged file's name says which process wrote it, so that a later process can sweep what a killed one left
behind without touching what a living one still needs.
"""

import hashlib
import os
import platform
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lt4rec_core.data.rows_digest import RowsDigest

ROWS_PER_GROUP = 131_072
"""Bounds the memory of whoever reads or writes a row group, however long the day."""

CONTENT = 16
"""Digits of the digest of its rows that a published file has in its name: sixty-four bits."""

ABANDONED_AFTER_S = 2 * 24 * 3600
"""A file of another machine (or boot), whose processes cannot be asked, is swept at this age."""


@dataclass(frozen=True)
class Staged:
    """One day of one table, written but not yet published."""

    table: str
    day: date
    path: Path
    n_rows: int
    inputs: Mapping[str, int] = field(default_factory=dict)
    """Delta versions of the tables it was computed from."""

    digest: str = ""
    """Of its rows (``RowsDigest``)."""


def write_parquet(path: Path, reader: pa.RecordBatchReader, schema: pa.Schema) -> tuple[int, str]:
    """Write a stream to one Parquet file, row group by row group; the number of rows, and their digest."""
    n_rows, n_waiting, digest = 0, 0, RowsDigest(schema)
    waiting: list[pa.RecordBatch] = []

    def flush(writer: pq.ParquetWriter) -> None:
        rows = pa.Table.from_batches(waiting).cast(schema)
        digest.update(rows)
        writer.write_table(rows, row_group_size=ROWS_PER_GROUP)

    dictionaries = _repeating(schema)
    with pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=dictionaries
    ) as writer:
        for batch in reader:
            if batch.num_rows == 0:
                continue
            waiting.append(batch)
            n_rows, n_waiting = n_rows + batch.num_rows, n_waiting + batch.num_rows
            if n_waiting >= ROWS_PER_GROUP:
                flush(writer)
                waiting, n_waiting = [], 0
        if waiting:
            flush(writer)
    return n_rows, digest.hexdigest()


def _repeating(schema: pa.Schema) -> list[str]:
    """The columns worth a dictionary, as Parquet names them: names, numbers of buckets, lists of such.

    Of ids, times, fractions and other long numbers nearly every one is another: their dictionaries would be
    built, found useless and thrown away, which takes a third of the writing.
    """
    found = []
    for column in schema:
        is_list = pa.types.is_list(column.type)
        type_ = column.type.value_type if is_list else column.type
        is_text = pa.types.is_string(type_) and (is_list or not column.name.endswith("_id"))
        if is_text or pa.types.is_int32(type_) or pa.types.is_date32(type_):
            found.append(f"{column.name}.list.element" if is_list else column.name)
    return found


def staged_name(table: str, day: date) -> str:
    """A file name of this process: ``<table>.<day>.<machine>.<pid>-<start>.<unique>.parquet``."""
    return f"{table}.{day}.{_machine()}.{_process(os.getpid())}.{uuid.uuid4().hex[:8]}.parquet"


def published_name(digest: str) -> str:
    """A file name in a table: the beginning of the digest of its rows, and what no other file has."""
    return "-".join(["part", *([digest[:CONTENT]] if digest else []), f"{uuid.uuid4()}.zstd.parquet"])


def content_of(name: str) -> str:
    """What a table's file holds, as far as its name tells: equal where its rows are equal.

    Files from before names had digests, and those that were appended, are like no other.
    """
    digest = re.match(rf"part-([0-9a-f]{{{CONTENT}}})-", name)
    return digest[1] if digest else name


def scratch_name() -> str:
    """A folder name of this process, for what DuckDB spills."""
    return f"spill.{_machine()}.{_process(os.getpid())}.{uuid.uuid4().hex[:8]}"


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a staged file or folder is gone."""
    parts = path.name.split(".")
    for machine, process in pairwise(parts):
        if machine == _machine() and "-" in process:
            pid = process.partition("-")[0]
            return pid.isdigit() and _process(int(pid)) != process
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER_S
    return False


def _machine() -> str:
    """The machine since it last started; two containers on one disk differ by host name."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:12]


def _process(pid: int) -> str:
    """``<pid>-<start>``: pids are used again, with their start they are not. No process: start 'dead'."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # The command's name, in brackets, may hold blanks; the start time is the 20th field after it.
        return f"{pid}-{stat.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return f"{pid}-dead"
    try:
        os.kill(pid, 0)  # no /proc here (macOS): ask whether it lives, and trust the pid
    except ProcessLookupError:
        return f"{pid}-dead"
    except PermissionError:
        pass
    return f"{pid}-0"
