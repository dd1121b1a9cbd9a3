"""Settings as frozen values: made from a mapping (a TOML table, a launchpad form), named and checked once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import Any, TypeVar

from lt4rec_core.errors import ConfigError

T = TypeVar("T")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str = "settings") -> T:
    """Make the frozen dataclass ``cls`` from a mapping such as a TOML table.

    Lists become tuples (frozen values hold no lists) and whole numbers become floats where a float is asked
    for.

    Args:
        cls: a dataclass whose fields all have defaults or stand in the mapping.
        mapping: field name to value.
        where: what the mapping is, for the message, e.g. ``"[network] in lt4rec.toml"``.

    Raises:
        ConfigError: an unknown key, or a value that the dataclass refuses.
    """
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(mapping) - set(known))
    if unknown:
        raise ConfigError(
            f"{where} has unknown keys: {', '.join(unknown)}. "
            f"{cls.__name__} knows: {', '.join(sorted(known))}."
        )
    values = {}
    for name, value in mapping.items():
        if isinstance(value, list):
            value = tuple(value)
        if isinstance(value, int) and not isinstance(value, bool) and known[name].type in (float, "float"):
            value = float(value)
        values[name] = value
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where} does not make a {cls.__name__}: {error}. Found {dict(mapping)}."
        ) from error


def check(holds: bool, message: str) -> None:
    """Raise ``ConfigError(message)`` unless ``holds``: one line per rule in a ``__post_init__``."""
    if not holds:
        raise ConfigError(message)


def added_later(default: Any) -> Any:
    """A field that came after models were made: at its default it is not told, so their digests stay."""
    return field(default=default, metadata={"added_later": True})


def as_mapping(value: Any) -> Any:
    """Settings as mappings, for files and digests: ``dataclasses.asdict`` without what ``added_later`` is.

    ``from_mapping`` reads it back: what is not told has its default.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_mapping(getattr(value, f.name)) for f in fields(value) if _is_told(f, value)}
    if isinstance(value, Mapping):
        return {key: as_mapping(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        kind = tuple if isinstance(value, tuple) else list
        return kind(as_mapping(each) for each in value)
    return value


def _is_told(one: Field[Any], value: Any) -> bool:
    return "added_later" not in one.metadata or getattr(value, one.name) != one.default


def digest_of(value: object) -> str:
    """A sha256 of a value of dataclasses, mappings and scalars, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What JSON cannot say by itself: dataclasses as mappings, dates as text."""
    if hasattr(value, "__dataclass_fields__"):
        return as_mapping(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a digest")
