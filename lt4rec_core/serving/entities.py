"""What a ranker knows of every user and video: their encoded features, as known after its day.

They are made by the SQL files that make the features of training (``sql/features``), run for the day after:
all that these statements see of a day is which users and videos appear, and here everyone does. An entity
that is not known has the features that SQL gives to one without attributes and without a past; its own id
becomes a bucket all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.catalogue import Feature, FeatureCatalogue, hash_bucket
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import open_table
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.errors import LakeError, ModelStoreError

SIDES = ("user", "video")
SEEN = "samples.impressions"
"""The input that says which entities a statement of ``sql/features`` is about."""


@dataclass(frozen=True)
class Entities:
    """The users, or the videos, of a ranker. The last row of each array is that of an unknown one."""

    names: list[str]
    ids: np.ndarray
    """(n + 1, categorical features of the side) int32."""
    lists: dict[str, np.ndarray]
    """Column to (n + 1, K) int32, filled up with 0."""
    duration_ms: np.ndarray
    """(n + 1,) int64 lengths of videos, -1 where unknown; empty for users."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {name: i for i, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, names: Iterable[str]) -> np.ndarray:
        """Where each stands; -1, the last row, for who is unknown."""
        found: dict[str, int] = self._rows  # type: ignore[attr-defined]
        return np.array([found.get(name, -1) for name in names], dtype=np.int64)

    def tensors(self, side: str) -> dict[str, Tensor]:
        """Flat tensors; names as one string of bytes and where each ends."""
        encoded = [name.encode() for name in self.names]
        flat = {
            f"{side}s/names": np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(),
            f"{side}s/ends": np.cumsum([0, *map(len, encoded)], dtype=np.int64),
            f"{side}s/ids": self.ids,
            **{f"{side}s/list/{column}": values for column, values in self.lists.items()},
            **({f"{side}s/duration_ms": self.duration_ms} if len(self.duration_ms) else {}),
        }
        return {name: torch.from_numpy(value) for name, value in flat.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], side: str) -> "Entities":
        """What ``tensors`` gave.

        Raises:
            ModelStoreError: a part is missing.
        """
        try:
            text = tensors[f"{side}s/names"].numpy().tobytes()
            ends = tensors[f"{side}s/ends"].tolist()
            lengths = tensors.get(f"{side}s/duration_ms")
            prefix = f"{side}s/list/"
            return cls(
                names=[text[a:b].decode() for a, b in pairwise(ends)],
                ids=tensors[f"{side}s/ids"].numpy(),
                lists={
                    name.removeprefix(prefix): t.numpy()
                    for name, t in tensors.items()
                    if name.startswith(prefix)
                },
                duration_ms=np.empty(0, dtype=np.int64) if lengths is None else lengths.numpy(),
            )
        except (KeyError, UnicodeDecodeError) as error:
            raise ModelStoreError(
                f"The ranker's {side}s do not fit together: {error}. Export it again."
            ) from error


def own_ids(features: Sequence[Feature], catalogue: FeatureCatalogue, side: str) -> dict[int, int]:
    """Of a side's categorical features, those that hash the entity's own id: position -> buckets."""
    return {
        i: catalogue.embeddings[f.embedding]
        for i, f in enumerate(features)
        if f.input == f"{side}_id" and next(o for o in catalogue.features if o.name == f.embedding).buckets
    }


def unknown_ids(names: Sequence[str], own: Mapping[int, int], ids: np.ndarray) -> None:
    """Fill in the buckets of entities' own ids, in place, as SQL would have."""
    for row, name in enumerate(names):
        for column, buckets in own.items():
            ids[row, column] = hash_bucket(name, buckets)


def read_entities(
    lake: Lake,
    tables: Mapping[str, SqlFile],
    catalogue: FeatureCatalogue,
    day: date,
    params: Mapping[str, Any],
) -> tuple[dict[str, Entities], dict[str, int]]:
    """Encode all users and videos as known after ``day``.

    Args:
        lake: where the tables lie.
        tables: by name, at least ``features.user_features`` and ``features.video_features``.
        catalogue: as in training.
        day: the last day whose impressions and clicks count. Its ``source.users`` and ``source.videos``
            describe them, since those of the day after are not there yet.
        params: of the SQL files.

    Returns:
        ``user`` and ``video`` to their entities, and the Delta versions that were read.

    Raises:
        LakeError: a table of the day was never published: features would count what is missing as nothing.
    """
    entities: dict[str, Entities] = {}
    versions: dict[str, int] = {}
    for side in SIDES:
        statement = tables[f"features.{side}_features"]
        entities[side], read = _read_side(lake, statement, catalogue, side, day, params)
        versions |= read
    return entities, versions


def _read_side(
    lake: Lake, statement: SqlFile, catalogue: FeatureCatalogue, side: str, day: date,
    params: Mapping[str, Any],
) -> tuple[Entities, dict[str, int]]:  # fmt: skip
    after, key = day + timedelta(days=1), f"{side}_id"
    stats, attributes = f"features.{side}_daily_stats", f"source.{side}s"
    columns = [f.column for f in catalogue.side(side)]
    versions: dict[str, int | None] = {}
    bound = {name: {**params, "dt": after}[name] for name in statement.params}
    with lake.scratch() as con:
        for given in statement.inputs:
            if given.table == SEEN:
                continue
            # What the statement reads of its own day describes entities; the rest is their past.
            _require(lake, given.table, day)
            versions[given.table] = open_table(
                con, lake, statement, given, day if given.first == 0 else after
            )
        con.execute("create schema if not exists samples")
        con.execute(
            f"create view {SEEN} as select {key} from {attributes} union select {key} from {stats} "
            "union all select null"
        )
        rows = con.execute((statement.compiled_sql or ""), bound).to_arrow_table()
        durations, read = _durations(con, lake, day) if side == "video" else ({}, {})
    rows = rows.select([key, *columns])
    # Ordered by key, and the one without a key, the unknown one, comes last.
    names = rows[key].to_pylist()
    if names[-1] is not None:
        raise LakeError(f"{statement.path} does not order its rows by {key}, NULL last, as its header says.")
    categorical = [f.column for f in catalogue.side(side) if f.kind == "categorical"]
    ids = np.empty((len(names), len(categorical)), dtype=np.int32)
    for i, column in enumerate(categorical):
        ids[:, i] = rows[column].to_numpy()
    lists = {
        f.column: _filled(rows[f.column].to_pylist(), f.max_length or 0)
        for f in catalogue.side(side)
        if f.kind == "list"
    }
    lengths = [durations.get(name) for name in names] if side == "video" else []
    duration_ms = np.array([-1 if n is None else n for n in lengths], dtype=np.int64)
    found = {name: version for name, version in (versions | read).items() if version is not None}
    return Entities(names[:-1], ids, lists, duration_ms), found


def _require(lake: Lake, table: str, day: date) -> None:
    if day not in lake.published(table):
        raise LakeError(
            f"A ranker after {day} reads {table} of that day, which is not there. Materialise it first."
        )


def _durations(con: Any, lake: Lake, day: date) -> tuple[dict[str, int], dict[str, int]]:
    """Each video's length: as last shown in the seven days, else as its source describes it."""
    snapshot = lake.snapshot(SEEN)
    columns = ["dt", "video_id", "occurred_at", "duration_ms"]
    shown = snapshot.select(con, day - timedelta(days=6), day, columns)
    described = {c[0] for c in con.execute("describe source.videos").fetchall()}
    own = "select video_id, duration_ms from source.videos union all" if "duration_ms" in described else ""
    rows = con.execute(
        f"""
        with shown as ({shown}),
        latest as (
            select video_id, arg_max(duration_ms, (occurred_at, duration_ms)) as duration_ms
            from shown
            where duration_ms > 0
            group by video_id
        )
        {own.replace("from source.videos", "from source.videos anti join latest using (video_id)")}
        select video_id, duration_ms from latest
        """
    ).fetchall()
    return {video: ms for video, ms in rows if ms is not None and ms > 0}, {SEEN: snapshot.version}


def _filled(lists: Sequence[Sequence[int]], length: int) -> np.ndarray:
    filled = np.zeros((len(lists), length), dtype=np.int32)
    for row, values in enumerate(lists):
        filled[row, : len(values)] = values[:length]
    return filled
