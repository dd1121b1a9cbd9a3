"""A chain of daily models: Algorithm 1, lines 11-19, incrementally.

Each day continues yesterday's weights and optimiser state with one pass over today's samples.

``snet`` is one shared network in which every task trains through its ticket; ``baseline`` is one dense
network per task, trained by the same code with the same settings.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lt4rec_core.data.streaming import Samples, share_of
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.attempt import Attempt
from lt4rec_core.training.batches import generator_for, n_of_task
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.exchange import Exchange
from lt4rec_core.training.modelfile import model_digest
from lt4rec_core.training.parallel import Reached, Together
from lt4rec_core.training.precision import Precision, automatic, checked
from lt4rec_core.training.state import State, initial, restore
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.trainer import Progress, TaskLoss, predict, train


@dataclass(frozen=True)
class DayReport:
    """What one day of training did."""

    day: date
    digest: str
    """Of the model it published."""
    parent: str | None
    """Digest of the model it continued; None on the chain's first day."""
    losses: dict[str, TaskLoss]
    """Per task the mean loss met on the way, and how many samples."""
    n_samples: int
    """Impressions of the day."""
    seconds: float
    """Wall time of training and publishing."""
    densities: dict[str, float]
    """Per task the share of trunk weights it trains through."""
    precision: Precision = "fp32"
    """Of the matrix products."""


@dataclass(frozen=True)
class Workers:
    """What a process needs to be one of several that train a day; all call ``train_day`` alike."""

    exchange: Exchange
    keep: Callable[[Callable[[Path], str]], None]
    """Called by every worker after each round. What it is handed writes a checkpoint into a folder, which one
    of them should do."""
    kept: Path | None = None
    """A checkpoint of an earlier attempt at this day, from which this one goes on."""


def train_day(
    store: ModelStore,
    chain: Chain,
    day: date,
    samples: Samples,
    *,
    first: bool,
    data_versions: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
    workers: Workers | None = None,
) -> DayReport:
    """Continue the chain by one day and publish the model.

    Args:
        store: where models lie; it also keeps the last state in memory, checked against the disk by digest.
        chain: what is trained.
        day: the day of ``samples``.
        samples: all impressions of that day.
        first: start the chain here, from its first values, instead of continuing yesterday's model.
        data_versions: table name to version read; kept beside the model, outside its digest.
        report: called about a hundred times per network with where training stands.
        workers: with other workers; each trains on its share of ``samples``, and the first publishes. One
            worker trains as if there were none.

    Raises:
        MissingParentError: yesterday's model is not there.
        ModelStoreError: yesterday's model is damaged.
        TrainingError: no task has a sample, a loss is not finite, or the chain is in bf16, which this
            processor lacks; nothing is published.
        MaskError: a ticket is of another network.
    """
    began = time.monotonic()
    if workers and workers.exchange.workers == 1:
        workers = None  # alone it is what it always was, bit for bit
    torch.set_num_threads(chain.training.threads)
    if first:
        # Decided here and told by every model of the chain: no other machine changes it later.
        state, parent = initial(chain, automatic(chain.training, chain.network)), None
        store.warm.pop(chain.digest, None)
    else:
        state, parent = _state_after(store, chain, _before(day), day)
        store.warm.pop(chain.digest, None)  # from here on it changes; a failure must not leave it half-way
    precision = checked(state.precision)
    identity: dict[str, Any] = {
        "settings": chain.settings, "chain": chain.digest, "day": day.isoformat(), "parent": parent,
        "first_values": state.first_values,
    }  # fmt: skip
    if precision != "fp32":  # models from before there was a choice say nothing
        identity["precision"] = precision
    n_samples, here = len(samples), Attempt(state, identity)
    if workers:
        identity["workers"] = workers.exchange.workers  # sums in another order are other bits
        samples = share_of(samples, workers.exchange.rank, workers.exchange.workers)
        if workers.kept:
            here.go_on(chain, day, workers.kept)
    n_of = _count(samples, chain, workers)
    if not any(n_of.values()):
        raise TrainingError(
            f"Nothing to train on: none of the {n_samples} samples of {day} has a label of a task. "
            "Look at training.samples of that day."
        )
    losses = _train_members(chain, day, here, samples, n_of, workers, precision, report)
    beside = {
        "data_versions": dict(data_versions or {}),
        "seed": chain.seed,
        "n_samples": n_samples,
        "metrics": {task: {"train_loss": _finite(loss.loss), "n": loss.n} for task, loss in losses.items()},
    }
    if workers and workers.exchange.rank:
        digest = model_digest(here.state.tensors(), identity)  # the first worker publishes the same
    else:
        digest = store.publish(chain.kind, chain.digest, day, here.state.tensors(), identity, beside)
        store.warm[chain.digest] = (day, digest, here.state)
    densities = {task.name: 1.0 for task in chain.tasks}
    densities |= {name: ticket.density for name, ticket in chain.tickets.items()}
    return DayReport(day, digest, parent, losses, n_samples, time.monotonic() - began, densities, precision)


def _count(samples: Samples, chain: Chain, workers: Workers | None) -> dict[str, int]:
    """How many samples each task has, at all workers."""
    if workers:
        return Together(workers.exchange).count(samples, chain.tasks)
    return {task.name: n_of_task(samples, task) for task in chain.tasks}


def _train_members(
    chain: Chain,
    day: date,
    here: Attempt,
    samples: Samples,
    n_of: Mapping[str, int],
    workers: Workers | None,
    precision: Precision,
    report: Callable[[Progress], None] | None,
) -> dict[str, TaskLoss]:
    """Each network of the chain over the day's samples, or over this worker's share of them."""
    losses: dict[str, TaskLoss] = {}
    for name, tasks in chain.members.items():
        if not any(n_of[task.name] for task in tasks):
            losses |= {task.name: TaskLoss(float("nan"), 0) for task in tasks}  # this network rests today
            continue
        stream = generator_for(chain.seed, chain.kind, name, day)
        try:
            losses |= train(
                here.state.nets[name], here.state.optimizers[name], samples, tasks, chain.training, stream,
                masks=chain.masks, report=report, precision=precision,
                together=_together(workers, here, name),
            )  # fmt: skip
        except TrainingError as error:
            raise TrainingError(f"{day}, {chain.kind}: {error}") from error
    return losses


def _together(workers: Workers | None, here: Attempt, member: str) -> Together | None:
    if workers is None:
        return None

    def after_round(reached: Reached) -> None:
        here.reached[member] = reached
        workers.keep(here.save)

    return Together(workers.exchange, here.reached.get(member, Reached()), after_round)


def score_day(
    store: ModelStore, chain: Chain, model_day: date, samples: Samples
) -> tuple[dict[str, np.ndarray], str]:
    """Score samples with the model of ``model_day``, as production would have: that day is before theirs.

    Returns:
        ``p_<task>`` to float64 (n,), and the model's digest.

    Raises:
        ModelStoreError: the model is missing or damaged.
    """
    torch.set_num_threads(chain.training.threads)
    state, digest = _state_after(store, chain, model_day, None)
    scores: dict[str, np.ndarray] = {}
    for name, tasks in chain.members.items():
        found = predict(state.nets[name], samples, [task.name for task in tasks], chain.masks)
        scores |= {f"p_{task}": values for task, values in found.items()}
    return scores, digest


def load_nets(store: ModelStore, chain: Chain, day: date) -> tuple[dict[str, SharedNet], str]:
    """The networks of a day's model by member (``shared``, or one per task), and the model's digest."""
    state, digest = _state_after(store, chain, day, None)
    return state.nets, digest


def load_state(store: ModelStore, chain: Chain, day: date) -> tuple[State, str]:
    """A day's networks and optimisers, which say what they ever moved, and the model's digest; read only.

    Raises:
        ModelStoreError: the model is missing or damaged.
    """
    return _state_after(store, chain, day, None)


def _before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if np.isfinite(value) else None


def _state_after(store: ModelStore, chain: Chain, day: date, for_day: date | None) -> tuple[State, str]:
    """The state after ``day``: the one in memory where the disk confirms its digest, else the one on disk.

    ``for_day`` is the day that continues it, which turns a missing model into a named gap.
    """
    manifest = (
        store.require_parent(chain.kind, chain.digest, for_day)
        if for_day
        else store.manifest(chain.kind, chain.digest, day)
    )
    warm_day, digest, state = store.warm.get(chain.digest, (None, None, None))
    if manifest and warm_day == day and digest == manifest["digest"]:
        return state, digest
    saved = store.load(chain.kind, chain.digest, day)
    state = restore(chain, saved, day)
    if warm_day is None or warm_day < day:
        store.warm[chain.digest] = (day, saved.digest, state)  # who scores with it often continues it next
    return state, saved.digest
