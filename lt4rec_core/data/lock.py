"""One process at a time, by a lock on a file; the system drops the lock of a process that dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock on this file, which is made if need be; hold it meanwhile.

    Raises:
        OSError: the file cannot be made.
    """
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
