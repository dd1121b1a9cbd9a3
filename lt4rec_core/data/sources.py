"""A source: a folder ``sql/sources/<name>/`` that says where logs lie and how their rows read.

``source.toml`` names the raw inputs, either files below the source path or a generator module; the SQL files
beside it turn them into the tables ``source.impression_log``, ``source.users`` and so on. Nothing else in the
project knows a source by name.
"""

import importlib
import re
import threading
import tomllib
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import duckdb

from lt4rec_core.catalogue import Column, FeatureCatalogue
from lt4rec_core.data.duck import first_line, path_literal, quoted
from lt4rec_core.data.sqlfile import Input
from lt4rec_core.errors import ConfigError, SourceError

FORMATS = ("csv", "parquet")

OPTIONAL_TABLES: dict[str, tuple[Column, ...]] = {
    "source.truth": (
        Column("dt", "date", "business day of the source"),
        Column("user_id", "varchar", "who saw it"),
        Column("video_id", "varchar", "what was shown"),
        Column("occurred_at", "timestamp", "when it was shown, UTC"),
        Column("p_click", "double", "true probability of a click"),
        Column("expected_watch_ratio", "double", "true mean watch ratio, given a click"),
    )
}
"""Tables that a source may lack; statements then see them typed and empty."""


@dataclass(frozen=True)
class RawInput:
    """What a source statement may read as ``raw.<name>``."""

    name: str
    files: tuple[str, ...] = ()
    """Globs below the source path; empty: the generator makes it."""

    format: str = "csv"


@dataclass(frozen=True)
class Source:
    """A source as its ``source.toml`` declares it."""

    name: str
    folder: Path
    description: str
    time_zone: str
    """IANA name; business days and hours are local to it."""

    catalogue: FeatureCatalogue = field(repr=False)
    raw: Mapping[str, RawInput] = field(repr=False)
    generator: str | None = None
    """Module that makes the raw inputs instead of files."""

    generator_settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    default_days: tuple[date, date] | None = None
    """First and last day, where the source itself knows them."""


def source_names(sql_root: str | Path) -> list[str]:
    """The sources there are: folders that hold a ``source.toml``."""
    return sorted(p.parent.name for p in Path(sql_root).glob("sources/*/source.toml"))


def load_source(
    sql_root: str | Path, name: str, generator_settings: Mapping[str, Any] | None = None
) -> Source:
    """Read and check a source's ``source.toml``.

    Args:
        sql_root: the project's ``sql/`` folder.
        name: the source's folder name.
        generator_settings: over those of the file, for generated sources.

    Raises:
        ConfigError: an unknown source, or a file that says something impossible.
    """
    names = source_names(sql_root)
    if name not in names:
        raise ConfigError(
            f"unknown source {name!r}; there are: {', '.join(names) or 'none'}. "
            f"LT4REC_SOURCE names a folder with a source.toml in {Path(sql_root) / 'sources'}."
        )
    path = Path(sql_root) / "sources" / name / "source.toml"
    try:
        toml = tomllib.loads(path.read_text(encoding="utf-8"))
        return _source_from(path, toml, generator_settings or {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _source_from(path: Path, toml: Mapping[str, Any], settings: Mapping[str, Any]) -> Source:
    _only(toml, ("source", "raw", "generator", "feature"), "")
    about, generator = _table(toml, "source"), _table(toml, "generator")
    _only(about, ("name", "description", "time_zone"), "[source] ")
    _only(generator, ("module", "settings"), "[generator] ")
    time_zone = about.get("time_zone", "UTC")
    try:
        zoneinfo.ZoneInfo(time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError) as error:
        raise ConfigError(
            f"unknown time_zone {time_zone!r}; give an IANA name such as Asia/Shanghai"
        ) from error

    raw = {key: _raw_from(key, entry, generator) for key, entry in _table(toml, "raw").items()}
    if not raw:
        raise ConfigError("no [raw.<name>] table: where does the source get its rows from?")
    module = generator.get("module")
    if about.get("name", path.parent.name) != path.parent.name:
        raise ConfigError(f"[source] name is {about['name']!r}, its folder is {path.parent.name!r}")
    return Source(
        name=path.parent.name,
        folder=path.parent,
        description=about.get("description", ""),
        time_zone=time_zone,
        catalogue=FeatureCatalogue.from_toml(toml),
        raw=raw,
        generator=module,
        generator_settings={**generator.get("settings", {}), **settings},
        default_days=None if module is None else tuple(_module(module).default_days()),
    )


def _raw_from(name: str, entry: Any, generator: Mapping[str, Any]) -> RawInput:
    if not re.fullmatch(r"[a-z]\w*", name) or not isinstance(entry, Mapping):
        raise ConfigError(f"[raw.{name}] must be a table with a lower-case name")
    _only(entry, ("files", "format", "generator"), f"[raw.{name}] ")
    if "generator" in entry:
        if "files" in entry:
            raise ConfigError(f"[raw.{name}] names both files and a generator; give one")
        if not generator.get("module"):
            raise ConfigError(f"[raw.{name}] is generated, but [generator] module is missing")
        return RawInput(name=entry["generator"])
    files = entry.get("files")
    if not (isinstance(files, list) and files and all(isinstance(f, str) and f for f in files)):
        raise ConfigError(f"[raw.{name}] files must be a list of globs below the source path, got {files!r}")
    if entry.get("format", "csv") not in FORMATS:
        raise ConfigError(f"[raw.{name}] format must be one of {', '.join(FORMATS)}, got {entry['format']!r}")
    return RawInput(name, tuple(files), entry.get("format", "csv"))


def _table(toml: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = toml.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"[{key}] must be a table, got {value!r}")
    return value


def _only(entry: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    unknown = sorted(set(entry) - set(known))
    if unknown:
        raise ConfigError(f"{where}unknown key(s) {', '.join(unknown)}; known are {', '.join(known)}")


def _module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"[generator] module {name!r} cannot be imported: {error}") from error
    if not (hasattr(module, "generate") and hasattr(module, "default_days")):
        raise ConfigError(f"[generator] module {name!r} lacks generate(day, settings) or default_days()")
    return module


def open_raw(
    con: duckdb.DuckDBPyConnection, source: Source, given: Input, day: date, source_path: str | Path | None
) -> None:
    """Create the view ``raw.<name>`` of one raw input in a DuckDB connection.

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
        return
    files = find_files(source, raw, source_path)
    scans = [_scan(con, file, raw.format, given) for file in files]
    con.execute(f"create view raw.{name} as " + "\nunion all ".join(scans))


def find_files(source: Source, raw: RawInput, source_path: str | Path | None) -> list[Path]:
    """The files of a raw input, sorted by path.

    Raises:
        SourceError: a missing path, a glob that leaves it, no file, or a file beside its own compressed copy.
    """
    if source_path is None or str(source_path) == "":
        raise SourceError(
            f"source {source.name!r} reads files, and LT4REC_SOURCE_PATH is not set. Set it to their folder."
        )
    root = Path(source_path)
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
        found |= {p for p in root.glob(pattern) if p.is_file()}
    if not found:
        raise SourceError(
            f"no file for raw.{raw.name} of source {source.name!r}: "
            f"looked in {root} for {', '.join(raw.files)}. "
            "Does LT4REC_SOURCE_PATH point at the data set's folder?"
        )
    for path in found:
        if path.with_name(path.name + ".gz") in found:
            raise SourceError(
                f"{path} also lies there as {path.name}.gz; every row would count twice. Remove one."
            )
    return sorted(found)


def _scan(con: duckdb.DuckDBPyConnection, path: Path, format_: str, given: Input) -> str:
    """The SELECT that reads one file: the declared columns, by name, in the declared order."""
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes), not even a header. Was it copied completely?")
    where = path_literal(path)
    # The dialect is told, never guessed: what users put into ids may lead a sniffer astray. Text stays text;
    # the source's SQL decides what can be cast.
    reader = (
        f"read_parquet({where})"
        if format_ == "parquet"
        else f"read_csv({where}, header=true, all_varchar=true, delim=',', quote='\"', escape='\"', "
        "strict_mode=true, null_padding=false, ignore_errors=false)"
    )
    try:
        there = [row[0] for row in con.execute(f"describe select * from {reader}").fetchall()]
    except duckdb.Error as error:
        raise SourceError(f"cannot read {path} as {format_}: {first_line(error)}. Is it complete?") from error
    if given.columns is None:
        return f"select * from {reader}"
    missing = [c for c in given.columns if c not in there and c not in given.optional_columns]
    if missing:
        raise SourceError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(there)}. "
            "Is it a file of this source, in the published layout?"
        )
    chosen = (quoted(c) if c in there else f"null::varchar as {quoted(c)}" for c in given.columns)
    return f"select {', '.join(chosen)} from {reader}"


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
            _last = (wanted, dict(_module(source.generator).generate(day, dict(source.generator_settings))))
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
