"""Wake up within a fraction of a millisecond of a file appearing: Linux's inotify, by its system calls."""

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path

CREATE, MOVED_TO = 0x100, 0x80
EVENT = struct.Struct("iIII")
"""Watch, what happened, cookie, length of the name that follows."""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """What is created below a folder, in folders that are made later on too."""

    def __init__(self, root: Path) -> None:
        self._folders: dict[int, Path] = {}
        self._fd = _libc.inotify_init()
        root.mkdir(parents=True, exist_ok=True)
        self._add(root)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def created(self, seconds: float) -> Iterator[Path]:
        """The paths created since the last call; waits at most so long for the first."""
        if select.select([self._fd], [], [], seconds)[0]:
            data = os.read(self._fd, 65536)
            while data:
                watch, _, _, length = EVENT.unpack_from(data)
                name = os.fsdecode(data[EVENT.size : EVENT.size + length].rstrip(b"\0"))
                data = data[EVENT.size + length :]
                yield self._folders[watch] / name
                self._add(self._folders[watch] / name)

    def _add(self, folder: Path) -> None:
        if folder.is_dir():
            watch = _libc.inotify_add_watch(self._fd, os.fsencode(folder), CREATE | MOVED_TO)
            if watch >= 0:  # a folder may be gone again
                self._folders[watch] = folder
                for entry in folder.iterdir():
                    self._add(entry)
