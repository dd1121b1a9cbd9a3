"""Delta tables that stay open: opening one reads its log, and a day asks for the newest version 130 times.

A table is a folder of numbered commits, each a file that appears whole and never changes. So an open table is
the newest version as long as its own commit lies there as it did and the next number does not.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lt4rec_core.data import objects
from lt4rec_core.data.places import Place, RemotePath
from lt4rec_core.data.snapshot import Snapshot


@dataclass
class _Held:
    delta: DeltaTable
    version: int
    commit: tuple[int, ...]
    """What the version's commit file looked like: another table in the same place is noticed."""

    snapshot: Snapshot | None = None
    """Of this version, once somebody asked."""


def open_delta(path: Place, version: int | None = None) -> DeltaTable:
    """Open a table by its log; None: at its newest version.

    Raises:
        deltalake.exceptions.DeltaError, OSError: there is no table or version, or its log is damaged.
    """
    if isinstance(path, RemotePath):
        return DeltaTable(str(path), version=version, storage_options=dict(objects.DELTA_OPTIONS))
    return DeltaTable(str(path)) if version is None else DeltaTable(str(path), version=version)


def is_table(path: Place) -> bool:
    """Whether a table was created here."""
    if isinstance(path, RemotePath):
        return _commit(path, 0).is_file()
    return bool(DeltaTable.is_deltatable(str(path)))


class OpenTables(threading.local):
    """The tables that this thread keeps open, by path; nobody else moves a thread's handles."""

    def __init__(self) -> None:
        self._held: dict[Place, _Held] = {}

    def newest(self, path: Place) -> DeltaTable:
        """The newest version of a table, whoever wrote it.

        Raises:
            deltalake.exceptions.DeltaError: there is no table, or its log is damaged.
        """
        held = self._held.get(path)
        if held is not None and _is_newest(path, held):
            return held.delta
        self._held.pop(path, None)
        delta = (held and _brought_up_to_date(path, held)) or open_delta(path)
        version = delta.version()
        if (commit := _commit_of(path, version)) is not None:  # else cleaned up behind a checkpoint
            self._held[path] = _Held(delta, version, commit)
        return delta

    def snapshot(self, path: Place, make: Callable[[DeltaTable], Snapshot]) -> Snapshot:
        """What ``make`` reads off the newest version; made once per version.

        Raises:
            deltalake.exceptions.DeltaError: there is no table, or its log is damaged.
        """
        delta = self.newest(path)
        held = self._held.get(path)
        if held is None:
            return make(delta)
        if held.snapshot is None:
            held.snapshot = make(delta)
        return held.snapshot

    @contextmanager
    def forgetting(self, path: Place) -> Iterator[None]:
        """Open the table anew after an error in the block: a failed write may leave its handle anywhere."""
        try:
            yield
        except BaseException:
            self._held.pop(path, None)
            raise


def _is_newest(path: Place, held: _Held) -> bool:
    if isinstance(path, RemotePath):  # one question instead of three: each is a way to the store and back
        return held.delta.version() == held.version and not _commit(path, held.version + 1).is_file()
    return (
        held.delta.version() == held.version  # else it was written through this handle
        and _commit_of(path, held.version) == held.commit
        and _commit_of(path, held.version + 1) is None
    )


def _brought_up_to_date(path: Place, held: _Held) -> DeltaTable | None:
    """The held table at its newest version; None where it is another table, or its log cannot be followed."""
    if _commit_of(path, held.version) != held.commit:
        return None
    try:
        held.delta.update_incremental()
    except (DeltaError, OSError):
        return None  # opening it anew says what is wrong
    return held.delta


def _commit(path: Place, version: int) -> Place:
    return path / "_delta_log" / f"{version:020d}.json"


def _commit_of(path: Place, version: int) -> tuple[int, ...] | None:
    commit = _commit(path, version)
    if isinstance(commit, RemotePath):
        return ()  # a table in a bucket is taken for the one that it was
    try:
        stat = os.stat(commit)
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
