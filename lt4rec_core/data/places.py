"""Where a home lies: a folder, or a prefix of an S3 bucket. Rooms hand places on and do not ask which it is.

A folder is a ``pathlib.Path``, as ever. ``RemotePath`` has the part of a path's ways that reading needs; it
is no ``os.PathLike``, so whatever can only open files refuses it. What is written goes through the functions
below, which make it appear whole: a rename here, one request there.
"""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from lt4rec_core.data import objects
from lt4rec_core.errors import ConfigError

SCHEME = "s3://"
LOCAL = ".lt4rec"
"""Working folder of a home in a bucket, unless ``LT4REC_LOCAL`` names one."""


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object of a bucket, or a prefix: as in S3 nothing tells which, but what is there."""

    bucket: str
    key: str
    """Without a slash at either end; empty is the bucket itself."""
    size: int | None = field(default=None, compare=False)
    """In bytes, where a listing or a table's log said so."""

    @classmethod
    def of(cls, text: str) -> "RemotePath":
        """Read ``s3://bucket/prefix``.

        Raises:
            ConfigError: there is no bucket in it, or a part that no key should have.
        """
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        parts = [part for part in key.split("/") if part]
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket) or not all(map(_is_plain, parts)):
            raise ConfigError(
                f"{text!r} is no place in a bucket. Write LT4REC_HOME as s3://bucket/prefix, "
                f"of letters, digits and . _ - = ({objects.GUIDE})."
            )
        return cls(bucket, "/".join(parts))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: object) -> "RemotePath":
        return RemotePath(self.bucket, f"{self.key}/{name}".strip("/"))

    @property
    def arrow(self) -> str:
        """As Arrow's file system names it."""
        return f"{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """After the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        """Before the last slash."""
        return RemotePath(self.bucket, self.key.rpartition("/")[0])

    def resolve(self) -> "RemotePath":
        """Itself: there is no folder to be relative to."""
        return self

    def as_uri(self) -> str:
        """As it was written."""
        return str(self)

    def is_file(self) -> bool:
        """Whether there is such an object."""
        return objects.look(self.bucket, self.key) is not None

    def is_dir(self) -> bool:
        """Whether there is an object below it."""
        return next(objects.below(self.bucket, self.key), None) is not None

    def exists(self) -> bool:
        """Either."""
        return self.is_file() or self.is_dir()

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a prefix is there as soon as an object is."""

    def touch(self) -> None:
        """Make an empty object."""
        objects.write(self.bucket, self.key, b"")

    def read_bytes(self) -> bytes:
        """The object.

        Raises:
            FileNotFoundError: there is none.
        """
        return objects.read(self.bucket, self.key)[0]

    def read_text(self, encoding: str = "utf-8") -> str:
        """The object as text."""
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        objects.remove(self.bucket, self.key)

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Objects and prefixes below, of names like these, one part of the pattern for each; in order."""
        wanted = pattern.split("/")
        seen: set[str] = set()
        for found in objects.below(self.bucket, self.key):
            parts = found.key[len(self.key) :].lstrip("/").split("/")[: len(wanted)]
            name = "/".join(parts)
            if name not in seen and len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted)):
                seen.add(name)
                yield self / name


Place = Path | RemotePath


def _is_plain(part: str) -> bool:
    return re.fullmatch(r"[\w.=-]+", part, re.ASCII) is not None and part not in (".", "..")


def is_remote(text: object) -> bool:
    """Whether this names a place in a bucket."""
    return isinstance(text, RemotePath) or str(text).startswith(SCHEME)


def place(home: "str | Place") -> Place:
    """A home's place, from how it was written; a folder's path is made absolute.

    Raises:
        ConfigError: it begins as a bucket does, and is none.
    """
    if isinstance(home, RemotePath):
        return home
    return RemotePath.of(str(home)) if is_remote(home) else Path(home).absolute()


def working_folder(home: Place) -> Path:
    """Where what must be on this machine lies: days being staged, what DuckDB spills, Dagster's records.

    A folder is its own. A home in a bucket has ``LT4REC_LOCAL``, else ``.lt4rec``.
    """
    return home if isinstance(home, Path) else Path(os.environ.get("LT4REC_LOCAL") or LOCAL).absolute()


def lock_file(of: Place, name: str = "") -> Path:
    """A file to lock on this machine: beside what it guards, or in the working folder.

    Writers on other machines are not kept out; in a bucket nothing depends on it but work done twice.
    """
    if isinstance(of, Path):
        return of / f"{name and '.'}{name}.lock"
    digest = hashlib.sha256(f"{of}/{name}".encode()).hexdigest()[:16]
    folder = working_folder(of) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{digest}.lock"


def require_shareable(home: Place) -> None:
    """Refuse a store without conditional writes, before anything is created; a folder is always fine.

    Raises:
        StoreError: it has none, or cannot be reached.
    """
    if isinstance(home, RemotePath):
        objects.require_conditional_writes(home.bucket, home.key)


def put_text(path: Place, text: str) -> None:
    """Put a text in the place of whatever is there, in one step.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(path, RemotePath):
        objects.write(path.bucket, path.key, text.encode())
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def put_text_once(path: Place, text: str) -> bool:
    """Put a text where none stands yet; False where one does.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(path, RemotePath):
        return objects.write_new(path.bucket, path.key, text.encode())
    if path.exists():
        return False
    put_text(path, text)
    return True


def folders(path: Place) -> list[Place]:
    """The folders directly below, by name."""
    if isinstance(path, RemotePath):
        return [path / name for name in objects.folders(path.bucket, path.key)]
    return sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []


def listed(path: Place, pattern: str) -> list[Place]:
    """What lies below under such names, in order."""
    return sorted(path.glob(pattern), key=str)


def remove_tree(path: Place) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays."""
    if isinstance(path, RemotePath):
        for found in objects.below(path.bucket, path.key):
            objects.remove(path.bucket, found.key)
    else:
        shutil.rmtree(path, ignore_errors=True)


def bytes_of(folder: Place, names: Iterable[str]) -> int:
    """How large these files of a folder are together; those that are gone count nothing."""
    if isinstance(folder, RemotePath):
        sizes = {
            f.key.removeprefix(f"{folder.key}/"): f.size for f in objects.below(folder.bucket, folder.key)
        }
        return sum(sizes.get(name, 0) for name in names)
    return sum((folder / name).stat().st_size for name in names if (folder / name).is_file())


def open_parquet(path: Place) -> pq.ParquetFile:
    """A Parquet file, to be read by row groups and columns.

    Raises:
        OSError, pyarrow.ArrowException: it is gone, or is none.
    """
    if isinstance(path, RemotePath):
        return pq.ParquetFile(path.arrow, filesystem=objects.file_system(), pre_buffer=True)
    return pq.ParquetFile(path)
