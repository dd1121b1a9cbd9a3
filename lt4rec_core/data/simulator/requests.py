"""Users who ask a ranker for videos, and how they react to what it shows them.

Everything that chance decides about a request is drawn before anything is ranked, for every candidate:
whether its user would click it at a given place, and how long the video would then be watched. So policies
that show the same are answered the same, and policies that differ differ by what they show, not by luck.

Shapes: n requests, m candidates each, k of them shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lt4rec_core.config import check
from lt4rec_core.data.simulator.behaviour import (
    PAGE_COUNTS,
    PAGES,
    Context,
    Truth,
    draw_watch_ratio,
    judge,
)
from lt4rec_core.data.simulator.impressions import hour_volume
from lt4rec_core.data.simulator.population import Users, Videos, users_on, videos_on
from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.data.simulator.world import REQUEST_STREAM, Floats, Ints, choose, generator


@dataclass(frozen=True)
class Reactions:
    """What users did with what they were shown; each field has shape (n, k)."""

    clicked: NDArray[np.bool_]
    watch_ratio: Floats
    """Share of the video that was watched, in [0, 1]; 0 without a click."""
    seconds: Floats
    """Length of the video."""
    p_click: Floats
    """True probability of the click, at the place where it was shown."""
    expected_watch_ratio: Floats
    """True mean of the watch ratio, given a click."""


@dataclass(frozen=True)
class Requests:
    """Requests of one day, with all that chance decides about them."""

    day: date
    user_ids: list[str]
    """(n,)"""
    video_ids: list[list[str]]
    """(n, m), no video twice in a request."""
    pages: list[str]
    """(n,)"""
    occurred_at: list[datetime]
    """(n,) UTC, as the logs have it."""
    duration_ms: Ints
    """(n, m)"""
    lots: Floats
    """(n, m) in [0, 1): an order that knows nothing."""
    p_click: Floats
    """(n, m) true probability of a click in the first place."""
    expected_watch_ratio: Floats
    """(n, m) its true mean, given a click; the place does not matter."""

    _settings: SimulatorSettings
    _users: Users
    _videos: Videos
    _user: Ints  # (n,)
    _video: Ints  # (n, m)
    _page: Ints  # (n,)
    _hour: Floats  # (n,)
    _chance: Floats  # (n, m)
    _watch_ratio: Floats  # (n, m), what would be watched if it was clicked

    def __len__(self) -> int:
        return len(self.user_ids)

    def react(self, shown: Ints) -> Reactions:
        """Show candidates and see what their users do.

        Args:
            shown: (n, k) positions among the candidates, the one in the first place first.
        """
        place = np.broadcast_to(np.arange(1, shown.shape[1] + 1), shown.shape)

        def of(values: NDArray[Any]) -> NDArray[Any]:
            return np.take_along_axis(values, shown, axis=1)

        true = _judge(
            self._settings, self.day, self._users, self._videos, self._user, of(self._video),
            self._page, self._hour, place,
        )  # fmt: skip
        p_click = true.p_click.reshape(shown.shape)
        clicked = of(self._chance) < p_click
        return Reactions(
            clicked=clicked,
            watch_ratio=np.where(clicked, of(self._watch_ratio), 0.0),
            seconds=of(self.duration_ms) / 1000,
            p_click=p_click,
            expected_watch_ratio=of(self.expected_watch_ratio),
        )


def draw_requests(
    day: date, settings: Mapping[str, Any], n: int, n_candidates: int = 50, draw: int = 0
) -> Requests:
    """Draw requests as the log's sessions are drawn: who comes, when, where, and what could be shown.

    Args:
        day: whose users, videos and drift.
        settings: fields of :class:`SimulatorSettings`; what is left out keeps its default.
        n: how many; the first ones do not depend on it.
        n_candidates: videos of each request, in proportion to how often the log shows them, none twice.
        draw: another number gives other requests.

    Raises:
        ConfigError: a setting is wrong, or there are not as many videos as candidates.
    """
    checked = SimulatorSettings.from_mapping(settings)
    check(n >= 1, f"At least 1 request is needed, got {n}.")
    check(
        1 <= n_candidates <= checked.n_videos,
        f"A request has from 1 to {checked.n_videos} candidates, which are all videos, got {n_candidates}. "
        "Ask for fewer, or raise the simulator's n_videos.",
    )
    users, videos = users_on(checked, day), videos_on(checked, day)
    streams = [generator(checked, REQUEST_STREAM, day.toordinal(), draw, i) for i in range(n)]
    user = np.array([choose(rng, users.weight, 1)[0] for rng in streams])
    page = np.array([choose(rng, PAGE_COUNTS, 1)[0] for rng in streams])
    hour = np.array([choose(rng, hour_volume(day), 1)[0] + rng.random() for rng in streams])
    video = np.stack([_some(rng, videos.weight, n_candidates) for rng in streams])
    lots = np.stack([rng.random(n_candidates) for rng in streams])
    chance = np.stack([rng.random(n_candidates) for rng in streams])

    first = np.ones(video.shape, dtype=np.int64)
    true = _judge(checked, day, users, videos, user, video, page, hour, first)
    eta, p_click = true.eta.reshape(video.shape), true.p_click.reshape(video.shape)
    watched = [draw_watch_ratio(Truth(p, e), rng) for p, e, rng in zip(p_click, eta, streams, strict=True)]
    midnight, ids = datetime(day.year, day.month, day.day), np.array(videos.ids.to_pylist())
    return Requests(
        day=day,
        user_ids=[users.ids[int(u)].as_py() for u in user],
        video_ids=ids[video].tolist(),
        pages=[PAGES[p] for p in page],
        occurred_at=[midnight + timedelta(hours=float(h)) for h in hour],
        duration_ms=videos.duration_ms[video],
        lots=lots,
        p_click=p_click,
        expected_watch_ratio=true.expected_watch_ratio.reshape(video.shape),
        _settings=checked, _users=users, _videos=videos, _user=user, _video=video, _page=page, _hour=hour,
        _chance=chance, _watch_ratio=np.minimum(watched, 1.0),
    )  # fmt: skip


def _judge(
    settings: SimulatorSettings, day: date, users: Users, videos: Videos,
    user: Ints, video: Ints, page: Ints, hour: Floats, place: Ints,
) -> Truth:  # fmt: skip
    """The truth about each video (n, k) in its place (n, k), flat: (n k,)."""
    k = video.shape[1]
    context = Context(page=page.repeat(k), position=place.ravel(), hour=hour.repeat(k))
    return judge(settings, day, users, videos, user.repeat(k), video.ravel(), context)


def _some(rng: np.random.Generator, weights: Floats, n: int) -> Ints:
    """Draw ``n`` different positions in proportion to their weights, one after the other; in their order."""
    waited = rng.standard_exponential(len(weights)) / weights
    return np.sort(np.argpartition(waited, n - 1)[:n])
