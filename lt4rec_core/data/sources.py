"""A source: a folder that says where logs lie and how their rows read; ``sql/sources/<name>/``, or anywhere.

``source.toml`` names the raw inputs, either files below the source path or a generator module; the SQL files
beside it turn them into the tables ``source.impression_log``, ``source.users`` and so on. Nothing else in the
project knows a source by name.
"""

import importlib
import os
import re
import tomllib
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from lt4rec_core.catalogue import Column, FeatureCatalogue
from lt4rec_core.errors import ConfigError

FORMATS = ("csv", "parquet", "auto")
"""Of the files of a raw input; ``auto``: each file's own, by its name."""

REQUIRED = ("dt", "occurred_at", "user_id", "video_id", "is_click", "play_ms", "duration_ms")
"""Columns of ``source.impression_log`` without which a row cannot be used."""

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

    optional: bool = False
    """A delivery may lack its files; the statement then sees the columns it declares, and no row."""


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

    sql_root: Path | None = None
    """The project's SQL, which judges its rows; None: it stands in there itself, as ``sources/<name>``."""

    @property
    def checks(self) -> Path:
        """Where the statements of the checks lie."""
        return self._sql / "checks"

    @property
    def profiles(self) -> Path:
        """Where the statements lie that say what a day of a table looks like."""
        return self._sql / "profiles"

    @property
    def _sql(self) -> Path:
        return self.sql_root or self.folder.parent.parent


def source_names(sql_root: str | Path) -> list[str]:
    """The sources there are: folders that hold a ``source.toml``."""
    return sorted(p.parent.name for p in Path(sql_root).glob("sources/*/source.toml"))


def load_source(
    sql_root: str | Path, name: str, generator_settings: Mapping[str, Any] | None = None
) -> Source:
    """Read and check a source's ``source.toml``.

    Args:
        sql_root: the project's ``sql/`` folder.
        name: the source's folder name there, or the path of a folder elsewhere, which has a slash in it.
        generator_settings: over those of the file, for generated sources.

    Raises:
        ConfigError: an unknown source, or a file that says something impossible.
    """
    path = _toml_of(Path(sql_root), name)
    try:
        toml = tomllib.loads(path.read_text(encoding="utf-8"))
        return replace(_source_from(path, toml, generator_settings or {}), sql_root=Path(sql_root))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _toml_of(sql_root: Path, name: str) -> Path:
    if is_path(name):
        path = Path(name).resolve() / "source.toml"
        if not path.is_file():
            what = "holds no source.toml" if path.parent.is_dir() else "does not exist"
            raise ConfigError(
                f"the source folder {path.parent} {what}. LT4REC_SOURCE names it; see docs/OWN_LOGS.md."
            )
        if not re.fullmatch(r"[\w.-]{1,63}", path.parent.name, re.ASCII):
            raise ConfigError(
                f"the source folder {path.parent} has a name that labels cannot carry. "
                "Name it in letters, digits, _, - and dots."
            )
        return path
    names = source_names(sql_root)
    if name not in names:
        raise ConfigError(
            f"unknown source {name!r}; there are: {', '.join(names) or 'none'}. "
            f"LT4REC_SOURCE names a folder with a source.toml in {sql_root / 'sources'}, "
            f"or the path of one elsewhere, as in ./{name}."
        )
    return sql_root / "sources" / name / "source.toml"


def is_path(name: str) -> bool:
    """Whether a source is named by the path of its folder, as in ``./shop``, and not by its name."""
    return "/" in name or os.sep in name


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
        default_days=None if module is None else tuple(generator_module(module).default_days()),
    )


def _raw_from(name: str, entry: Any, generator: Mapping[str, Any]) -> RawInput:
    if not re.fullmatch(r"[a-z]\w*", name) or not isinstance(entry, Mapping):
        raise ConfigError(f"[raw.{name}] must be a table with a lower-case name")
    _only(entry, ("files", "format", "generator", "optional"), f"[raw.{name}] ")
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
    if not isinstance(entry.get("optional", False), bool):
        raise ConfigError(f"[raw.{name}] optional must be true or false, got {entry['optional']!r}")
    return RawInput(name, tuple(files), entry.get("format", "csv"), entry.get("optional", False))


def _table(toml: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = toml.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"[{key}] must be a table, got {value!r}")
    return value


def _only(entry: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    unknown = sorted(set(entry) - set(known))
    if unknown:
        raise ConfigError(f"{where}unknown key(s) {', '.join(unknown)}; known are {', '.join(known)}")


def generator_module(name: str) -> ModuleType:
    """Import a generator: ``generate(day, settings)`` and ``default_days()``.

    Raises:
        ConfigError: there is no such module, or it lacks one of the two.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"[generator] module {name!r} cannot be imported: {error}") from error
    if not (hasattr(module, "generate") and hasattr(module, "default_days")):
        raise ConfigError(f"[generator] module {name!r} lacks generate(day, settings) or default_days()")
    return module
