"""Fit one row of the race on given samples with given settings, whatever kind of row it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.config import as_mapping, check, from_mapping
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.evaluation.metrics import auc_score, mse_loss, pcoc
from lt4rec_core.experiments.splits import RaceData
from lt4rec_core.model.boosting import Boosting, BoostingConfig
from lt4rec_core.model.building import build_masks, build_network
from lt4rec_core.model.masks import Mask, density
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.tasks import CLICK_LABEL, ENTIRE_SPACE, get_tasks
from lt4rec_core.model.variants import ENTIRE_SPACE_LABEL, VARIANTS, Variant
from lt4rec_core.training.batches import generator_for, rows_of_task
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.precision import for_comparison
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.tickets import (
    CHOICES,
    PruneConfig,
    TicketKey,
    choose_round,
    find_ticket,
    initial_generator,
)
from lt4rec_core.training.trainer import predict, train

Scores = dict[str, np.ndarray]
"""Task name to probability or expected label, float64 (n,)."""

METRICS = {"ctr_auc": "ctr", "cvr_mse": "cvr"}
"""What rows are compared by, and of which task it is."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What decides a row's model beside data and seed."""

    variant: str
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Of a single task; the row may widen it."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    epochs: int = 1
    """Passes over the training days."""
    pruning: PruneConfig = field(default_factory=PruneConfig)
    ticket_training: Mapping[str, TrainingConfig] = field(default_factory=dict)
    """Task to the settings its ticket is searched with; the row's own where not named."""
    boosting: BoostingConfig = field(default_factory=BoostingConfig)

    def __post_init__(self) -> None:
        check(self.variant in VARIANTS, f"Unknown variant {self.variant!r}. Known are {', '.join(VARIANTS)}.")
        check(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}.")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        return as_mapping(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "FitSettings":
        """What ``to_mapping`` gave, perhaps through JSON.

        Raises:
            ConfigError: it is none.
        """
        kinds = (
            ("network", NetworkConfig),
            ("training", TrainingConfig),
            ("pruning", PruneConfig),
            ("boosting", BoostingConfig),
        )
        values = dict(mapping)
        for name, kind in kinds:
            values[name] = from_mapping(kind, values[name], f"frozen settings, {name}")
        values["ticket_training"] = {
            task: from_mapping(TrainingConfig, settings, f"frozen settings, ticket_training of {task}")
            for task, settings in values["ticket_training"].items()
        }
        return from_mapping(cls, values, "frozen settings")


def settings_for(variant: Variant, base: FitSettings) -> FitSettings:
    """The base settings, with what defines the row."""
    return replace(
        base,
        variant=variant.name,
        training=replace(base.training, **dict(variant.training)),
        pruning=replace(base.pruning, **dict(variant.pruning)),
    )


@dataclass
class Fitted:
    """A model that can score, and through which masks."""

    settings: FitSettings
    model: SharedNet | Boosting
    masks: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def densities(self) -> dict[str, float]:
        """Task name to the share of the trunk it keeps; empty where there is no mask."""
        return {task: density(mask) for task, mask in self.masks.items()}

    def predict(self, samples: SampleSet) -> Scores:
        """Every task of the row, for every sample."""
        if isinstance(self.model, Boosting):
            return self.model.predict(samples)
        return predict(self.model, samples, VARIANTS[self.settings.variant].scores, self.masks)


def fit(
    settings: FitSettings,
    data: RaceData,
    samples: SampleSet,
    seed: int,
    tickets: ModelStore,
    on_epoch: Callable[[int, Fitted], None] | None = None,
) -> Fitted:
    """Train a row from its first values.

    Args:
        settings: of the row.
        data: whose tickets; its train days and catalogue.
        samples: what to train on.
        seed: first values, batches, tickets, random masks.
        tickets: where tickets are kept, so that rows share them.
        on_epoch: called after each pass with its number, from 1, and the model as it stands.

    Raises:
        TrainingError, MaskError, ConfigError: as ``train``, ``find_ticket`` and ``build_masks``.
    """
    torch.set_num_threads(settings.training.threads)
    variant = VARIANTS[settings.variant]
    if variant.sharing == "trees":
        return _fit_trees(settings, variant, data, samples, seed, on_epoch)
    restart = settings.pruning.restart if variant.masks != "none" else "reinitialise"
    first = initial_generator(seed, restart, "race", variant.name)
    net = build_network(variant, data.catalogue, settings.network, first)

    def ticket(task: str) -> Mask:
        return find_or_load_ticket(settings, data, task, seed, tickets)

    fitted = Fitted(settings, net, build_masks(variant, net, ticket, generator_for(seed, "random masks")))
    optimizers, stream = make_optimizers(net, settings.training), generator_for(seed, "race", variant.name)
    weights: dict[str, Tensor | None] = {}
    if variant.sharing == "esmm":
        samples, weights[ENTIRE_SPACE] = entire_space(samples)
    for epoch in range(1, settings.epochs + 1):
        train(
            net, optimizers, samples, variant.tasks, settings.training, stream,
            masks=fitted.masks, sample_weights=weights, precision=for_comparison(settings.training),
        )  # fmt: skip
        if on_epoch:
            on_epoch(epoch, fitted)
    return fitted


def _fit_trees(
    settings: FitSettings,
    variant: Variant,
    data: RaceData,
    samples: SampleSet,
    seed: int,
    on_epoch: Callable[[int, Fitted], None] | None,
) -> Fitted:
    model = Boosting(data.catalogue, settings.boosting, data.known)
    for task in variant.tasks:
        model.fit(samples, task, rows_of_task(samples, task).numpy(), seed)
    fitted = Fitted(settings, model)
    if on_epoch:
        on_epoch(1, fitted)
    return fitted


def ticket_key(settings: FitSettings, data: RaceData, task: str, seed: int) -> TicketKey:
    """What a row's ticket of a task is found with: the same for all rows that can share it."""
    variant = VARIANTS[settings.variant]
    return TicketKey(
        catalogue=data.catalogue.digest,
        network=variant.network_config(settings.network),
        training=settings.ticket_training.get(task, settings.training),
        pruning=settings.pruning,
        first=data.split.ticket[0],
        last=data.split.ticket[-1],
        seed=seed,
        views=tuple((owner, dims) for owner, dims in variant.views if owner == task),
    )


def find_or_load_ticket(
    settings: FitSettings, data: RaceData, task: str, seed: int, store: ModelStore
) -> Mask:
    """A task's ticket on the split's ticket window: found once per settings and seed, shared by all rows."""
    key = ticket_key(settings, data, task, seed)
    with store.searching(key, task):
        if not store.has_ticket(key, task):
            _search(settings, data, task, key, store)
    return store.load_ticket(key, task).mask


def _search(settings: FitSettings, data: RaceData, task: str, key: TicketKey, store: ModelStore) -> None:
    """Find a ticket; one search serves the rows that choose among its rounds in another way."""
    (found,), masks = get_tasks([task]), list[Mask]()
    ticket = find_ticket(
        data.catalogue, found, data.ticket_train, data.ticket_valid,
        network=key.network, training=key.training, pruning=settings.pruning, seed=key.seed,
        views=dict(key.views), on_mask=masks.append, precision=for_comparison(key.training),
    )  # fmt: skip
    for choose in CHOICES:
        pruning = replace(settings.pruning, choose=choose)
        best_i = choose_round(list(ticket.rounds), found, pruning)
        store.save_ticket(replace(key, pruning=pruning), replace(ticket, best_i=best_i, mask=masks[best_i]))


def entire_space(samples: SampleSet) -> tuple[SampleSet, Tensor]:
    """Samples with ESMM's label, click times watch ratio, and the weights of its loss.

    A click whose watch ratio is unknown cannot be told apart from a click that was watched; leaving it out
    beside all the non-clicks would teach that clicks are rare. So the clicks that are known count for all.
    """
    click, watch = samples.labels[CLICK_LABEL], samples.labels["watch_ratio"]
    clicked, known = click == 1, (click == 1) & ~watch.isnan()
    label = torch.where(clicked, watch, torch.where(click.isnan(), click, 0.0))
    share = int(known.sum()) / max(int(clicked.sum()), 1)
    weights = torch.where(clicked, 1 / share if share else 0.0, 1.0)
    labels = {**samples.labels, ENTIRE_SPACE_LABEL: label}
    return SampleSet(samples.ids, samples.lists, labels, samples.kept), weights


def calibration(samples: SampleSet, scores: Scores, below: float = 0.1) -> dict[str, float]:
    """How far off predictions are on the whole, and on the clicks that were hardly watched.

    On the latter click and watch pull apart; rows that weigh them bend calibration there.

    Returns:
        ``<task>_pcoc``, predicted over observed on all of the task's samples; of the clicks watched less than
        ``below``, ``ctr_mean_hardly`` the mean pCTR (all were clicked), ``cvr_bias_hardly`` the mean of pCVR
        less watch ratio, ``cvr_mse_hardly``. What the row or the samples lack is left out.
    """
    found: dict[str, float] = {}
    for task in get_tasks([name for name in ("ctr", "cvr") if name in scores]):
        rows = rows_of_task(samples, task)
        found[f"{task.name}_pcoc"] = pcoc(samples.labels[task.label][rows].double(), scores[task.name][rows])
    watch = samples.labels["watch_ratio"].double().numpy()
    hardly = (samples.labels[CLICK_LABEL] == 1).numpy() & (watch < below)
    if hardly.any() and "ctr" in scores:
        found["ctr_mean_hardly"] = float(scores["ctr"][hardly].mean())
    if hardly.any() and "cvr" in scores:
        found["cvr_bias_hardly"] = float((scores["cvr"] - watch)[hardly].mean())
        found["cvr_mse_hardly"] = mse_loss(watch[hardly], scores["cvr"][hardly])
    return {name: value for name, value in found.items() if np.isfinite(value)}


def judge(samples: SampleSet, scores: Scores) -> dict[str, float]:
    """CTR's AUC over all impressions, CVR's MSE over the clicks with a known watch ratio; what is there."""
    found = {}
    for metric, task in METRICS.items():
        if task in scores:
            rows = rows_of_task(samples, get_tasks([task])[0])
            labels = samples.labels[get_tasks([task])[0].label][rows].double().numpy()
            measure = auc_score if metric == "ctr_auc" else mse_loss
            found[metric] = measure(labels, scores[task][rows.numpy()])
    return found
