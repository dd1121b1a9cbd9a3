"""How likely a click is, and how long a clicked video is watched: the truth of the simulated platform.

For each block b of traits, SHARED, CLICK and WATCH, a user and a video have

    taste[b] = A <user[b], video[b]> / 2 + U user's effect[b] + V video's effect[b] + D category's drift[b]

and with s = ``shared_taste``, which is thereby the correlation of the two tastes,

    click    = sqrt(s) taste[SHARED] + sqrt(1 - s) taste[CLICK]
    watch    = sqrt(s) taste[SHARED] + sqrt(1 - s) taste[WATCH]
    p_click  = sigmoid(c0 + c1 click + c2 conflict clickbait + page + hour - c3 log(position))
    eta      = w0 + w1 watch - w2 conflict clickbait + page + hour - w3 log(duration / 70 s)

A click bounces with probability sigmoid(B - eta), is watched to the end with probability sigmoid(eta -
F), and in part otherwise. Each of the three has a watch ratio of known mean, so the expectation is exact,
clipping included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from lt4rec_core.data.simulator.population import Users, Videos
from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.data.simulator.world import CLICK, SHARED, WATCH, Floats, Ints, make_world

PAGES = ("feed", "discover", "follow", "search")
PAGE_COUNTS = (60, 20, 13, 7)
_PAGE_CLICK = np.array([0.0, -0.35, 0.45, 0.25])
_PAGE_WATCH = np.array([0.0, -0.15, 0.30, -0.10])
_HOUR_CLICK = 0.12  # evenings are for clicking
_HOUR_WATCH = 0.20  # and for watching, later still
_POSITION_CLICK = 0.22  # less, per unit of log position

# Shares of the variance of a taste: what fits whom, who likes anything, what anyone likes.
_AFFINITY, _USER, _VIDEO = 0.45**0.5, 0.2**0.5, 0.35**0.5
_DRIFT = 0.25

_CLICK_LEVEL, _CLICK_TASTE, _CLICK_BAIT = -0.27, 1.1, 0.7
_WATCH_LEVEL, _WATCH_TASTE, _WATCH_BAIT, _WATCH_DURATION = -0.36, 1.2, 0.7, 0.7

_BOUNCE, _FINISH = -1.75, 1.4  # thresholds on eta
_BOUNCE_LONGEST = 0.05  # a bounce's watch ratio is uniform up to here
_PARTIAL_LEVEL, _PARTIAL_SLOPE = 0.0, 0.5


@dataclass(frozen=True)
class Context:
    """Where and when something was shown; each field has shape (n,)."""

    page: Ints  # positions in PAGES
    position: Ints  # from 1
    hour: Floats  # local time of day in [0, 24)


@dataclass(frozen=True)
class Truth:
    """What is true of each impression; each field has shape (n,)."""

    p_click: Floats
    eta: Floats
    """How much a clicked video holds the user, on the scale of a logit."""

    @property
    def expected_watch_ratio(self) -> Floats:
        """Exact mean of ``least(play_ms / duration_ms, 1)`` given a click."""
        bounce, finish = sigmoid(_BOUNCE - self.eta), sigmoid(self.eta - _FINISH)
        partial = sigmoid(_PARTIAL_LEVEL + _PARTIAL_SLOPE * self.eta)
        return bounce * (_BOUNCE_LONGEST / 2) + finish + (1 - bounce - finish) * partial


def tastes(
    settings: SimulatorSettings, day: date, users: Users, videos: Videos, user: Ints, video: Ints
) -> tuple[Floats, Floats]:
    """Click taste and watch taste of pairs, (n,) each; their correlation over pairs is ``shared_taste``.

    ``user`` and ``video`` are positions in ``users`` and ``videos``, (n,) each.
    """
    users_traits, videos_traits = users.traits[user], videos.traits[video]  # (n, 3, N_DIMENSIONS + 1)
    affinity = np.einsum("nbk,nbk->nb", users_traits[:, :, :-1], videos_traits[:, :, :-1])
    affinity /= (users_traits.shape[2] - 1) ** 0.5
    swing = make_world(settings).swing(day, settings.drift)[:, :3]
    taste = _AFFINITY * affinity + _USER * users_traits[:, :, -1] + _VIDEO * videos_traits[:, :, -1]
    taste += _DRIFT * swing[videos.category[video]]

    both = settings.shared_taste**0.5 * taste[:, SHARED]
    own = (1 - settings.shared_taste) ** 0.5
    return both + own * taste[:, CLICK], both + own * taste[:, WATCH]


def judge(
    settings: SimulatorSettings,
    day: date,
    users: Users,
    videos: Videos,
    user: Ints,
    video: Ints,
    context: Context,
) -> Truth:
    """The truth about showing ``video`` to ``user`` in ``context``; arguments as for :func:`tastes`."""
    click, watch = tastes(settings, day, users, videos, user, video)
    bait = settings.conflict * videos.clickbait[video]
    log_duration = np.log(videos.duration_ms / 70_000)[video]

    click_logit = _CLICK_LEVEL + _CLICK_TASTE * click + _CLICK_BAIT * bait
    click_logit += _PAGE_CLICK[context.page] - _POSITION_CLICK * np.log(context.position)
    click_logit += _HOUR_CLICK * np.cos(2 * np.pi * (context.hour - 20) / 24)

    eta = _WATCH_LEVEL + _WATCH_TASTE * watch - _WATCH_BAIT * bait - _WATCH_DURATION * log_duration
    eta += _PAGE_WATCH[context.page] + _HOUR_WATCH * np.cos(2 * np.pi * (context.hour - 22) / 24)
    return Truth(sigmoid(click_logit), eta)


def draw_watch_ratio(truth: Truth, rng: np.random.Generator) -> Floats:
    """Watch ratios of clicks, (n,), not clipped: seen twice is 2. Their mean, clipped, is the truth."""
    n = len(truth.eta)
    which, part = rng.random(n), rng.random(n)
    bounced = which < sigmoid(_BOUNCE - truth.eta)
    finished = which >= 1 - sigmoid(truth.eta - _FINISH)
    # part ** k has mean 1 / (1 + k), which is sigmoid(x) for k = exp(-x).
    partial = part ** np.exp(-_PARTIAL_LEVEL - _PARTIAL_SLOPE * truth.eta)
    again = np.where(part < 0.15, -np.log(part / 0.15 + 1e-9) * 0.7, 0.0)  # some watch it once more
    return np.where(bounced, part * _BOUNCE_LONGEST, np.where(finished, 1 + again, partial))


def sigmoid(x: Floats) -> Floats:
    """The logistic function; arguments stay small here, so the plain form is exact."""
    return 1 / (1 + np.exp(-x))
