"""How far a day's metrics would move with other users: 95 % intervals by a bootstrap over users.

A user's impressions resemble each other, so users are drawn, not rows: a bootstrap over rows would give
intervals that are too narrow. Each replicate draws as many users as there are, with replacement; a row then
counts as often as its user was drawn. The rows are sorted once, a replicate only weighs them anew.

The intervals say how certain a measured value of *this* model is, not how another seed would have done.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lt4rec_core.evaluation.metrics import (
    Floats,
    Integers,
    WeightedAuc,
    auc_by_group,
    cross_entropies,
    squared_errors,
)

METRICS = ("auc", "gauc", "mse", "log_loss", "pcoc")
"""The metrics with an interval, as ``evaluation.daily_metrics`` names them."""


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``; both NaN where there is none (fewer than two users, one class)."""

    low: float
    high: float


@dataclass(frozen=True)
class ScoredRows:
    """One model's scores on one task's rows, ready to be weighed by user many times."""

    scores: Floats
    """(n,) predictions in [0, 1]."""

    labels: Floats
    """(n,) what MSE, log loss and calibration compare with; may be soft (a watch ratio)."""

    is_positive: npt.NDArray[np.bool_]
    """(n,) what AUC and GAUC rank: the label itself, or the soft label cut at its threshold."""

    users: Integers
    """(n,) each row's user, numbered from 0 without a gap."""

    @cached_property
    def n_users(self) -> int:
        """How many users there are to draw from."""
        return int(self.users.max()) + 1 if len(self.users) else 0

    @cached_property
    def _auc(self) -> WeightedAuc:
        return WeightedAuc(self.is_positive, self.scores)

    @cached_property
    def _user_sums(self) -> dict[str, Floats]:
        """What each user adds to the numerators and denominators of the means, (n_users,) each."""
        auc, n_rows = auc_by_group(self.is_positive, self.scores, self.users)
        has_auc = ~np.isnan(auc)
        terms = {
            "squared": squared_errors(self.labels, self.scores),
            "entropy": cross_entropies(self.labels, self.scores),
            "predicted": self.scores,
            "observed": self.labels,
        }
        sums = {name: np.bincount(self.users, term, self.n_users) for name, term in terms.items()}
        sums["n_rows"] = n_rows
        # A user's own AUC does not change with the user's weight, so GAUC is a ratio of sums over users too.
        sums["n_ranked"] = np.where(has_auc, n_rows, 0.0)
        sums["ranked"] = np.where(has_auc, auc, 0.0) * n_rows
        return {name: column.astype(np.float64) for name, column in sums.items()}

    def weighted(self, user_weights: Integers) -> dict[str, float]:
        """Every metric where user u counts ``user_weights[u]`` times; NaN where undefined."""
        total = {name: float((user_weights * sums).sum()) for name, sums in self._user_sums.items()}
        return {
            "auc": self._auc.value(user_weights[self.users]),
            "gauc": _ratio(total["ranked"], total["n_ranked"]),
            "mse": _ratio(total["squared"], total["n_rows"]),
            "log_loss": _ratio(total["entropy"], total["n_rows"]),
            "pcoc": _ratio(total["predicted"], total["observed"]),
        }


def user_intervals(
    rows: ScoredRows, generator: np.random.Generator, n_replicates: int = 200, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile intervals of every metric in ``METRICS``.

    Args:
        rows: the scored rows of one model and task.
        generator: where the draws come from. The same seed and users give the same draws, whatever the
            scores: two models measured so are compared on the same replicates.
        n_replicates: how many times the users are drawn.
        level: the share of replicates that lie inside.

    Returns:
        One interval per metric. Replicates that leave a metric undefined are left out of its interval.
    """
    if rows.n_users < 2:
        return {metric: Interval(float("nan"), float("nan")) for metric in METRICS}
    values = np.empty((n_replicates, len(METRICS)))
    for i in range(n_replicates):
        drawn = generator.integers(rows.n_users, size=rows.n_users)
        weighted = rows.weighted(np.bincount(drawn, minlength=rows.n_users))
        values[i] = [weighted[metric] for metric in METRICS]
    return {metric: _percentiles(values[:, j], level) for j, metric in enumerate(METRICS)}


def _percentiles(values: Floats, level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
