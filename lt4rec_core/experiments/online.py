"""The online experiment: policies rank the candidates of simulated requests, users react (paper, Table 3).

All policies meet the same requests with the same draws, so two that rank alike are answered alike.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from lt4rec_core.config import check
from lt4rec_core.data.simulator import Requests
from lt4rec_core.evaluation.metrics import Floats
from lt4rec_core.experiments.policies import (
    ONES,
    RANDOM,
    Exponents,
    Policy,
    RowScores,
    all_scores,
)
from lt4rec_core.experiments.ratios import Ratio
from lt4rec_core.serving.ranker import best_first

METRICS = ("view_time", "expected_view_time", "ctr", "cvr")
"""Seconds watched per request, drawn and by the true probabilities; clicks per video shown; mean watch ratio
of clicks. A video counts up to its length, however often it is seen."""

GRID = (0.0, 0.5, 1.0, 2.0)
"""Values of each exponent that are tried."""


Sums = Mapping[str, tuple[Floats, Floats]]
"""``METRICS`` to what each request adds above and below the line, (n,) each."""


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """How large the experiment is."""

    n_requests: int = 1000
    """Of each test day, under each seed."""

    n_candidates: int = 50
    """Videos that a request chooses among."""

    n_shown: int = 10
    """Best of them that its user sees, one after the other; the log's sessions have 9 on average."""

    def __post_init__(self) -> None:
        for name in ("n_requests", "n_candidates", "n_shown"):
            value = getattr(self, name)
            check(
                isinstance(value, int) and not isinstance(value, bool) and value >= 1,
                f"{name} is a number of at least 1, got {value!r}.",
            )
        check(
            self.n_shown <= self.n_candidates,
            f"n_shown is {self.n_shown}, more than the {self.n_candidates} candidates of a request. "
            "Show fewer or draw more.",
        )


def outcomes(scores: Floats, requests: Requests, n_shown: int) -> dict[str, Ratio]:
    """Show each request its best candidates and sum up what its user does.

    Args:
        scores: (n, m) what a policy ranks by; equal ones keep the candidates' order.
        requests: with all that chance decides.
        n_shown: how many are shown.

    Returns:
        ``METRICS`` to their sums per user.
    """
    sums = _sums(scores, requests, n_shown)
    return {metric: Ratio.of(requests.user_ids, *both) for metric, both in sums.items()}


def _sums(scores: Floats, requests: Requests, n_shown: int) -> Sums:
    seen = requests.react(best_first(scores)[:, :n_shown])
    clicks, each = seen.clicked.sum(axis=1).astype(np.float64), np.ones(len(requests))
    watched = (seen.watch_ratio * seen.seconds).sum(axis=1)
    expected = (seen.p_click * seen.expected_watch_ratio * seen.seconds).sum(axis=1)
    return {
        "view_time": (watched, each),
        "expected_view_time": (expected, each),
        "ctr": (clicks, n_shown * each),
        "cvr": (seen.watch_ratio.sum(axis=1), clicks),
    }


def joined(parts: Iterable[Mapping[str, Ratio]]) -> dict[str, Ratio]:
    """The sums of several days as those of one."""
    parts = list(parts)
    return {
        metric: Ratio.of(
            np.concatenate([part[metric].users for part in parts]),
            np.concatenate([part[metric].numerator for part in parts]),
            np.concatenate([part[metric].denominator for part in parts]),
        )
        for metric in parts[0]
    }


@dataclass(frozen=True)
class Day:
    """One day's requests, and what the rows' rankers say of their candidates."""

    requests: Requests
    rows: RowScores


def simulate(
    days: Sequence[Day], policies: Sequence[Policy], n_shown: int, exponents: Exponents = ONES
) -> dict[str, dict[str, Ratio]]:
    """Policy to metric to sums over all days; the oracle and lots are among the policies."""
    parts: dict[str, list[dict[str, Ratio]]] = {}
    for day in days:
        for name, scores in all_scores(policies, day.rows, day.requests, exponents).items():
            parts.setdefault(name, []).append(outcomes(scores, day.requests, n_shown))
    return {name: joined(found) for name, found in parts.items()}


def sweep(
    days: Sequence[Day], policies: Sequence[Policy], n_shown: int, grid: Sequence[float] = GRID
) -> dict[tuple[str, Exponents], dict[str, float]]:
    """Every policy at every setting of the exponents but lots, which have none: metric to value."""
    found: dict[tuple[str, Exponents], dict[str, float]] = {}
    for a, b, c in product(grid, repeat=3):
        if a == b == c == 0:  # orders nothing
            continue
        parts: dict[str, list[Sums]] = {}
        for day in days:
            for name, scores in all_scores(policies, day.rows, day.requests, (a, b, c)).items():
                if name != RANDOM:
                    parts.setdefault(name, []).append(_sums(scores, day.requests, n_shown))
        found |= {(name, (a, b, c)): _values(sums) for name, sums in parts.items()}
    return found


def _values(days: Sequence[Sums]) -> dict[str, float]:
    """Metric to its value over several days."""
    values = {}
    for metric in METRICS:
        above, below = (sum(float(sums[metric][i].sum()) for sums in days) for i in (0, 1))
        values[metric] = above / below if below else math.nan
    return values
