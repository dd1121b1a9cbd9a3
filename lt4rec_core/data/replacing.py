"""Replaces a day of a Delta table by a file that is already written: moves it into the table, and commits.

What was audited is then, byte for byte, what is published, and no row is written twice. The file keeps its
column ``dt``; readers of Delta tables take a partition's value from the log or the folder's name.

A commit names the one version that it follows and is never tried again by the library: it succeeds only if
nobody else committed meanwhile, so that the files it removes are all that the day has.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction

from lt4rec_core.data import objects
from lt4rec_core.data.opened import open_delta
from lt4rec_core.data.places import Place, RemotePath
from lt4rec_core.data.staging import published_name


@dataclass(frozen=True)
class Moved:
    """A file in its day's folder of a table."""

    path: Place
    n_bytes: int
    modified_ms: int

    @property
    def in_table(self) -> str:
        """As the log has it."""
        return f"{self.path.parent.name}/{self.path.name}"


@contextmanager
def moved_in(staged: Path, table: Place, day: date, digest: str = "") -> Iterator[Moved]:
    """Move, or send, a staged file into its day's folder of a table; removed if the block fails uncommitted.

    A run that is ended can be interrupted between a commit and its return, and what follows a commit (a
    checkpoint) can fail: then the log has the file, and without it the day would be lost.

    Raises:
        FileNotFoundError: there is no staged file.
    """
    folder = table / f"dt={day}"
    folder.mkdir(exist_ok=True)
    path = folder / published_name(digest)
    there = staged.stat()
    moved = Moved(path, there.st_size, there.st_mtime_ns // 1_000_000)
    try:
        if isinstance(path, RemotePath):
            objects.write(path.bucket, path.key, staged)
        else:  # a rename, unless the lake lies on another disk than the staging folder
            shutil.move(staged, path)
        yield moved
    except BaseException:
        if not _is_in_log(table, moved):
            path.unlink(missing_ok=True)
        raise


def _is_in_log(table: Place, file: Moved) -> bool:
    """Whether a commit has the file; where the log cannot be read yes, since vacuum removes what is not."""
    try:
        return has_file(open_delta(table), file)
    except Exception:
        return True


def has_file(delta: DeltaTable, file: Moved) -> bool:
    """Whether this version of a table has the file."""
    return any(uri.endswith(f"/{file.path.name}") for uri in delta.file_uris())


def replace_day(
    delta: DeltaTable,
    schema: pa.Schema,
    day: date,
    file: Moved | None,
    n_rows: int,
    metadata: Mapping[str, str],
) -> int:
    """Commit a file of the table's folder as all that a day has; None: the day has no rows.

    Returns:
        The version that this made; ``delta`` stays at the one before.

    Raises:
        CommitFailedError: somebody else committed after the version that ``delta`` holds.
    """
    added = []
    if file is not None:
        added.append(
            AddAction(
                path=file.in_table,
                size=file.n_bytes,
                partition_values={"dt": str(day)},
                modification_time=file.modified_ms,
                data_change=True,
                stats=json.dumps({"numRecords": n_rows}),
            )
        )
    delta.create_write_transaction(
        added,
        mode="overwrite",
        schema=schema,
        partition_by=["dt"],
        partition_filters=[("dt", "=", str(day))],
        commit_properties=CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0),
    )
    return delta.version() + 1
