"""One day of the log: who came when, what was shown, what happened, and what the delivery spoiled.

The day is drawn in chunks, each from a generator of its own, so that a day of millions needs little more
memory than the Arrow tables it ends in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lt4rec_core.data.simulator.behaviour import (
    PAGE_COUNTS,
    PAGES,
    Context,
    Truth,
    draw_watch_ratio,
    judge,
    sigmoid,
)
from lt4rec_core.data.simulator.population import Users, Videos
from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.data.simulator.world import IMPRESSION_STREAM, Ints, choose, generator

CHUNK_ROWS = 65_536

_WEEKDAY_VOLUME = (0.95, 0.94, 0.95, 0.97, 1.02, 1.10, 1.07)  # Monday first; they add up to 7
_HOUR_VOLUME = {
    "workday": (12, 7, 4, 3, 3, 5, 12, 22, 26, 22, 21, 26, 38, 33, 24, 23, 26, 34, 45, 56, 66, 70, 58, 32),
    "weekend": (20, 13, 8, 5, 4, 4, 7, 12, 22, 33, 40, 44, 48, 47, 46, 46, 46, 47, 50, 56, 62, 64, 55, 36),
}
_SESSION_LENGTH = 9.0  # impressions, on average
_SHORTEST_GAP_MS, _MEAN_EXTRA_GAP_MS = 3_000, 18_000

_PREVIEW_MS = 3_000  # the feed plays by itself for up to this long before anyone decides
_LONG_VIEW_MS = 18_000

# Logits of what may follow a click, in the order drawn: (level, how much it grows with the watched share).
_ENGAGEMENT = {
    "is_like": (-4.6, 2.4),
    "is_follow": (-6.0, 2.0),
    "is_comment": (-5.6, 1.6),
    "is_forward": (-6.0, 1.8),
}

# What a delivery spoils, as shares of the messy rows.
_MESS = (0.55, 0.25, 0.1, 0.1)
_TWICE, _NO_DURATION, _NEGATIVE_PLAY, _LOST_PLAY = range(4)

IMPRESSION_SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("time_ms", pa.int64()),  # Unix time
        ("user_id", pa.string()),
        ("video_id", pa.string()),
        ("page", pa.string()),
        ("position", pa.int32()),
        ("is_click", pa.bool_()),
        ("play_ms", pa.int64()),
        ("duration_ms", pa.int64()),
        ("is_like", pa.bool_()),
        ("is_follow", pa.bool_()),
        ("is_comment", pa.bool_()),
        ("is_forward", pa.bool_()),
        ("is_long_view", pa.bool_()),
    ]
)
TRUTH_SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("time_ms", pa.int64()),
        ("user_id", pa.string()),
        ("video_id", pa.string()),
        ("p_click", pa.float64()),
        ("expected_watch_ratio", pa.float64()),
    ]
)


@dataclass(frozen=True)
class _Shown:
    """What a chunk shows, before anyone reacts; each field has shape (n,)."""

    user: Ints
    video: Ints
    time_ms: Ints
    context: Context


def n_impressions(settings: SimulatorSettings, day: date) -> int:
    """Impressions of a day, before some are delivered twice."""
    return max(1, round(settings.impressions_per_day * _WEEKDAY_VOLUME[day.weekday()]))


def hour_volume(day: date) -> tuple[int, ...]:
    """How the sessions of a day spread over its 24 hours, up to a factor."""
    return _HOUR_VOLUME["weekend" if day.weekday() >= 5 else "workday"]


def impressions_on(
    settings: SimulatorSettings, day: date, users: Users, videos: Videos
) -> tuple[pa.Table, pa.Table]:
    """The delivered log of a day, and one row of truth for each impression in it."""
    log, truth = [], []
    n = n_impressions(settings, day)
    for chunk, start in enumerate(range(0, n, CHUNK_ROWS)):
        rng = generator(settings, IMPRESSION_STREAM, day.toordinal(), chunk)
        shown = _show(rng, min(CHUNK_ROWS, n - start), day, users, videos)
        true = judge(settings, day, users, videos, shown.user, shown.video, shown.context)

        # Both tables share the columns that identify an impression.
        key = {
            "date": pa.repeat(pa.scalar(day, pa.date32()), len(shown.user)),
            "time_ms": pa.array(shown.time_ms),
            "user_id": users.ids.take(pa.array(shown.user)),
            "video_id": videos.ids.take(pa.array(shown.video)),
        }
        columns = {"p_click": true.p_click, "expected_watch_ratio": true.expected_watch_ratio}
        truth.append(_batch(TRUTH_SCHEMA, key, columns))
        log += _deliver(rng, settings, key, shown, _react(rng, shown, true, videos))
    return pa.Table.from_batches(log, IMPRESSION_SCHEMA), pa.Table.from_batches(truth, TRUTH_SCHEMA)


def _show(rng: np.random.Generator, n: int, day: date, users: Users, videos: Videos) -> _Shown:
    """Sessions of users, cut so that they show exactly ``n`` videos."""
    lengths = np.empty(0, dtype=np.int64)
    while lengths.sum() < n:
        lengths = np.concatenate([lengths, rng.geometric(1 / _SESSION_LENGTH, int(n / _SESSION_LENGTH) + 16)])
    ends = np.cumsum(lengths)
    n_sessions = int(np.searchsorted(ends, n)) + 1
    lengths, ends = lengths[:n_sessions], ends[:n_sessions].clip(max=n)
    lengths[-1] -= lengths.sum() - n
    session = np.repeat(np.arange(n_sessions), lengths)
    first = (ends - lengths)[session]  # row in which the session of each row begins

    hours = choose(rng, hour_volume(day), n_sessions) + rng.random(n_sessions)
    start_ms = (hours * 3_600_000).astype(np.int64)
    gap_ms = _SHORTEST_GAP_MS + (_MEAN_EXTRA_GAP_MS * rng.standard_exponential(n)).astype(np.int64)
    elapsed_ms = np.cumsum(gap_ms)
    of_day_ms = start_ms[session] + elapsed_ms - elapsed_ms[first]
    midnight_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000

    return _Shown(
        user=choose(rng, users.weight, n_sessions)[session],
        video=choose(rng, videos.weight, n),
        time_ms=midnight_ms + of_day_ms,
        context=Context(
            page=choose(rng, PAGE_COUNTS, n_sessions)[session],
            position=np.arange(n) - first + 1,
            # A session may outlast the day it began on; the log keeps it there.
            hour=of_day_ms / 3_600_000 % 24,
        ),
    )


def _react(rng: np.random.Generator, shown: _Shown, true: Truth, videos: Videos) -> dict[str, NDArray]:
    """What the users do, drawn from the truth."""
    n = len(shown.user)
    clicked = rng.random(n) < true.p_click
    duration = videos.duration_ms[shown.video]
    watched = draw_watch_ratio(true, rng)

    preview = np.minimum(_PREVIEW_MS, duration) * (shown.context.page == 0) * rng.random(n)
    # A whole number of milliseconds whose mean is exact: the fraction is the chance to round up.
    play = np.where(clicked, np.floor(watched * duration + rng.random(n)), np.floor(preview)).astype(np.int64)

    reaction: dict[str, NDArray] = {"is_click": clicked, "play_ms": play, "duration_ms": duration}
    for name, (level, slope) in _ENGAGEMENT.items():
        reaction[name] = clicked & (rng.random(n) < sigmoid(level + slope * np.minimum(watched, 1)))
    reaction["is_long_view"] = clicked & (play >= np.minimum(duration, _LONG_VIEW_MS))
    return reaction


def _deliver(
    rng: np.random.Generator,
    settings: SimulatorSettings,
    key: dict[str, pa.Array],
    shown: _Shown,
    reaction: dict[str, NDArray],
) -> list[pa.RecordBatch]:
    """Put the log together, and spoil a few rows whatever they say."""
    n = len(shown.user)
    limits = settings.messy_share * np.cumsum(_MESS)
    mess = np.searchsorted(limits, rng.random(n), side="right")
    play = np.where(mess == _NEGATIVE_PLAY, -1 - reaction["play_ms"], reaction["play_ms"])
    columns = {
        "page": pa.array(np.array(PAGES)[shown.context.page], pa.string()),
        "position": pa.array(shown.context.position, pa.int32()),
        **reaction,
        "play_ms": pa.array(play, mask=mess == _LOST_PLAY),
        "duration_ms": np.where(mess == _NO_DURATION, 0, reaction["duration_ms"]),
    }
    log = _batch(IMPRESSION_SCHEMA, key, columns)

    # What comes twice comes later, and the second time it may have been cut short.
    again = log.take(pa.array(np.flatnonzero(mess == _TWICE)))
    cut = (reaction["play_ms"][mess == _TWICE] * rng.choice([0.5, 1.0], again.num_rows)).astype(np.int64)
    return [log, again.set_column(IMPRESSION_SCHEMA.get_field_index("play_ms"), "play_ms", pa.array(cut))]


def _batch(schema: pa.Schema, *parts: Mapping[str, Any]) -> pa.RecordBatch:
    columns = {name: values for part in parts for name, values in part.items()}
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in schema.names], schema=schema)
