"""Metrics that are ratios of sums over users, policies compared by them: over seeds, and over users.

What a policy gets from a user's requests resembles itself, so users are drawn, not requests. All policies,
metrics and seeds meet the same draws.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lt4rec_core.errors import TrainingError
from lt4rec_core.evaluation.metrics import Floats
from lt4rec_core.evaluation.paired import paired_difference

UserNames = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Ratio:
    """One metric under one seed: what each user adds above and below the line."""

    users: UserNames
    """(u,) different names."""
    numerator: Floats
    """(u,)"""
    denominator: Floats
    """(u,)"""

    @classmethod
    def of(cls, users: npt.ArrayLike, numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> "Ratio":
        """From rows, (n,) each, of which a user may have several."""
        names, codes = np.unique(np.asarray(users, dtype=str), return_inverse=True)
        above, below = (np.asarray(x, dtype=np.float64) for x in (numerator, denominator))
        sums = (np.bincount(codes, each, len(names)).astype(np.float64) for each in (above, below))
        return cls(names, *sums)

    @property
    def value(self) -> float:
        """NaN where nothing counts."""
        below = float(self.denominator.sum())
        return float(self.numerator.sum()) / below if below else math.nan

    def replicates(self, everyone: UserNames, draws: npt.NDArray[np.int64]) -> Floats:
        """The value in each draw (r, n_everyone) of everyone, (r,)."""
        weights = draws[:, np.searchsorted(everyone, self.users)]
        below = weights @ self.denominator
        return np.divide(weights @ self.numerator, below, out=np.full(len(draws), math.nan), where=below != 0)


Measured = Mapping[str, Mapping[str, Mapping[int, Ratio]]]
"""Metric to policy to seed to what was measured."""


def by_metric(
    found: Mapping[int, Mapping[str, Mapping[str, Ratio]]],
) -> dict[str, dict[str, dict[int, Ratio]]]:
    """Seed to policy to metric, turned to metric to policy to seed, as ``compare_policies`` takes it."""
    turned: dict[str, dict[str, dict[int, Ratio]]] = {}
    for seed, policies in found.items():
        for policy, metrics in policies.items():
            for metric, ratio in metrics.items():
                turned.setdefault(metric, {}).setdefault(policy, {})[seed] = ratio
    return turned


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One policy and metric against the reference."""

    metric: str
    policy: str
    n_seeds: int
    value: float
    """Mean over seeds."""
    value_low: float
    value_high: float
    """95 % of it over users."""
    reference: str
    reference_value: float
    difference: float
    relative: float
    ci_low: float
    ci_high: float
    """95 % t interval of the difference, over seeds."""
    p_value: float
    user_low: float
    user_high: float
    """95 % of the difference over users: how certain for *these* models."""


def compare_policies(
    measured: Measured, reference: str, n_replicates: int = 500, seed: int = 0
) -> list[Compared]:
    """Every policy, the reference too, in each metric that it has.

    Where the reference lacks a metric, what is said of the difference is NaN.

    Args:
        measured: under the same seeds for all policies of a metric.
        reference: the policy that the others are compared with.
        n_replicates: how many times users are drawn.
        seed: of those draws.

    Raises:
        TrainingError: seeds differ.
    """
    everyone = np.unique(
        [n for m in measured.values() for p in m.values() for r in p.values() for n in r.users.tolist()]
    )
    generator = np.random.default_rng(seed)
    draws = np.stack(
        [
            np.bincount(generator.integers(len(everyone), size=len(everyone)), minlength=len(everyone))
            for _ in range(n_replicates)
        ]
    )
    rows = []
    for metric, policies in measured.items():
        drawn = {name: _mean_of(ratios, everyone, draws) for name, ratios in policies.items()}
        for name, ratios in policies.items():
            if reference in policies and set(policies[reference]) != set(ratios):
                raise TrainingError(
                    f"{name!r} was measured under the seeds {sorted(ratios)} and {reference!r} under "
                    f"{sorted(policies[reference])}: only pairs can be compared. Finish the missing ones."
                )
            rows.append(_compared(metric, name, reference, policies, drawn))
    return rows


def _compared(
    metric: str, name: str, reference: str, policies: Mapping[str, Mapping[int, Ratio]],
    drawn: Mapping[str, Floats],
) -> Compared:  # fmt: skip
    seeds = sorted(policies[name])
    values = [policies[name][seed].value for seed in seeds]
    others = [policies[reference][seed].value for seed in seeds] if reference in policies else []
    found = paired_difference(values, others or [math.nan] * len(values))
    mean = float(np.mean(others)) if others else math.nan
    low, high = _percentiles(drawn[name])
    user_low, user_high = _percentiles(drawn[name] - drawn[reference]) if others else (math.nan, math.nan)
    return Compared(
        metric=metric, policy=name, n_seeds=len(seeds), value=float(np.mean(values)),
        value_low=low, value_high=high, reference=reference, reference_value=mean,
        difference=found.mean, relative=found.mean / mean if mean else math.nan,
        ci_low=found.low, ci_high=found.high, p_value=found.p_value, user_low=user_low, user_high=user_high,
    )  # fmt: skip


def _mean_of(ratios: Mapping[int, Ratio], everyone: UserNames, draws: npt.NDArray[np.int64]) -> Floats:
    """The mean over seeds in every draw, (r,)."""
    mean: Floats = np.mean([ratio.replicates(everyone, draws) for ratio in ratios.values()], axis=0)
    return mean


def _percentiles(values: Floats) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)
