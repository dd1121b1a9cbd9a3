"""Whether a day's ranker goes into use, or the last good one stays.

A new model cannot be measured before its first day has passed. So two models are judged by the day's samples:
yesterday's, which never saw them and is the newest that can be measured fairly, and the new one, which
trained on them. Where the second fails although it has seen the answers, training went wrong. Both must pass
the floors, and neither may be worse than the ranker in use beyond the interval of the difference.

Rankers that went into use are measured too, by every day that follows: see ``review``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.evaluation.metrics import Floats, Integers
from lt4rec_core.evaluation.uncertainty import Interval, ScoredRows
from lt4rec_core.serving.settings import ServingConfig

Scores = Mapping[str, Floats]
"""``ctr`` and ``cvr`` to the predictions of the day's samples, (n,)."""


@dataclass(frozen=True)
class Finding:
    """One rule, applied to one model."""

    rule: str
    holds: bool
    message: str


@dataclass(frozen=True)
class Decision:
    """What was decided for a day, and why."""

    promoted: bool
    findings: tuple[Finding, ...]
    in_use: date | None
    """The day of the ranker that was in use before; None without one."""

    @property
    def reason(self) -> str:
        """What failed, or that nothing did."""
        failed = [finding.message for finding in self.findings if not finding.holds]
        return "; ".join(failed) or f"all {len(self.findings)} rules hold"


@dataclass(frozen=True)
class DayRows:
    """The labels of a day's samples, and whose they are."""

    clicks: Floats
    """(n,) 0 or 1."""
    watch_ratios: Floats
    """(n,) NaN without a click."""
    users: Integers
    """(n,) numbered from 0 without a gap."""

    @classmethod
    def of(cls, samples: SampleSet, user_ids: Sequence[str]) -> "DayRows":
        """From samples, and the ``user_id`` of each."""
        _, users = np.unique(np.asarray(user_ids), return_inverse=True)
        labels = samples.labels
        return cls(labels["is_click"].double().numpy(), labels["watch_ratio"].double().numpy(), users)

    def scored(self, scores: Scores) -> dict[str, ScoredRows]:
        """CTR over all samples; CVR over the clicks, by the same numbers of users."""
        known = np.isfinite(self.watch_ratios)
        watched = self.watch_ratios[known]
        return {
            "ctr": ScoredRows(scores["ctr"], self.clicks, self.clicks == 1, self.users),
            "cvr": ScoredRows(scores["cvr"][known], watched, watched > 0.5, self.users[known]),
        }


def decide(
    config: ServingConfig,
    rows: DayRows,
    models: Mapping[str, Scores],
    constant_mse: float | None,
    in_use: tuple[date, Scores] | None,
    seed: int,
) -> Decision:
    """Judge a day's ranker.

    Args:
        config: the floors.
        rows: labels of the day's samples.
        models: what to call each judged model, to its scores of these samples.
        constant_mse: CVR's MSE of the mean label of the days before; None where it is not known.
        in_use: the ranker in use: its day and its scores of these samples, the same object as in ``models``
            where it is one of them; None without one.
        seed: of the draws of users.
    """
    findings: list[Finding] = []
    for name, scores in models.items():
        scored = rows.scored(scores)
        findings += _floors(config, name, scored, constant_mse)
        # The one in use cannot be worse than itself.
        if config.no_regression and in_use is not None and in_use[1] is not scores:
            day, theirs = in_use
            findings += _regressions(config, name, scored, day, rows.scored(theirs), seed)
    return Decision(all(f.holds for f in findings), tuple(findings), in_use[0] if in_use else None)


@dataclass(frozen=True)
class Review:
    """What a day says of the rankers that stood before it."""

    in_use: tuple[str, Scores] | None
    """The newest that holds the floors, by its name, with its scores; None without any ranker."""
    withdrawn: Mapping[str, str]
    """Those newer than it, by name, and why."""
    spared: str = ""
    """Why nothing was withdrawn although floors were missed."""


def review(
    config: ServingConfig, rows: DayRows, rankers: Iterable[tuple[str, Scores]], constant_mse: float | None
) -> Review:
    """Hold the floors against the rankers that stand, the one in use first, until one of them passes.

    One that fails is withdrawn where an older one passes. Where none passes the day is at fault, or there is
    nothing better: all stay, since a ranking below a floor is better than none.

    Args:
        config: the floors.
        rows: labels of the day's samples.
        rankers: name and scores of these samples, the one in use first; read no further than needed.
        constant_mse: as for ``decide``.
    """
    failed: dict[str, str] = {}
    first: tuple[str, Scores] | None = None
    for name, scores in rankers:
        first = first or (name, scores)
        findings = _floors(config, f"the ranker {name}", rows.scored(scores), constant_mse)
        reason = "; ".join(finding.message for finding in findings if not finding.holds)
        if not reason:
            return Review((name, scores), failed)
        failed[name] = reason
    if first is None:
        return Review(None, {})
    return Review(first, {}, f"none that stands holds the floors, so none is withdrawn: {failed[first[0]]}")


def _floors(
    config: ServingConfig, name: str, scored: Mapping[str, ScoredRows], constant_mse: float | None
) -> list[Finding]:
    values = {task: _value(one, metric) for (task, metric), one in zip(JUDGED, scored.values(), strict=True)}
    found = []
    if config.auc_floor > 0:
        told = f"CTR AUC of {name} is {values['ctr']:.4f}, floor {config.auc_floor:g}"
        found.append(Finding("auc_floor", bool(values["ctr"] >= config.auc_floor), told))
    if config.mse_below_constant and constant_mse is not None:
        told = f"CVR MSE of {name} is {values['cvr']:.5f}, the constant's {constant_mse:.5f}"
        # Without a click there is nothing to judge.
        holds = bool(values["cvr"] < constant_mse) or bool(np.isnan(values["cvr"]))
        found.append(Finding("mse_below_constant", holds, told))
    return found


JUDGED = (("ctr", "auc"), ("cvr", "mse"))
"""Each task with the metric that judges it."""


def _regressions(
    config: ServingConfig, name: str, ours: Mapping[str, ScoredRows], day: date,
    theirs: Mapping[str, ScoredRows], seed: int,
) -> list[Finding]:  # fmt: skip
    found = []
    for task, metric in JUDGED:
        interval = difference(
            ours[task], theirs[task], metric, np.random.default_rng(seed), config.n_replicates
        )
        worse = interval.high < 0 if metric == "auc" else interval.low > 0
        told = (
            f"{task.upper()} {metric.upper()} of {name} differs from that of the ranker in use (of {day}) "
            f"by {interval.low:+.5f} to {interval.high:+.5f}"
        )
        found.append(Finding(f"no_regression_{task}", not worse, told))
    return found


def difference(
    ours: ScoredRows, theirs: ScoredRows, metric: str, generator: np.random.Generator, n_replicates: int
) -> Interval:
    """95 % interval of a metric's difference, ours less theirs, over draws of the users both scored.

    NaN at both ends where no draw defines it.
    """
    if ours.n_users < 2:
        return Interval(float("nan"), float("nan"))
    found = np.empty(n_replicates)
    for i in range(n_replicates):
        drawn = generator.integers(ours.n_users, size=ours.n_users)
        weights = np.bincount(drawn, minlength=ours.n_users)
        found[i] = ours.weighted(weights)[metric] - theirs.weighted(weights)[metric]
    found = found[~np.isnan(found)]
    if not len(found):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(low), float(high))


def _value(scored: ScoredRows, metric: str) -> float:
    return scored.weighted(np.ones(scored.n_users, dtype=np.int64))[metric]
