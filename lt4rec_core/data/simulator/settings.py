"""What can be set about the simulated platform, and how each setting is checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lt4rec_core.errors import ConfigError

_LARGEST_COHORT = 10_000_000  # ids number the members of a cohort with seven digits
_MOST_COHORTS = 3_650  # ten years of joining; each costs a little time on every day


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """How large the platform is, and how its two tastes relate. The defaults are calibrated and frozen."""

    seed: int = 20260105
    """Seed of the world. Everything is derived from it and from dates, never from the order of calls."""

    n_users: int = 4_000
    """Users alive on a day. The longest-standing leave as new ones join, so the number stays."""

    new_users_per_day: int = 50
    """Users who join on each day; they are in that day's log, but not yet in that day's ``users``."""

    n_videos: int = 6_000
    """Videos that can be shown on a day. The oldest retire as new ones are uploaded."""

    new_videos_per_day: int = 100
    """Videos uploaded on each day; in that day's log, but not yet in that day's ``videos``."""

    impressions_per_day: int = 30_000
    """Impressions of an average day; weekdays have fewer, weekends more, a week seven times as many."""

    shared_taste: float = 0.5
    """Correlation of the click taste and the watch taste over (user, video) pairs, in [0, 1]."""

    conflict: float = 0.5
    """How strongly clickbait raises clicks and lowers watches, in [0, 1]; 0 removes it."""

    drift: float = 1.0
    """How far tastes and popularity move from day to day; 0 stops them."""

    messy_share: float = 0.005
    """Share of delivered rows that a careful reader has to reject, in [0, 0.5]."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if field.type == "int" and not (is_number and isinstance(value, int)):
                raise ConfigError(
                    f"simulator setting {field.name} must be a whole number, got {value!r}. {_WHERE}"
                )
            if not is_number:
                raise ConfigError(f"simulator setting {field.name} must be a number, got {value!r}. {_WHERE}")

        self._check("seed", 0, 2**63 - 1)
        self._check("new_users_per_day", 1, _LARGEST_COHORT)
        self._check("new_videos_per_day", 1, _LARGEST_COHORT)
        # Someone must be left once the day's joiners, whom nobody knows yet, are taken away.
        self._check("n_users", self.new_users_per_day + 1, _MOST_COHORTS * self.new_users_per_day)
        self._check("n_videos", self.new_videos_per_day + 1, _MOST_COHORTS * self.new_videos_per_day)
        self._check("impressions_per_day", 1, 10**9)
        self._check("shared_taste", 0, 1)
        self._check("conflict", 0, 1)
        self._check("drift", 0, 10)
        self._check("messy_share", 0, 0.5)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:  # also refuses NaN
            raise ConfigError(
                f"simulator setting {name} must lie between {low} and {high}, got {value!r}. {_WHERE}"
            )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> SimulatorSettings:
        """Read a table of settings, such as ``[generator.settings]``; what it lacks keeps its default.

        Raises:
            ConfigError: a name is unknown, or a value is of the wrong kind or out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ConfigError(
                f"the simulator has no setting {', '.join(map(repr, unknown))}; "
                f"it knows {', '.join(known)}. {_WHERE}"
            )
        return cls(**settings)


_WHERE = (
    "See docs/SOURCES.md; settings stand in source.toml, [generator.settings], or in lt4rec.toml, [source]."
)
