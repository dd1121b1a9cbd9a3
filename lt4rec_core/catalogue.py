"""The feature catalogue: ``[[feature]]`` entries of ``source.toml``, checked and compiled to select lists.

It is the one truth for the SQL, which computes bucket ids, and for the network, which looks them up.
Bucket 0 always means "missing". Three encodings turn a value into a bucket:

* ``buckets``: a hash, for ids and vocabularies nobody knows beforehand. Stable across processes, machines and
  DuckDB versions; costly, so only per user or per video, never per impression.
* ``bins``: edges, for numbers. Bucket ``1 + number of edges <= x``.
* ``values``: a vocabulary, for short lists. Bucket ``position``, and one more for whatever is not listed.

A feature that ``shares`` another's embedding has that one's encoding: equal values meet in equal buckets.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

from lt4rec_core.errors import ConfigError

SIDES = ("user", "video", "context")
KINDS = ("categorical", "list")
CONTEXT_INPUTS = ("page", "position", "duration_ms", "hour", "weekday")
"""What an impression says of itself before anyone reacts to it; hour and weekday are local to the source."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
MAX_BUCKETS = 2**31 - 1
"""Bucket ids are int32."""


@dataclass(frozen=True)
class Column:
    """One column of a table, as a header or the catalogue declares it."""

    name: str
    type: str
    """DuckDB's spelling, in lower case: ``bigint``, ``varchar[]``."""

    description: str = ""


@dataclass(frozen=True)
class Fragment:
    """A piece of a select list, and the columns it yields."""

    sql: str
    columns: tuple[Column, ...]


def hash_bucket(text: str, buckets: int) -> int:
    """The bucket in [1, buckets) that the SQL gives: ``1 + md5_number_lower(text) % (buckets - 1)``."""
    number = int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "little")
    return 1 + number % (buckets - 1)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One input of the network. Raises ``ConfigError`` where its fields contradict each other."""

    name: str
    side: str
    """'user' and 'video' features belong to an entity and a day, 'context' ones to the impression."""

    kind: str = "categorical"
    """'categorical': one bucket a row, column ``f_<name>``. 'list': a bag of buckets, column ``m_<name>``."""

    input: str = ""
    """The column it is computed from; its own name by default."""

    buckets: int | None = None
    shares: str | None = None
    bins: tuple[float, ...] | None = None
    values: tuple[str, ...] | None = None
    max_length: int | None = None
    """For lists: how many elements, from the front, are kept."""

    known_when_serving: bool = True
    """False for what production does not know yet when it ranks, such as the position."""

    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", self.input or self.name)
        faults = _faults(self)
        if faults:
            raise ConfigError(f"feature {self.name!r}: " + "; ".join(faults))

    @property
    def column(self) -> str:
        """The column of the feature tables: ``f_<name>`` (integer) or ``m_<name>`` (integer[])."""
        return ("m_" if self.kind == "list" else "f_") + self.name

    @property
    def embedding(self) -> str:
        """The name of the embedding it looks its buckets up in."""
        return self.shares or self.name

    @property
    def n_buckets(self) -> int:
        """How many buckets its encoding can yield, 0 included. A sharing feature has none of its own.

        Raises:
            ConfigError: it shares another's embedding; ask the catalogue's ``embeddings``.
        """
        if self.bins is not None:
            return len(self.bins) + 2
        if self.values is not None:
            return len(self.values) + 2
        if self.buckets is None:
            raise ConfigError(
                f"feature {self.name!r} shares the embedding {self.shares!r} and has no buckets of its own. "
                "Ask the catalogue: .embeddings[feature.embedding]"
            )
        return self.buckets


def _faults(f: Feature) -> list[str]:
    """Everything wrong with one feature by itself; what needs the others is the catalogue's to check."""
    faults = []
    if not (isinstance(f.name, str) and _NAME.fullmatch(f.name)):
        faults.append("its name must be lower-case letters, digits and _")
    if not (isinstance(f.input, str) and _NAME.fullmatch(f.input)):
        faults.append(f"its input must be a column name in lower case, got {f.input!r}")
    if f.side not in SIDES:
        faults.append(f"side must be one of {', '.join(SIDES)}, got {f.side!r}")
    if f.kind not in KINDS:
        faults.append(f"kind must be one of {', '.join(KINDS)}, got {f.kind!r}")

    encodings = [k for k in ("buckets", "shares", "bins", "values") if getattr(f, k) is not None]
    if len(encodings) != 1:
        faults.append(
            f"give exactly one of buckets, shares, bins, values; got {' and '.join(encodings) or 'none'}"
        )

    if f.buckets is not None and not (_is_int(f.buckets) and 2 <= f.buckets <= MAX_BUCKETS):
        faults.append(f"buckets must be a whole number from 2 to {MAX_BUCKETS}, got {f.buckets!r}")
    if f.bins is not None:
        faults += _faults_of_bins(f.bins)
    if f.values is not None:
        faults += _faults_of_values(f.values)

    if f.kind == "list":
        if not (_is_int(f.max_length) and f.max_length > 0):  # type: ignore[operator]
            faults.append(f"a list needs max_length, a whole number above 0, got {f.max_length!r}")
        if f.bins is not None:
            faults.append("a list cannot be binned; use buckets, values or shares")
    elif f.max_length is not None:
        faults.append("max_length is for kind = 'list' only")

    if f.side == "context" and (f.buckets is not None or f.shares is not None or f.kind == "list"):
        faults.append("a context feature is computed for every impression: only bins or values, and no list")
    if f.side == "context" and f.input not in CONTEXT_INPUTS:
        faults.append(
            f"a context feature's input is one of {', '.join(CONTEXT_INPUTS)}, got {f.input!r}: "
            "what follows the impression (a click, a play) would leak"
        )
    if not isinstance(f.known_when_serving, bool):
        faults.append(f"known_when_serving must be true or false, got {f.known_when_serving!r}")
    if not isinstance(f.description, str):
        faults.append(f"description must be text, got {f.description!r}")
    return faults


def _faults_of_bins(bins: tuple[Any, ...]) -> list[str]:
    if not bins or not all((_is_int(b) or isinstance(b, float)) and math.isfinite(b) for b in bins):
        return [f"bins must be a list of finite numbers, got {list(bins)!r}"]
    if any(a >= b for a, b in pairwise(bins)):
        return [f"bins must ascend, got {list(bins)!r}"]
    return []


def _faults_of_values(values: tuple[Any, ...]) -> list[str]:
    if not values or not all(isinstance(v, str) and "\0" not in v for v in values):
        return [f"values must be a list of texts, got {list(values)!r}"]
    repeated = sorted({v for v in values if values.count(v) > 1})
    return [f"values are listed twice: {', '.join(map(repr, repeated))}"] if repeated else []


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class FeatureCatalogue:
    """All features of a source, in the order of the file, which is the order of the network's fields."""

    def __init__(self, features: Iterable[Feature]) -> None:
        self.features = tuple(features)
        self._check()

    @classmethod
    def from_toml(cls, mapping: Mapping[str, Any]) -> "FeatureCatalogue":
        """Read the ``[[feature]]`` entries of a parsed ``source.toml``.

        Raises:
            ConfigError: naming every fault there is, not just the first.
        """
        entries = mapping.get("feature", [])
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            raise ConfigError(
                "the feature catalogue is not a list of [[feature]] tables: see docs/SOURCES.md"
            )
        features, faults = [], []
        for number, entry in enumerate(entries, start=1):
            try:
                features.append(_feature_from(entry, number))
            except ConfigError as error:
                faults.append(str(error))
        if faults:
            raise ConfigError(f"{len(faults)} faulty feature(s) in the catalogue:\n  " + "\n  ".join(faults))
        return cls(features)

    def _check(self) -> None:
        faults = []
        names = [f.name for f in self.features]
        faults += [
            f"feature {n!r} is declared {names.count(n)} times"
            for n in sorted(set(names))
            if names.count(n) > 1
        ]
        owners = {f.name: f for f in self.features if f.shares is None}
        for f in self.features:
            if f.shares is None:
                continue
            owner = owners.get(f.shares)
            if owner is None:
                faults.append(
                    f"feature {f.name!r} shares the embedding of {f.shares!r}, which no feature owns "
                    f"(there are: {', '.join(owners) or 'none'})"
                )
            elif f.kind == "list" and owner.bins is not None:
                faults.append(f"feature {f.name!r} is a list and shares {f.shares!r}, which is binned")
        faults += [f"no feature has side = {s!r}; each side needs one" for s in SIDES if not self.side(s)]
        if faults:
            raise ConfigError("the feature catalogue contradicts itself:\n  " + "\n  ".join(faults))

    def side(self, side: str) -> tuple[Feature, ...]:
        """The features of one side, in order."""
        return tuple(f for f in self.features if f.side == side)

    @cached_property
    def embeddings(self) -> dict[str, int]:
        """Each embedding once, with its number of buckets (rows), bucket 0 included."""
        return {f.name: f.n_buckets for f in self.features if f.shares is None}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what decides a bucket id or the network's shape; descriptions do not."""
        canonical = [
            {k.name: getattr(f, k.name) for k in fields(Feature) if k.name != "description"}
            for f in self.features
        ]
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def fragments(self) -> dict[str, Fragment]:
        """The select-list pieces that SQL files may name under ``compiled:``.

        ``user_features``, ``video_features``, ``context_features`` compute buckets from input columns;
        ``user_columns``, ``video_columns``, ``context_columns`` carry computed ones over from a table aliased
        ``u``, ``v`` or ``i``.
        """
        found = {f"{s}_features": self._fragment(s, self.encode) for s in SIDES}
        for side, alias in (("user", "u"), ("video", "v"), ("context", "i")):
            found[f"{side}_columns"] = self._fragment(side, lambda f, a=alias: _carry(f, a))
        return found

    def _fragment(self, side: str, compile_one: Any) -> Fragment:
        features = self.side(side)
        sql = ",\n    ".join(f"{compile_one(f)} as {f.column}" for f in features)
        return Fragment(sql, tuple(Column(f.column, _type(f), _describe(f)) for f in features))

    def encode(self, f: Feature) -> str:
        """The SQL expression that computes a feature's column from its input column."""
        owner = next(o for o in self.features if o.name == f.embedding)
        if f.kind == "list":
            # An element that is NULL says nothing; a missing list is an empty one, which pools to nothing.
            known = f'list_filter("{f.input}", lambda x: x is not null)[:{f.max_length}]'
            return f"coalesce(list_transform({known}, lambda x: {_bucket('x', owner)}), []::integer[])"
        return _bucket(f'"{f.input}"', owner)


def _feature_from(entry: Mapping[str, Any], number: int) -> Feature:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"feature number {number} has no name")
    known = [f.name for f in fields(Feature)]
    unknown = sorted(set(entry) - set(known))
    if unknown:
        raise ConfigError(
            f"feature {name!r}: unknown key(s) {', '.join(unknown)}; known are {', '.join(known)}"
        )
    if "side" not in entry:
        raise ConfigError(f"feature {name!r}: side is missing; one of {', '.join(SIDES)}")
    values = dict(entry)
    for key in ("bins", "values"):
        if key in values:
            if not isinstance(values[key], list):
                raise ConfigError(f"feature {name!r}: {key} must be a list, got {values[key]!r}")
            values[key] = tuple(values[key])
    return Feature(**values)


def _bucket(value: str, f: Feature) -> str:
    """The SQL expression for the bucket of one value, under the encoding of ``f``."""
    if f.bins is not None:
        # NaN compares above every number in DuckDB, and is no number: missing.
        number = f"nullif(try_cast({value} as double), 'nan'::double)"
        return f"coalesce(1 + {' + '.join(f'({number} >= {b!r})::integer' for b in f.bins)}, 0)"
    if f.values is not None:
        cases = " ".join(f"when {_literal(v)} then {i}" for i, v in enumerate(f.values, start=1))
        other = len(f.values) + 1
        return f"case when {value} is null then 0 else case {value}::varchar {cases} else {other} end end"
    return f"coalesce((1 + md5_number_lower({value}::varchar) % {f.n_buckets - 1})::integer, 0)"


def _carry(f: Feature, alias: str) -> str:
    return f"coalesce({alias}.{f.column}, {'[]::integer[]' if f.kind == 'list' else '0'})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _type(f: Feature) -> str:
    return "integer[]" if f.kind == "list" else "integer"


def _describe(f: Feature) -> str:
    how = "bins" if f.bins is not None else "vocabulary" if f.values is not None else "hash"
    encoding = f"shares the embedding of {f.shares}" if f.shares else f"{how}, {f.n_buckets} buckets"
    about = f.description or f.input
    return f"{about} ({encoding}; 0 = missing)" if f.kind != "list" else f"{about} ({encoding}; [] = none)"
