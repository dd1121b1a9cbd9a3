"""A full disk, recognised whoever ran into it: Python, Arrow, DuckDB, delta-rs, safetensors or SQLite."""

import errno
import re

FULL = {errno.ENOSPC, errno.EDQUOT}
MAKE_ROOM = (
    "What is published stays, and nothing half-written is seen: make room and run the day again. "
    "The job 'vacuum' removes old versions (docs/OPERATIONS.md)."
)

# Only Python's own errors keep the number; the others put it into words.
_SAID = re.compile(r"no space left on device|disk quota exceeded|disk is full", re.IGNORECASE)


def is_full(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that there is no room left on the disk."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        if _SAID.search(str(cause)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
