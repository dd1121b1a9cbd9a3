"""Replaces a day of a Delta table by a file that is already written: moves it into the table, and commits.

What was audited is then, byte for byte, what is published, and no row is written twice. The file keeps its
column ``dt``; readers of Delta tables take a partition's value from the log or the folder's name.

A commit names the one version that it follows and is never tried again by the library: it succeeds only if
nobody else committed meanwhile, so that the files it removes are all that the day has.
"""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction


@contextmanager
def moved_in(staged: Path, table: Path, day: date) -> Iterator[Path]:
    """Move a staged file into its day's folder of a table; removed again if the block fails uncommitted.

    A run that is ended can be interrupted between a commit and its return, and what follows a commit (a
    checkpoint) can fail: then the log has the file, and without it the day would be lost.

    Raises:
        FileNotFoundError: there is no staged file.
    """
    folder = table / f"dt={day}"
    folder.mkdir(exist_ok=True)
    path = folder / f"part-{uuid.uuid4()}.zstd.parquet"
    try:
        shutil.move(staged, path)  # a rename, unless the lake lies on another disk than the staging folder
        yield path
    except BaseException:
        if not _is_in_log(table, path):
            path.unlink(missing_ok=True)
        raise


def _is_in_log(table: Path, file: Path) -> bool:
    """Whether a commit has the file; where the log cannot be read yes, since vacuum removes what is not."""
    try:
        found = DeltaTable(str(table)).file_uris()
    except Exception:
        return True
    return any(Path(uri).name == file.name for uri in found)


def replace_day(
    delta: DeltaTable,
    schema: pa.Schema,
    day: date,
    file: Path | None,
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
        there = file.stat()
        added.append(
            AddAction(
                path=f"{file.parent.name}/{file.name}",
                size=there.st_size,
                partition_values={"dt": str(day)},
                modification_time=there.st_mtime_ns // 1_000_000,
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
