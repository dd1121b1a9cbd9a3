"""Is one model better than another? Paired differences per seed, with t intervals; Holm; users beside it.

A seed decides first values, the order of batches and the tickets. Two models of one seed share what they can,
so their difference is what is looked at. A bootstrap over users alone takes two seeds of one model for
different models; it is shown beside the interval over seeds, not in its place.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lt4rec_core.evaluation.metrics import Floats, Integers, WeightedAuc, squared_errors
from lt4rec_core.evaluation.uncertainty import Interval


def t_coverage(t: float, df: int) -> float:
    """Probability that a Student t variable of ``df`` degrees of freedom lies within ±t.

    The closed form for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    theta = math.atan2(abs(t), math.sqrt(df))
    cos, sin = math.cos(theta), math.sin(theta)
    term = cos if df % 2 else 1.0
    total = 0.0
    for k in range(3 if df % 2 else 2, df + 1, 2):
        total += term
        term *= cos * cos * (k - 1) / k
    if df % 2:
        return 2 / math.pi * (theta + sin * total)
    return sin * total


def t_quantile(level: float, df: int) -> float:
    """The t within which the share ``level`` of a Student t variable lies, by bisection."""
    low, high = 0.0, 1.0
    while t_coverage(high, df) < level:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_coverage(middle, df) < level else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Difference:
    """A mean paired difference, model less reference."""

    mean: float
    low: float
    high: float
    """Ends of the t interval; NaN with fewer than two pairs."""
    p_value: float
    """Of no difference, two-sided; NaN with fewer than two pairs."""
    n: int
    """Pairs."""


def paired_difference(values: npt.ArrayLike, reference: npt.ArrayLike, level: float = 0.95) -> Difference:
    """The mean of ``values - reference``, pair by pair, with its t interval.

    Args:
        values: (n,) a metric of one model under n seeds.
        reference: (n,) the same of another, in the same order of seeds.
        level: how often such an interval holds the true mean, over seeds.

    Raises:
        ValueError: lengths differ.
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"paired values need one value per seed on each side, got shapes {a.shape} and {b.shape}. "
            "Were both models run under the same seeds?"
        )
    d, n = a - b, len(a)
    mean = float(d.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    error = float(d.std(ddof=1)) / math.sqrt(n)
    if error == 0:  # all pairs alike: either no difference at all, or one without any spread
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, n)
    half = t_quantile(level, n - 1) * error
    return Difference(mean, mean - half, mean + half, 1 - t_coverage(mean / error, n - 1), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: below α, the adjusted p holds for all comparisons together.

    A NaN stays NaN and does not count as a comparison.
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


@dataclass(frozen=True)
class Judged:
    """The rows that a metric is measured on, the same for every model."""

    labels: Floats
    """(n,)"""
    users: Integers
    """(n,) numbered from 0 without a gap."""

    def draws(self, generator: np.random.Generator, n_replicates: int) -> npt.NDArray[np.int64]:
        """How often each user counts in each replicate, (n_replicates, n_users)."""
        n_users = int(self.users.max()) + 1
        return np.stack(
            [
                np.bincount(generator.integers(n_users, size=n_users), minlength=n_users)
                for _ in range(n_replicates)
            ]
        )

    def replicates(self, metric: str, scores: Floats, draws: npt.NDArray[np.int64]) -> Floats:
        """The metric (``auc`` or ``mse``) of these scores in every replicate, (n_replicates,)."""
        if metric == "auc":
            ranked = WeightedAuc(self.labels == 1, scores)
            return np.array([ranked.value(weights[self.users]) for weights in draws])
        n_users = draws.shape[1]
        errors = np.bincount(self.users, squared_errors(self.labels, scores), n_users)
        return (draws @ errors) / (draws @ np.bincount(self.users, minlength=n_users))


def user_interval(
    values: Mapping[int, Floats], reference: Mapping[int, Floats], level: float = 0.95
) -> Interval:
    """A percentile interval over users of the mean difference over seeds.

    Args:
        values: seed to the metric in every replicate, (n_replicates,), all under the same draws.
        reference: the same of the other model.
        level: the share of replicates inside.
    """
    difference = np.mean([values[seed] - reference[seed] for seed in values], axis=0)
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
