"""Equal tuning budgets, judged on the validation days; then settings are frozen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lt4rec_core.config import added_later, check
from lt4rec_core.errors import TrainingError
from lt4rec_core.experiments.fitting import FitSettings, Fitted, fit, judge, settings_for
from lt4rec_core.experiments.splits import RaceData
from lt4rec_core.model.variants import VARIANTS, Variant
from lt4rec_core.training.batches import generator_for
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore

CTR_TOLERANCE = 0.001
"""How far below its best CTR's AUC may lie at the checkpoint that is chosen for CVR."""


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """The budget of each row, and where its trials are drawn from.

    Trial i draws the same value of an axis for every row, so that no row is luckier than another.
    """

    n_trials: int = 8
    """Settings tried; the first are the defaults."""
    max_epochs: int = 3
    """Passes per trial; each pass is a checkpoint that may be chosen."""
    seed: int = 0
    learning_rate: tuple[float, float] = (3e-4, 3e-3)
    """Range, drawn log-uniformly, as the next three."""
    embedding_learning_rate: tuple[float, float] = (0.01, 0.1)
    adagrad_initial: tuple[float, float] = (1e-8, 1e-2)
    """The networks' regularisation: what softens a row's first steps holds back ids seen once."""
    cvr_weight: tuple[float, float] = (1.0, 8.0)
    """Eq. 2's b over a, for rows defined by it."""
    conflict_strength: tuple[float, float] = (0.1, 1.0)
    """Uniformly; for rows defined by it."""
    cvr_loss: tuple[str, ...] = ("soft_bce", "mse")
    batch_size: tuple[int, ...] = (128, 256, 512)
    cvr_repeats: tuple[int, ...] = (1,)
    """How often a pass meets the CVR samples."""
    cvr_batch_size: tuple[int, ...] = added_later(())
    """CVR's samples per step, where they are not as many as CTR's: few labels need small batches, or a pass
    hardly moves CVR's weights. The first is the default."""
    from_single_tasks: bool = added_later(False)
    """Whether rows of two tasks start where the single-task rows ended: with CTR's rates and batches, so that
    their trials are about how CVR is trained beside it. The single-task rows then have twice the trials."""
    boosting_learning_rate: tuple[float, float] = (0.02, 0.2)
    boosting_max_iter: tuple[int, ...] = (100, 200, 400)
    boosting_max_leaf_nodes: tuple[int, ...] = (15, 31, 63)
    boosting_min_samples_leaf: tuple[int, ...] = (20, 50, 200)
    boosting_l2: tuple[float, float] = (1e-3, 10.0)

    def __post_init__(self) -> None:
        check(self.n_trials >= 1, f"n_trials must be at least 1, got {self.n_trials}.")
        check(self.max_epochs >= 1, f"max_epochs must be at least 1, got {self.max_epochs}.")


@dataclass(frozen=True)
class Checkpoint:
    """One trial after one pass, on the validation days."""

    trial: int
    epoch: int
    metrics: Mapping[str, float]
    """``ctr_auc`` and ``cvr_mse``, or the one of them that the row has."""


@dataclass(frozen=True)
class Tuned:
    """The settings that won, and all that was tried."""

    settings: FitSettings
    chosen: Checkpoint
    checkpoints: tuple[Checkpoint, ...]


def choose_checkpoint(checkpoints: Sequence[Checkpoint], tolerance: float = CTR_TOLERANCE) -> Checkpoint:
    """One checkpoint for all tasks: the best CVR whose CTR is within ``tolerance`` of its best.

    A row of one task is judged by its own metric. Of equals the earlier is chosen.

    Raises:
        TrainingError: no checkpoint has finite metrics.
    """
    finite = [c for c in checkpoints if c.metrics and all(v == v for v in c.metrics.values())]
    if not finite:
        raise TrainingError(
            f"None of {len(checkpoints)} checkpoints has a metric on the validation days. "
            "Have they both clicks and non-clicks, and watch ratios?"
        )
    if "ctr_auc" in finite[0].metrics:
        best = max(c.metrics["ctr_auc"] for c in finite)
        if "cvr_mse" not in finite[0].metrics:
            return next(c for c in finite if c.metrics["ctr_auc"] == best)
        finite = [c for c in finite if c.metrics["ctr_auc"] >= best - tolerance]
    return min(finite, key=lambda c: c.metrics["cvr_mse"])


def trials(variant: Variant, base: FitSettings, tuning: TuningConfig) -> list[FitSettings]:
    """The settings that a row tries, the base first; equally many for every row."""
    own = settings_for(variant, base)
    own = replace(own, epochs=1 if variant.sharing == "trees" else tuning.max_epochs)
    if not tuning.from_single_tasks:
        return [_trial(variant, own, tuning, i) for i in range(tuning.n_trials)]
    if len(variant.scores) == 1:
        return [_trial(variant, own, tuning, i) for i in range(2 * tuning.n_trials)]
    return [_trial_beside_ctr(_trial(variant, own, tuning, i), i) for i in range(tuning.n_trials)]


def _trial(variant: Variant, own: FitSettings, tuning: TuningConfig, i: int) -> FitSettings:
    """Trial 0 is the base, but for what only this row tunes, which has no default."""

    def uniform(axis: str) -> float:
        return float(torch.rand((), generator=generator_for(tuning.seed, "trial", i, axis)))

    def between(axis: str) -> float:
        low, high = getattr(tuning, axis)
        return float(low * (high / low) ** uniform(axis))

    def one_of(axis: str) -> Any:
        choices = getattr(tuning, axis)
        return choices[int(uniform(axis) * len(choices))]

    changes: dict[str, Any] = {}
    if "cvr_weight" in variant.tuned:
        changes["task_weights"] = (("cvr", between("cvr_weight")),)
    if "conflict_strength" in variant.tuned:
        low, high = tuning.conflict_strength
        changes["conflict_strength"] = low + (high - low) * uniform("conflict_strength")
    if i > 0:
        for axis in ("learning_rate", "embedding_learning_rate", "adagrad_initial"):
            changes[axis] = between(axis)
        changes |= {axis: one_of(axis) for axis in ("cvr_loss", "batch_size")}
        if "cvr" in variant.scores and len(tuning.cvr_repeats) > 1:
            changes["task_repeats"] = (("cvr", one_of("cvr_repeats")),)
    if "cvr" in variant.scores and tuning.cvr_batch_size and own.training.steps == "alternating":
        size = one_of("cvr_batch_size") if i > 0 else tuning.cvr_batch_size[0]
        changes["task_batch_sizes"] = (("cvr", size),)
    if i > 0:
        boosting = replace(
            own.boosting,
            learning_rate=between("boosting_learning_rate"),
            max_iter=one_of("boosting_max_iter"),
            max_leaf_nodes=one_of("boosting_max_leaf_nodes"),
            min_samples_leaf=one_of("boosting_min_samples_leaf"),
            l2_regularization=between("boosting_l2"),
        )
        own = replace(own, boosting=boosting)
    return replace(own, training=replace(own.training, **changes))


def _trial_beside_ctr(trial: FitSettings, i: int) -> FitSettings:
    """A trial with CTR's rates and batches as its single-task row was frozen; the first with CVR's too.

    Where a step is one batch for both tasks, its size is what the other trials draw.
    """
    ctr, cvr = (trial.ticket_training[task] for task in ("ctr", "cvr"))
    same = ("learning_rate", "embedding_learning_rate", "adagrad_initial")
    changes: dict[str, Any] = {axis: getattr(ctr, axis) for axis in same}
    has_own_batches = trial.training.steps == "alternating"
    if has_own_batches or i == 0:
        changes["batch_size"] = ctr.batch_size
    if i == 0:
        changes["cvr_loss"] = cvr.cvr_loss
    if i == 0 and has_own_batches:
        changes["task_batch_sizes"] = cvr.task_batch_sizes
    return replace(trial, training=replace(trial.training, **changes))


def tune(
    name: str,
    base: FitSettings,
    tuning: TuningConfig,
    data: RaceData,
    tickets: ModelStore,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
) -> Tuned:
    """Try a row's settings on the train days, judge them on the validation days.

    No test day is loaded. Tickets are searched with ``base.ticket_training`` in every trial, so that they
    are searched once: give it the tuned settings of the tasks' base rows.

    Args:
        name: the row.
        base: where its settings start from; with ``from_single_tasks`` its ``ticket_training`` too.
        tuning: the budget, equal for all rows.
        data: the race's days.
        tickets: where tickets are kept.
        on_checkpoint: called after every pass.

    Returns:
        The settings to freeze: those of the chosen trial, with the chosen number of passes.
    """
    found: list[Checkpoint] = []
    tried = trials(VARIANTS[name], base, tuning)
    for i, settings in enumerate(tried):

        def after(epoch: int, fitted: Fitted, trial: int = i) -> None:
            found.append(Checkpoint(trial, epoch, judge(data.valid, fitted.predict(data.valid))))
            if on_checkpoint:
                on_checkpoint(found[-1])

        fit(settings, data, data.train, tuning.seed, tickets, after)
    chosen = choose_checkpoint(found)
    return Tuned(replace(tried[chosen.trial], epochs=chosen.epoch), chosen, tuple(found))


def ticket_training(tuned: Mapping[str, FitSettings]) -> dict[str, TrainingConfig]:
    """Each task's tuned single-task settings, to search its ticket with; for ``FitSettings``."""
    bases = {"ctr": "base_ctr", "cvr": "base_cvr"}
    return {task: tuned[name].training for task, name in bases.items() if name in tuned}
