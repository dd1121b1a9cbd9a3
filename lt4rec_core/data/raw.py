"""What a source delivers, opened for its SQL: files as they are, or a day that a generator makes.

Reading must survive whatever users put into ids, and say clearly what is wrong with a file it cannot read.
"""

import os
import threading
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb

from lt4rec_core.data.csvfile import csv_reader
from lt4rec_core.data.duck import first_line, path_literal, printable, quoted
from lt4rec_core.data.sources import RawInput, Source, generator_module
from lt4rec_core.data.sqlfile import Input
from lt4rec_core.errors import ConfigError, SourceChangedError, SourceError

FileStates = dict[Path, tuple[int, ...] | None]
"""Files and what tells whether they changed: inode, size, time of the last change. None: not there."""


def open_raw(
    con: duckdb.DuckDBPyConnection, source: Source, given: Input, day: date, source_path: str | Path | None
) -> FileStates:
    """Create the view ``raw.<name>`` of one raw input in a DuckDB connection.

    Returns:
        The files it reads, as they were before any of it was read: for ``require_unchanged``.

    Raises:
        SourceError: no path, no file, an unreadable file or one without a declared column.
        ConfigError: the source declares no such raw input.
    """
    name = given.table.removeprefix("raw.")
    raw = source.raw.get(name)
    if raw is None:
        raise ConfigError(
            f"raw.{name} is not declared; {source.folder / 'source.toml'} declares: "
            + ", ".join(f"raw.{n}" for n in source.raw)
        )
    con.execute("create schema if not exists raw")
    if not raw.files:
        _open_generated(con, source, given, raw, day)
        return {}
    files = {file: _state(file) for file in find_files(source, raw, source_path)}
    scans = [_scan(con, file, raw.format, given) for file in files] or [_nothing(source, given)]
    con.execute(f"create view raw.{name} as " + "\nunion all ".join(scans))
    return files


def require_unchanged(files: FileStates) -> None:
    """See that nobody replaced, rewrote or removed a file while it was read: the rows may be of both.

    Raises:
        SourceChangedError: somebody did.
    """
    if changed := [str(file) for file, state in files.items() if _state(file) != state]:
        raise SourceChangedError(
            f"{', '.join(changed)} changed while it was read, so that its rows may be of two versions. "
            "Nothing was published; run the day again once the delivery is complete."
        )


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns


def find_files(source: Source, raw: RawInput, source_path: str | Path | None) -> list[Path]:
    """The files of a raw input, sorted by path; none only where it may lack them.

    Raises:
        SourceError: a missing path, a glob that leaves it, no file, or a file beside its own compressed copy.
    """
    if source_path is None or str(source_path) == "":
        raise SourceError(
            f"source {source.name!r} reads files, and LT4REC_SOURCE_PATH is not set. Set it to their folder."
        )
    try:
        found = _find(source, raw, Path(source_path))
    except OSError as error:
        raise SourceError(
            f"LT4REC_SOURCE_PATH {str(source_path)!r} cannot be searched for raw.{raw.name}: {error}. "
            "May this user read and enter its folders?"
        ) from error
    for path in found:
        if path.with_name(path.name + ".gz") in found:
            raise SourceError(
                f"{path} also lies there as {path.name}.gz; every row would count twice. Remove one."
            )
    return sorted(found)


def _find(source: Source, raw: RawInput, root: Path) -> set[Path]:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise SourceError(f"LT4REC_SOURCE_PATH {str(root)!r} {what}. It must hold {', '.join(raw.files)}.")
    found: set[Path] = set()
    for pattern in raw.files:
        parts = PurePosixPath(pattern)
        if parts.is_absolute() or ".." in parts.parts:
            raise SourceError(
                f"raw.{raw.name} of source {source.name!r} names {pattern!r}, which leaves the source path. "
                "Globs are relative to LT4REC_SOURCE_PATH and must stay below it."
            )
        _enter(root, parts)
        found |= {p for p in root.glob(pattern) if p.is_file()}
    _require_below(root, found)
    if not found and not raw.optional:
        raise SourceError(
            f"no file for raw.{raw.name} of source {source.name!r}: "
            f"looked in {root} for {', '.join(raw.files)}. "
            "Does LT4REC_SOURCE_PATH point at the data set's folder?"
        )
    return found


def _require_below(root: Path, files: set[Path]) -> None:
    """Follow links: one that leaves the source path could deliver any file of the machine as rows."""
    inside = root.resolve()
    for file in sorted(files):
        target = file.resolve()
        if not target.is_relative_to(inside):
            raise SourceError(
                f"{file} is a link that leaves the source path, to {target}. Put the file itself there, or "
                f"point LT4REC_SOURCE_PATH at a folder that holds both."
            )


def _enter(root: Path, pattern: PurePosixPath) -> None:
    """List the folders that a pattern names: ``glob`` takes one that may not be read for an empty one."""
    folder = root
    for part in (".", *pattern.parts[:-1]):
        folder = folder / part
        if set(part) & set("*?[") or not folder.is_dir():
            return
        os.listdir(folder)


def _scan(con: duckdb.DuckDBPyConnection, path: Path, format_: str, given: Input) -> str:
    """The SELECT that reads one file: the declared columns, by name, in the declared order."""
    reader, there = open_file(con, path, format_)
    if given.columns is None:
        return f"select * from {reader}"
    missing = [c for c in given.columns if c not in there and c not in given.optional_columns]
    if missing:
        raise SourceError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {printable(', '.join(there))}. "
            "Is it a file of this source, in the published layout?"
        )
    chosen = (quoted(c) if c in there else f"null::varchar as {quoted(c)}" for c in given.columns)
    return f"select {', '.join(chosen)} from {reader}"


def open_file(con: duckdb.DuckDBPyConnection, path: Path, format_: str) -> tuple[str, list[str]]:
    """The SQL table function that reads a file, and the names of its columns.

    Raises:
        SourceError: it cannot be read in this format.
    """
    if format_ == "parquet" or (format_ == "auto" and path.suffix == ".parquet"):
        return _parquet(con, path)
    return csv_reader(path)


def _nothing(source: Source, given: Input) -> str:
    """The SELECT in the place of files that were not delivered."""
    if given.columns is None:
        raise ConfigError(
            f"{given.table} of {source.name!r} has no file, and the header declares none of its columns. "
            f"Write them there, as in {given.table}(a, b)."
        )
    return f"select {', '.join(f'null::varchar as {quoted(c)}' for c in given.columns)} where false"


def _parquet(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, list[str]]:
    reader = f"read_parquet({path_literal(path)})"
    try:
        return reader, [row[0] for row in con.execute(f"describe select * from {reader}").fetchall()]
    except duckdb.Error as error:
        raise SourceError(f"cannot read {path} as parquet: {first_line(error)}. Is it complete?") from error


_last: tuple[tuple[str, date, str], dict[str, Any]] | None = None
_last_lock = threading.Lock()


def generate(source: Source, day: date) -> dict[str, Any]:
    """One day's raw inputs of a generated source, as Arrow tables; the latest day is remembered.

    Users, videos, log and truth of a day are four statements, and generating is the dear part.
    """
    global _last
    assert source.generator is not None
    wanted = (source.generator, day, repr(sorted(source.generator_settings.items())))
    with _last_lock:
        if _last is None or _last[0] != wanted:
            settings = dict(source.generator_settings)
            _last = (wanted, dict(generator_module(source.generator).generate(day, settings)))
        return _last[1]


def _open_generated(
    con: duckdb.DuckDBPyConnection, source: Source, given: Input, raw: RawInput, day: date
) -> None:
    tables = generate(source, day)
    if raw.name not in tables:
        raise ConfigError(f"generator {source.generator!r} makes {', '.join(tables)}, not {raw.name!r}")
    name = given.table.removeprefix("raw.")
    missing = [c for c in given.columns or () if c not in tables[raw.name].column_names]
    if missing:
        raise SourceError(
            f"generated raw.{name} lacks the column(s) {', '.join(missing)}. See {source.folder}"
        )
    con.register(f"generated_{name}", tables[raw.name])
    columns = "*" if given.columns is None else ", ".join(map(quoted, given.columns))
    con.execute(f"create view raw.{name} as select {columns} from generated_{name}")
