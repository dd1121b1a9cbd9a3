"""How a network is trained: the settings that tickets, sNET and baseline share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lt4rec_core.config import added_later, check
from lt4rec_core.model.tasks import Task


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained. Tickets, sNET and baseline share one such config."""

    batch_size: int = 512
    """Samples of one task per step."""

    learning_rate: float = 0.001
    """Adam's, for trunk and logit layers."""

    beta1: float = 0.9
    """Adam's decay of the first moment."""

    beta2: float = 0.999
    """Adam's decay of the second moment."""

    embedding_learning_rate: float = 0.05
    """Row-wise Adagrad's, for the embedding table."""

    adagrad_eps: float = 1e-8
    """Added to the root of a row's accumulator."""

    adagrad_initial: float = 0.0
    """First value of a row's accumulator; above zero it softens a row's first steps."""

    unknown_dropout: float = 0.5
    """Share of training samples in which a feature that is unknown when serving is set to missing. It is
    always missing in evaluation."""

    cvr_loss: Literal["soft_bce", "mse"] = "soft_bce"
    """CVR's loss: cross-entropy against the watch ratio, or squared error of the sigmoid."""

    task_weights: tuple[tuple[str, float], ...] = ()
    """Eq. 2's a and b as pairs of task and weight, 1 where not named. Adam ignores the scale of a loss: on
    the trunk a weight multiplies the task's learning rate, on the embeddings its loss. With joint steps it
    is the loss weight it is in the paper."""

    task_repeats: tuple[tuple[str, int], ...] = ()
    """How often a pass meets a task's samples, as pairs of task and number; once where not named. Where
    labels are scarce, meeting them once hardly moves that task's weights. For alternating steps only."""

    task_batch_sizes: tuple[tuple[str, int], ...] = added_later(())
    """Samples per step of a task, as pairs of task and number; ``batch_size`` where not named. Smaller
    batches give a task with scarce labels more steps without meeting them more often. For alternating steps
    only."""

    steps: Literal["alternating", "together", "joint", "pcgrad"] = "alternating"
    """``alternating`` steps on batches of single tasks, one Adam each (Algorithm 1). ``together`` steps on
    batches of impressions: each task's own Adam through its mask, and the embeddings once by what all tasks
    want of them, so that a pass meets an id once however many tasks there are. ``joint`` steps on the
    weighted sum of all tasks' losses over a batch of impressions, one Adam for all, without masks; ``pcgrad``
    does so after projecting conflicting gradients (Yu et al., 2020)."""

    conflict: Literal["none", "raise_cvr", "damp_ctr"] = "none"
    """Clicked impressions that were hardly watched pull the two tasks apart: ``raise_cvr`` raises their CVR
    loss (paper, section 2.2), ``damp_ctr`` damps their CTR loss and so its gradient (section 3.2)."""

    conflict_strength: float = 1.0
    """By how much, at a watch ratio of 0: the weight is 1 + strength, or 1 - strength."""

    conflict_below: float = 0.1
    """The watch ratio from which weights are 1; in between they are linear."""

    threads: int = 1
    """PyTorch's threads. Another number gives other last bits, hence another model digest."""

    stream_above_mb: int = added_later(1024)
    """Days whose samples take more MiB as tensors are read block by block, a quarter of it at a time, and not
    at once. What is shuffled together then differs, hence the model digest."""

    precision: Literal["auto", "fp32", "bf16"] = added_later("auto")
    """Of the trunk's matrix products; weights and moments are fp32 in any case. ``auto`` is bf16 where the
    processor computes it itself, in daily models and their tickets; a chain keeps what it began with, and
    races compare in fp32."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "learning_rate", "embedding_learning_rate", "threads", "stream_above_mb"):
            check(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}.")
        for name in ("adagrad_eps", "adagrad_initial"):
            check(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}.")
        for name in ("beta1", "beta2"):
            check(0 <= getattr(self, name) < 1, f"{name} must lie in [0, 1), got {getattr(self, name)}.")
        check(0 <= self.unknown_dropout <= 1, f"unknown_dropout is a share, got {self.unknown_dropout}.")
        for name, known in (
            ("cvr_loss", ("soft_bce", "mse")),
            ("steps", ("alternating", "together", "joint", "pcgrad")),
            ("conflict", ("none", "raise_cvr", "damp_ctr")),
            ("precision", ("auto", "fp32", "bf16")),
        ):
            found = getattr(self, name)
            check(found in known, f"{name} must be one of {known}, got {found!r}.")
        check(0 < self.conflict_below <= 1, f"conflict_below is a watch ratio, got {self.conflict_below}.")
        most = 1.0 if self.conflict == "damp_ctr" else math.inf
        check(
            0 <= self.conflict_strength <= most,
            f"conflict_strength must lie in [0, {most}], got {self.conflict_strength}. "
            "Damping by more than 1 would turn the gradient round.",
        )
        for name, kind in (("task_repeats", int), ("task_batch_sizes", int), ("task_weights", float)):
            self._in_order(name, kind)

    def _in_order(self, name: str, kind: type[int] | type[float]) -> None:
        """Pairs of task and number as one sorted tuple, whether they came as pairs or as a TOML table."""
        pairs = getattr(self, name)
        pairs = pairs.items() if isinstance(pairs, Mapping) else pairs
        object.__setattr__(self, name, tuple(sorted((str(task), kind(value)) for task, value in pairs)))
        found = dict(getattr(self, name))
        least = "at least 1" if kind is int else "positive"
        holds = all(value >= 1 if kind is int else value > 0 for value in found.values())
        check(holds, f"{name} must be {least}, got {found}.")

    def loss_of(self, task: Task) -> str:
        """The kind of loss a task is trained with."""
        return self.cvr_loss if task.label in ("watch_ratio", "click_watch_ratio") else task.loss

    def repeats_of(self, task: str) -> int:
        """How often a pass meets the task's samples."""
        return dict(self.task_repeats).get(task, 1) if self.steps == "alternating" else 1

    def batch_size_of(self, task: str) -> int:
        """Samples per step of the task."""
        own = dict(self.task_batch_sizes) if self.steps == "alternating" else {}
        return own.get(task, self.batch_size)

    def weight_of(self, task: str) -> float:
        """The task's weight in Eq. 2."""
        return dict(self.task_weights).get(task, 1.0)
