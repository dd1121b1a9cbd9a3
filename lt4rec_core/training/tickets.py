"""Finding a task's ticket (Algorithm 1, lines 1-10): train, prune, restart, repeat; choose on validation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.config import check, digest_of
from lt4rec_core.data.streaming import Samples, in_order
from lt4rec_core.errors import TrainingError
from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.model.masks import Mask, density, keep_all, layer_densities, mask_digest
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.pruning import expand_neurons, keep_all_neurons, prune_neurons, prune_smallest
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import generator_for, rows_of_task
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.precision import Precision
from lt4rec_core.training.saliency import SALIENCIES, Saliency, weight_saliency
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.trainer import Progress, predict, train

Choice = Literal["best", "sparsest_within_one_se", "last"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
"""How the round of the ticket can be chosen."""


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """How a ticket is searched for."""

    n_pruning: int = 4
    """Rounds of pruning. The search trains once more: mask i is judged by a network trained through it."""

    q: float = 0.331
    """Share of the surviving weights, or neurons, removed in each round, in (0, 1); 0.331 four times leaves
    20 % of them."""

    unit: Literal["weight", "neuron"] = "weight"
    """What is removed: single weights (S-Weight) or whole neurons (S-Neuron, ranked within their layer)."""

    saliency: Saliency = "magnitude"
    """What ranks single weights: their magnitude (the paper), or what the task's loss would lose with them
    (``weight_saliency``)."""

    scope: Literal["layer", "global"] = "layer"
    """Rank each layer by itself, or all weights together (which can empty a layer)."""

    restart: Literal["reinitialise", "rewind"] = "reinitialise"
    """Before each round draw new values for everything (the paper), or return to the first ones."""

    choose: Choice = "best"
    """The round of the best validation metric (the paper), the sparsest within one standard error of it, or
    the last one: a fixed sparsity."""

    epochs: int = 1
    """Passes over the training days in each round."""

    def __post_init__(self) -> None:
        check(self.n_pruning >= 1, f"n_pruning must be at least 1, got {self.n_pruning}.")
        check(
            0 < self.q < 1,
            f"q must lie strictly between 0 and 1, got {self.q}. "
            "It is a share of the surviving weights, not a percentage.",
        )
        for name, known in (
            ("unit", ("weight", "neuron")),
            ("saliency", SALIENCIES),
            ("scope", ("layer", "global")),
            ("restart", ("reinitialise", "rewind")),
            ("choose", CHOICES),
        ):
            found = getattr(self, name)
            check(found in known, f"{name} must be one of {known}, got {found!r}.")
        check(
            self.unit == "weight" or self.scope == "layer",
            "Neurons are ranked within their layer: unit 'neuron' needs scope 'layer', got 'global'.",
        )
        check(
            self.unit == "weight" or self.saliency == "magnitude",
            "Neurons are ranked by the norm of their weights: unit 'neuron' needs saliency 'magnitude', got "
            f"{self.saliency!r}.",
        )
        check(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}.")


@dataclass(frozen=True, kw_only=True)
class TicketKey:
    """What decides a ticket, and hence where it lies.

    Data versions do not: a ticket is found once and reused unchanged.
    """

    catalogue: str
    """Digest of the feature catalogue."""
    network: NetworkConfig
    training: TrainingConfig
    pruning: PruneConfig
    first: date
    """First day of the ticket window."""
    last: date
    """Last day of the window, the validation day."""
    seed: int
    views: tuple[tuple[str, int], ...] = ()
    """Pairs of task and number of dimensions that only it sees, as ``SharedNet`` takes them."""

    @property
    def digest(self) -> str:
        """One digest for the tickets of all tasks that are found alike; the task is a folder below it."""
        return digest_of(self)


@dataclass(frozen=True, kw_only=True)
class Round:
    """Round i of the search: mask i, and the network trained through it."""

    i: int
    density: float
    """Share of trunk weights that mask i keeps."""
    layer_densities: dict[str, float]
    train_loss: float
    """Mean loss met while training."""
    metric: float
    """On the validation day: AUC or MSE, by the task."""
    standard_error: float
    """Of that metric, over validation samples."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A task's mask, and how it was found."""

    task: str
    metric: str
    """``auc`` or ``mse``."""
    best_i: int
    """The round whose mask was chosen."""
    rounds: tuple[Round, ...]
    mask: Mask
    precision: Precision = "fp32"
    """What its networks were trained in."""

    @property
    def digest(self) -> str:
        """Of the mask alone: equal masks are equal tickets, however they were found."""
        return mask_digest(self.mask)

    @property
    def density(self) -> float:
        """Share of trunk weights kept."""
        return density(self.mask)


def find_ticket(
    catalogue: FeatureCatalogue,
    task: Task,
    train_samples: Samples,
    valid_samples: Samples,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
    pruning: PruneConfig,
    seed: int,
    views: Mapping[str, int] | None = None,
    precision: Precision = "fp32",
    progress: Callable[[int, Progress], None] | None = None,
    on_round: Callable[[Round], None] | None = None,
    on_mask: Callable[[Mask], None] | None = None,
) -> Ticket:
    """Search one task's ticket. No test day is ever handed in.

    Args:
        catalogue: the features.
        task: whose samples, loss and metric.
        train_samples: the window's days but the last.
        valid_samples: the window's last day.
        network: of one task alone, in the shape of sNET.
        training: as sNET's.
        pruning: how often, how much, how to restart, which to choose.
        seed: decides first values and batches; equal seeds give equal tickets.
        views: dimensions that only one task sees, as ``SharedNet`` takes them.
        precision: of the matrix products; ``training.precision`` is for callers to decide by.
        progress: called while a round trains, with its number.
        on_round: called when a round is done.
        on_mask: called then with the round's mask: of one search ``choose_round`` can choose in several ways.

    Returns:
        The ticket, with all rounds.

    Raises:
        TrainingError: nothing to train or to validate on, or no round has a metric.
        MaskError: pruning would empty a layer.
    """
    torch.set_num_threads(training.threads)
    masks, rounds = [], []
    found = _rounds(
        catalogue,
        task,
        train_samples,
        valid_samples,
        network,
        training,
        pruning,
        seed,
        views,
        progress,
        precision,
    )
    for mask, done in found:
        masks.append(mask)
        rounds.append(done)
        if on_round:
            on_round(done)
        if on_mask:
            on_mask(mask)
    best_i = choose_round(rounds, task, pruning)
    return Ticket(
        task=task.name, metric=task.metric, best_i=best_i, rounds=tuple(rounds), mask=masks[best_i],
        precision=precision,
    )  # fmt: skip


def _rounds(
    catalogue: FeatureCatalogue,
    task: Task,
    train_samples: Samples,
    valid_samples: Samples,
    network: NetworkConfig,
    training: TrainingConfig,
    pruning: PruneConfig,
    seed: int,
    views: Mapping[str, int] | None,
    progress: Callable[[int, Progress], None] | None,
    precision: Precision,
) -> Iterator[tuple[Mask, Round]]:
    """Mask 0 keeps all; mask i + 1 is drawn from the network that was trained through mask i."""
    mask: Mask | None = None
    for i in range(pruning.n_pruning + 1):
        start = initial_generator(seed, pruning.restart, task.name, i)
        net = SharedNet(catalogue, (task.name,), network, start, views)
        if mask is None:
            mask = _dense(net, pruning)
        losses = train(
            net,
            make_optimizers(net, training),
            train_samples,
            (task,),
            training,
            generator_for(seed, "ticket", task.name, i),
            masks={task.name: mask},
            epochs=pruning.epochs,
            report=partial(progress, i) if progress else None,
            precision=precision,
        )
        metric, error = validate(net, task, mask, valid_samples)
        yield (
            mask,
            Round(
                i=i,
                density=density(mask),
                layer_densities=layer_densities(mask),
                train_loss=losses[task.name].loss,
                metric=metric,
                standard_error=error,
            ),
        )
        if i < pruning.n_pruning:
            of_line_5 = generator_for(seed, "saliency", task.name, i)
            mask = _prune(net, task, mask, train_samples, training, pruning, of_line_5)


def _dense(net: SharedNet, pruning: PruneConfig) -> Mask:
    """Mask 0. With neurons it covers the biases too."""
    weights = net.trunk_weights()
    return (
        keep_all(weights) if pruning.unit == "weight" else expand_neurons(keep_all_neurons(weights), weights)
    )


def _prune(
    net: SharedNet,
    task: Task,
    mask: Mask,
    samples: Samples,
    training: TrainingConfig,
    pruning: PruneConfig,
    generator: torch.Generator,
) -> Mask:
    """Line 5: the next mask."""
    weights = net.trunk_weights()
    if pruning.unit == "weight":
        ranked = weight_saliency(pruning.saliency, net, task, mask, samples, training, generator)
        return prune_smallest(ranked, mask, pruning.q, pruning.scope)
    left = {name: mask[name.removesuffix("weight") + "bias"] for name in weights}
    return expand_neurons(prune_neurons(weights, left, pruning.q), weights)


def initial_generator(seed: int, restart: str, *purpose: object) -> torch.Generator:
    """What first values are drawn from: one stream for all with ``rewind``, one per purpose otherwise."""
    return generator_for(seed, "rewind") if restart == "rewind" else generator_for(seed, "initial", *purpose)


def validate(net: SharedNet, task: Task, mask: Mask | None, samples: Samples) -> tuple[float, float]:
    """A task's metric on its samples, and the metric's standard error over samples.

    The error of an AUC is Hanley and McNeil's (1982), that of an MSE the usual one of a mean.

    Raises:
        TrainingError: no sample has the task's label.
    """
    found, known = [], []
    for part in in_order(samples):
        own = part.select(rows_of_task(part, task))
        found.append(predict(net, own, (task.name,), {task.name: mask})[task.name])
        known.append(own.labels[task.label].double().numpy())
    scores, labels = np.concatenate(found), np.concatenate(known)
    if len(labels) == 0:
        raise TrainingError(
            f"No validation sample has the label of task {task.name!r}. "
            "Look at the last day of the ticket window."
        )
    if task.metric == "mse":
        errors = np.square(labels - scores)
        return mse_loss(labels, scores), float(errors.std() / np.sqrt(len(errors)))
    auc, n_pos = auc_score(labels, scores), float(labels.sum())
    n_neg = len(labels) - n_pos
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_pos - 1) * (q1 - auc**2) + (n_neg - 1) * (q2 - auc**2)
    return auc, float(np.sqrt(spread / (n_pos * n_neg))) if n_pos and n_neg else float("nan")


def choose_round(rounds: list[Round], task: Task, pruning: PruneConfig) -> int:
    """The round of the chosen mask, among those that were pruned (i >= 1); the sparser one of equals.

    Raises:
        TrainingError: no candidate has a metric (a validation day of a single class has no AUC).
    """
    sign = 1 if task.higher_is_better else -1
    candidates = [r for r in rounds if r.i >= 1 and np.isfinite(r.metric)]
    if not candidates:
        raise TrainingError(
            f"No round of task {task.name!r} has a {task.metric.upper()} on the validation day: "
            "all its labels are equal. Choose another ticket window (LT4REC_TICKET_DAYS)."
        )
    if pruning.choose == "last":
        return rounds[-1].i
    best = max(candidates, key=lambda r: (sign * r.metric, r.i))
    if pruning.choose == "best":
        return best.i
    floor = sign * best.metric - best.standard_error
    return max(r.i for r in candidates if sign * r.metric >= floor)
