"""The table of the race: each row against a reference, per seed, with intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import TrainingError
from lt4rec_core.evaluation.metrics import Floats
from lt4rec_core.evaluation.paired import Judged, holm, paired_difference, user_interval
from lt4rec_core.evaluation.uncertainty import Interval
from lt4rec_core.experiments.fitting import METRICS
from lt4rec_core.experiments.records import Cell
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import rows_of_task

REFERENCES = {"cvr_mse": "base_cvr", "ctr_auc": "base_ctr"}
"""What the paper's Table 2 compares with."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One row and metric against the reference."""

    variant: str
    metric: str
    reference: str
    n_seeds: int
    value: float
    """Mean over seeds."""
    reference_value: float
    difference: float
    """Of the means, row less reference: below zero is better for an MSE, above for an AUC."""
    relative: float
    """Difference as a share of the reference's value."""
    ci_low: float
    ci_high: float
    """95 % t interval of the difference, over seeds."""
    p_value: float
    p_holm: float
    """Adjusted for all rows and metrics of the table."""
    user_low: float
    user_high: float
    """95 % of the mean difference over a bootstrap of users: how certain for *these* models."""
    gap_closed: float
    """Share of the reference's gap to the best reachable value that the row closes; NaN if unknown."""

    @property
    def is_significant(self) -> bool:
        """At 5 %, for all rows and metrics together."""
        return self.p_holm < 0.05


def compare(
    cells: Iterable[Cell],
    *,
    references: Mapping[str, str] = REFERENCES,
    best: Mapping[str, float] | None = None,
    test: SampleSet | None = None,
    n_replicates: int = 200,
    seed: int = 0,
) -> list[Comparison]:
    """Every row but the reference, in the order of the cells, for each metric that both have.

    Args:
        cells: of all rows, each under the same seeds (and data sets) as its reference.
        references: metric to the row it is compared with.
        best: metric to the best reachable value, where the truth is known.
        test: the test samples with ``user_id`` kept beside; None leaves out the user bootstrap, which cells
            of several data sets cannot have.
        n_replicates: how many times users are drawn.
        seed: of those draws.

    Raises:
        TrainingError: a reference is missing, the seeds differ, or users of several data sets are asked for.
    """
    by_row: dict[str, dict[tuple[str, int], Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.variant, {})[cell.pair] = cell
    races = {race for row in by_row.values() for race, _ in row}
    if test is not None and len(races) > 1:
        raise TrainingError(
            f"The cells are of {len(races)} data sets, which have no users in common to draw from. "
            "Leave out test=, or compare one data set at a time."
        )
    rows = []
    for metric, reference in references.items():
        measured = {name: row for name, row in by_row.items() if metric in next(iter(row.values())).metrics}
        if reference not in measured:
            raise TrainingError(
                f"{metric} is compared with {reference!r}, of which no cell is finished. "
                f"Finished are {', '.join(measured) or 'none'}."
            )
        users = _Users(metric, measured, test, n_replicates, seed) if test is not None else None
        for name, row in measured.items():
            if name != reference:
                rows.append(_compared(metric, name, reference, row, measured[reference], best or {}, users))
    adjusted = holm([row.p_value for row in rows])
    return [replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True)]


def _compared(
    metric: str,
    name: str,
    reference: str,
    row: Mapping[tuple[str, int], Cell],
    other: Mapping[tuple[str, int], Cell],
    best: Mapping[str, float],
    users: "_Users | None",
) -> Comparison:
    if set(row) != set(other):
        raise TrainingError(
            f"{name!r} has the seeds {_seeds(row)} and {reference!r} has {_seeds(other)}: only pairs under "
            "one seed and one data set can be compared. Finish the missing cells."
        )
    pairs = sorted(row)
    values = [row[pair].metrics[metric] for pair in pairs]
    others = [other[pair].metrics[metric] for pair in pairs]
    found = paired_difference(values, others)
    mean = float(np.mean(others))
    gap = mean - best[metric] if metric in best else math.nan
    interval = users.interval(name, reference) if users else Interval(math.nan, math.nan)
    return Comparison(
        variant=name, metric=metric, reference=reference, n_seeds=found.n,
        value=float(np.mean(values)), reference_value=mean,
        difference=found.mean, relative=found.mean / mean if mean else math.nan,
        ci_low=found.low, ci_high=found.high, p_value=found.p_value, p_holm=math.nan,
        user_low=interval.low, user_high=interval.high,
        gap_closed=-found.mean / gap if gap else math.nan,
    )  # fmt: skip


class _Users:
    """The metric of every cell in every replicate, under the same draws of users."""

    def __init__(
        self,
        metric: str,
        measured: Mapping[str, Mapping[tuple[str, int], Cell]],
        test: SampleSet,
        n_replicates: int,
        seed: int,
    ) -> None:
        (task,) = get_tasks([METRICS[metric]])
        rows = rows_of_task(test, task)
        if test.kept is None or "user_id" not in test.kept.column_names:
            raise TrainingError(
                "The user bootstrap needs user_id beside the test samples. Pass it as keep= to load_samples."
            )
        ids = np.asarray(test.kept["user_id"].to_pylist(), dtype=object)[rows.numpy()]
        codes = np.unique(ids.astype(str), return_inverse=True)[1].reshape(-1)
        judged = Judged(test.labels[task.label][rows].double().numpy(), codes)
        draws = judged.draws(np.random.default_rng(seed), n_replicates)
        kind = metric.split("_")[1]
        self._values: dict[str, dict[int, Floats]] = {
            name: {
                number: judged.replicates(kind, row[pair].scores[task.name][rows.numpy()], draws)
                for number, pair in enumerate(sorted(row))
            }
            for name, row in measured.items()
        }

    def interval(self, name: str, reference: str) -> Interval:
        return user_interval(self._values[name], self._values[reference])


def _seeds(row: Mapping[tuple[str, int], Cell]) -> list[int]:
    return [seed for _, seed in sorted(row)]


def as_table(comparisons: Sequence[Comparison]) -> str:
    """The comparison as a Markdown table; users have a column where they were drawn."""
    users = any(c.user_low == c.user_low for c in comparisons)
    columns = ["row", "metric", "value", "reference", "difference", "95 % over seeds", "Holm p"]
    columns += ["95 % over users"] if users else []
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for c in comparisons:
        told = [c.variant, c.metric, f"{c.value:.5f}", f"{c.reference} {c.reference_value:.5f}"]
        told += [f"{c.difference:+.5f} ({c.relative:+.2%})", f"{c.ci_low:+.5f} … {c.ci_high:+.5f}"]
        told += [f"{c.p_holm:.3f}{' *' if c.is_significant else ''}"]
        told += [f"{c.user_low:+.5f} … {c.user_high:+.5f}"] if users else []
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)
