"""Removes what no reader needs any more from the lake: files of old versions, and what killed writers left.

Versions that somebody cites (a model's manifest says what it was trained on) keep their files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from deltalake.exceptions import CommitFailedError, DeltaError

from lt4rec_core.data.lake import KEEP_LOG, Lake
from lt4rec_core.data.places import bytes_of
from lt4rec_core.errors import LakeError

COMPACT_FROM = 8
"""Files of one day from which a table that only grows is worth rewriting."""


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum did to one table."""

    table: str
    n_files: int
    """Files removed, or to be removed if it was only a rehearsal."""

    n_bytes: int
    kept_versions: tuple[int, ...]
    """Versions kept because somebody cites them."""


def vacuum(
    lake: Lake,
    *,
    retention: timedelta,
    cited: Mapping[str, Iterable[int]],
    dry_run: bool = False,
) -> list[Vacuumed]:
    """Remove the files that belong to no version younger than ``retention`` and to no cited one.

    The newest version is never touched, whatever its age.

    Args:
        lake: whose tables are meant, all of them.
        retention: how long a version that was replaced can still be read.
        cited: table -> versions that stay readable beyond that.
        dry_run: only say what would be removed.

    Raises:
        LakeError: a table is damaged, or its files cannot be removed.
    """
    return [_vacuum(lake, table, retention, set(cited.get(table, ())), dry_run) for table in lake.names()]


def _vacuum(lake: Lake, table: str, retention: timedelta, cited: set[int], dry_run: bool) -> Vacuumed:
    try:
        delta = lake.delta(table)
        if not dry_run and delta.metadata().configuration.get(KEEP_LOG[0]) != KEEP_LOG[1]:
            # A home from before this was set at creation: without the log a kept file cannot be found.
            delta.alter.set_table_properties(dict([KEEP_LOG]))
        kept = tuple(sorted(v for v in cited if 0 <= v <= delta.version()))
        options = {
            "retention_hours": int(retention.total_seconds() // 3600),
            "enforce_retention_duration": False,  # the settings have a minimum of their own
            "full": True,  # what killed writers left is in no log
            "keep_versions": list(kept) or None,
        }
        files = delta.vacuum(dry_run=True, **options)
        n_bytes = bytes_of(lake.folder(table), files)
        if not dry_run:
            delta.vacuum(dry_run=False, **options)
    except (DeltaError, OSError) as error:
        raise LakeError(f"table {table} in {lake.root} cannot be vacuumed: {error}") from error
    return Vacuumed(table, len(files), n_bytes, kept)


def compact(lake: Lake, table: str) -> int:
    """Join the small files of a table that only grows, day by day, and return how many there were too many.

    Whoever appends meanwhile is not disturbed: no row changes.

    Raises:
        LakeError: the table is damaged, or cannot be written.
    """
    counts: dict[object, int] = {}
    for day, _, _ in lake.snapshot(table).files:
        counts[day] = counts.get(day, 0) + 1
    days = [str(day) for day, n in counts.items() if n >= COMPACT_FROM]
    if not days:
        return 0
    try:
        done = lake.delta(table).optimize.compact(partition_filters=[("dt", "in", days)])
    except CommitFailedError:
        return 0  # somebody rewrote the same day; the next vacuum will do it
    except (DeltaError, OSError) as error:
        raise LakeError(f"table {table} in {lake.root} cannot be compacted: {error}") from error
    return int(done["numFilesRemoved"]) - int(done["numFilesAdded"])
