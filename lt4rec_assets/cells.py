"""What can be computed anywhere: a ticket, a row's settings, a cell. Each reads a home and needs no Dagster.

Every function takes the project and where progress goes, then values that name what is wanted. It is called
in this process or on a node of a cluster (``cluster.py``); PyTorch is imported there and nowhere else.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lt4rec_assets.progress import ProgressLog
from lt4rec_assets.project import Project
from lt4rec_assets.trials import Cell
from lt4rec_core.data.lake import Lake

if TYPE_CHECKING:
    from lt4rec_core.experiments.records import Frozen
    from lt4rec_core.experiments.tuning import Checkpoint
    from lt4rec_core.training.tickets import Round, Ticket

Say = Callable[[str], None]


def search(project: Project, say: Say, task: str) -> "Ticket":
    """The ticket of a task, on the ticket window of the home; not yet kept."""
    from lt4rec_assets.learning import Learning

    learning, log = Learning.of(project), ProgressLog(say)
    pruning = learning.pruning

    def on_round(done: "Round") -> None:
        say(
            f"round {done.i} of {pruning.n_pruning}: density {done.density:.3f}, "
            f"validation metric {done.metric:.5f}, training loss {done.train_loss:.5f}"
        )

    return learning.search(
        task,
        Lake(project.settings.home),
        on_round=on_round,
        progress=lambda i, where: log(f"{task}, round {i} of {pruning.n_pruning}", where, pruning.epochs),
    )


def tune(project: Project, say: Say, name: str, share: float) -> "tuple[Frozen, float]":
    """A row's frozen settings at a share of the CVR labels, and the seconds it took."""
    from lt4rec_assets.research import Research

    def tell(point: "Checkpoint") -> None:
        metrics = ", ".join(f"{metric} {value:.5f}" for metric, value in point.metrics.items())
        say(f"share {share:g}: trial {point.trial} after {point.epoch} passes: {metrics}")

    began = time.monotonic()
    frozen = Research.of(project, Lake(project.settings.home)).tune(name, share, tell)
    return frozen, time.monotonic() - began


def run_cell(project: Project, say: Say, key: str) -> dict[str, Any]:
    """A finished cell as metadata; run now unless it was before."""
    from lt4rec_assets.research import Research

    research, cell = Research.of(project, Lake(project.settings.home)), Cell.of(key)
    began = time.monotonic()
    reused = research.finished(cell) is not None
    found = research.run(cell)
    return {
        **{name: float(value) for name, value in found.metrics.items()},
        **{f"density_{task}": float(share) for task, share in found.densities.items()},
        **{name: float(value) for name, value in found.calibration.items()},
        "frozen_digest": found.frozen,
        "reused": reused,
        "seconds": time.monotonic() - began,
    }
