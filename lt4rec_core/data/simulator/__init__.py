"""A video platform whose true click and watch probabilities are known.

Reading order: ``settings`` (what can be set), ``world`` (what lasts), ``population`` (users and videos),
``behaviour`` (the truth), ``impressions`` (the log), ``requests`` (users who ask a ranker and react to it),
``report`` (the figures it is calibrated to). This file is what the ``[generator]`` of a source has to offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from lt4rec_core.data.simulator.impressions import impressions_on
from lt4rec_core.data.simulator.population import Users, Videos, users_on, videos_on
from lt4rec_core.data.simulator.requests import Reactions, Requests, draw_requests
from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.data.simulator.world import CATEGORIES, TAGS_PER_CATEGORY, TITLE_STYLES, USER_ATTRIBUTES

__all__ = ["Reactions", "Requests", "SimulatorSettings", "default_days", "draw_requests", "generate"]

_FIRST_DAY = date(2026, 1, 5)  # a Monday
_N_DAYS = 14
_EPOCH = date(1970, 1, 1).toordinal()


def default_days() -> tuple[date, date]:
    """First and last day, inclusive, of the simulated fortnight. Other days can be generated just as well."""
    return _FIRST_DAY, _FIRST_DAY + timedelta(days=_N_DAYS - 1)


def generate(day: date, settings: Mapping[str, Any]) -> dict[str, pa.Table]:
    """What the platform delivers for one day: a function of the day and the settings, and of nothing else.

    Args:
        day: any day, in UTC.
        settings: fields of :class:`SimulatorSettings`; what is left out keeps its default.

    Returns:
        ``impressions``: the log of the day. ``users``, ``videos``: as known at the start of the day, so
        those who join on it are in its log only. ``truth``: p_click and expected_watch_ratio (given a
        click) of each impression, with its date, user_id, video_id and time_ms.

    Raises:
        ConfigError: a setting is unknown, of the wrong kind or out of range.
    """
    checked = SimulatorSettings.from_mapping(settings)
    users, videos = users_on(checked, day), videos_on(checked, day)
    impressions, truth = impressions_on(checked, day, users, videos)
    return {
        "impressions": impressions,
        "truth": truth,
        "users": _known_users(users, day),
        "videos": _known_videos(videos, day),
    }


def _known_users(users: Users, day: date) -> pa.Table:
    n = len(users.joined) - users.n_new
    columns: dict[str, pa.Array] = {"date": _repeated(day, n), "user_id": users.ids[:n]}
    for name, values in USER_ATTRIBUTES.items():
        columns[name] = pa.array(list(values)).take(pa.array(users.attributes[name][:n]))
    columns["joined_on"] = _as_dates(users.joined[:n])
    return pa.table(columns)


def _known_videos(videos: Videos, day: date) -> pa.Table:
    n = len(videos.uploaded) - videos.n_new
    return pa.table(
        {
            "date": _repeated(day, n),
            "video_id": videos.ids[:n],
            "author_id": pa.array([f"a{author}" for author in videos.author[:n]], pa.string()),
            "category": pa.array(list(CATEGORIES)).take(pa.array(videos.category[:n])),
            "tags": _tag_lists(videos, n),
            "title_style": pa.array(TITLE_STYLES).take(pa.array(videos.title_style[:n])),
            "duration_ms": pa.array(videos.duration_ms[:n]),
            "uploaded_on": _as_dates(videos.uploaded[:n]),
        }
    )


def _tag_lists(videos: Videos, n: int) -> pa.ListArray:
    """Tags by name, such as ``music_3``, without repeating one within a video."""
    names = pa.array([f"{category}_{i + 1}" for category in CATEGORIES for i in range(TAGS_PER_CATEGORY)])
    tags = videos.tags[:n]
    is_there = tags >= 0
    is_there[:, 1:] &= tags[:, 1:] != tags[:, :1]
    is_there[:, 2] &= tags[:, 2] != tags[:, 1]
    offsets = [0, *is_there.sum(axis=1).cumsum()]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(tags[is_there])))


def _repeated(day: date, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(day, pa.date32()), n)


def _as_dates(ordinals: Any) -> pa.Array:
    return pa.array((ordinals - _EPOCH).astype("int32")).cast(pa.date32())
