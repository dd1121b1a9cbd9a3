"""What lasts on the platform: attributes, how each of their values leans in taste, and the random streams.

*Traits* have shape (n, 3, N_DIMENSIONS + 1): three independent blocks, SHARED, CLICK and WATCH, each with
a taste vector and, last, one main effect. Every trait has mean 0 and variance 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lt4rec_core.data.simulator.settings import SimulatorSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARED, CLICK, WATCH = 0, 1, 2
N_DIMENSIONS = 4
N_TRAITS = (3, N_DIMENSIONS + 1)

# One stream of random numbers per purpose, so that none of them shifts another.
WORLD_STREAM, USER_STREAM, VIDEO_STREAM, VISIT_STREAM, IMPRESSION_STREAM, REQUEST_STREAM = range(6)

# Each value of an attribute, and how common it is.
# fmt: off
USER_ATTRIBUTES = {
    "age_bucket": {"12-17": 8, "18-23": 22, "24-30": 27, "31-40": 23, "41-49": 12, "50+": 8},
    "gender": {"female": 47, "male": 45, "undisclosed": 8},
    "country": {"AR": 6, "BR": 17, "DE": 7, "ID": 18, "IN": 22, "MX": 11, "TR": 8, "US": 11},
    "device": {"android_high": 27, "android_low": 33, "iphone": 25, "tablet": 7, "web": 8},
}
CATEGORIES = {
    "animals": 9, "beauty": 8, "comedy": 13, "dance": 9, "education": 6, "film": 9,
    "food": 10, "games": 9, "music": 10, "news": 5, "sports": 7, "travel": 5,
}
# fmt: on
TITLE_STYLES = ("plain", "question", "sensational")
TAGS_PER_CATEGORY = 5
N_AUTHORS = 800


@dataclass(frozen=True)
class World:
    """What lasts: how each attribute value leans in taste, and how categories come and go."""

    levels: dict[str, Floats]
    """Attribute -> traits of its values, shape (n_values, *N_TRAITS)."""

    category_log_duration: Floats
    """(n_categories,), mean 0 and variance 1."""

    periods: Floats
    """(n_categories, 4): days in which a category's taste (three blocks) and popularity swing once."""

    phases: Floats
    """(n_categories, 4), in turns."""

    def swing(self, day: date, drift: float) -> Floats:
        """Where the drift of each category stands on a day: (n_categories, 4), within [-drift, drift].

        Sine waves instead of a random walk: a day needs no other day, and no day is far out.
        """
        return drift * np.sin(2 * np.pi * (day.toordinal() / self.periods + self.phases))


def generator(settings: SimulatorSettings, stream: int, *key: int) -> np.random.Generator:
    """Random numbers that depend on the seed, the purpose and the key, and on nothing else."""
    return np.random.default_rng([settings.seed, stream, *key])


@lru_cache(maxsize=8)
def make_world(settings: SimulatorSettings) -> World:
    """Draw what lasts; attribute values are standardised, so every seed has tastes of the same strength."""
    rng = generator(settings, WORLD_STREAM)
    n_categories, category_counts = len(CATEGORIES), list(CATEGORIES.values())

    levels = {name: _levels(rng, list(values.values())) for name, values in USER_ATTRIBUTES.items()}
    levels["category"] = _levels(rng, category_counts)
    levels["author"] = _levels(rng, [1] * N_AUTHORS)
    levels["tag"] = _levels(rng, [1] * (n_categories * TAGS_PER_CATEGORY))

    return World(
        levels=levels,
        category_log_duration=_standardised(rng.standard_normal(n_categories), category_counts),
        periods=rng.uniform(12, 45, (n_categories, 4)),
        phases=rng.random((n_categories, 4)),
    )


def choose(rng: np.random.Generator, weights: Sequence[float] | Floats, n: int) -> Ints:
    """Draw ``n`` positions in proportion to their weights."""
    total = np.cumsum(weights, dtype=np.float64)
    return np.searchsorted(total, rng.random(n) * total[-1], side="right")


def correlated(values: Floats, correlation: float, rng: np.random.Generator) -> Floats:
    """Standard values that correlate with the given ones."""
    return correlation * values + (1 - correlation**2) ** 0.5 * rng.standard_normal(len(values))


def mix(rng: np.random.Generator, parts: dict[str, tuple[Floats, float]]) -> Floats:
    """Add up traits in the given shares of variance; the individual's own has what is left."""
    n = len(next(iter(parts.values()))[0])
    own = (1 - sum(share for _, share in parts.values())) ** 0.5 * rng.standard_normal((n, *N_TRAITS))
    return own + sum(share**0.5 * values for values, share in parts.values())


def _levels(rng: np.random.Generator, counts: list[int]) -> Floats:
    """Traits of the values of an attribute.

    A handful of values would correlate by chance, and so would the tastes: main effects are made
    uncorrelated, the last block's excepted where an attribute has too few values for that.
    """
    levels = _standardised(rng.standard_normal((len(counts), *N_TRAITS)), counts)
    mains = levels[:, :, -1]  # a view
    for i, block in enumerate((CLICK, WATCH, SHARED)[: len(counts) - 1]):
        for earlier in (CLICK, WATCH)[:i]:
            overlap = np.average(mains[:, block] * mains[:, earlier], weights=counts)
            mains[:, block] -= overlap * mains[:, earlier]
        mains[:, block] = _standardised(mains[:, block], counts)
    return levels


def _standardised(values: Floats, counts: list[int]) -> Floats:
    """Mean 0 and variance 1 along the first axis, each level counted as often as it occurs."""
    centred = values - np.average(values, axis=0, weights=counts)
    return centred / np.sqrt(np.average(centred**2, axis=0, weights=counts))
