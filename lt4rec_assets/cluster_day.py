"""One large day on a Ray cluster: Ray Train starts, watches and replaces the workers, the core trains.

Each worker calls ``train_day`` as a single process would, with an exchange to the others. The first of them
publishes the model. Checkpoints lie in ``<home>/ray``, under a name that is made of what decides the model:
a run that is started again goes on where the last one stopped, and a finished day leaves nothing there.
"""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lt4rec_assets.cluster import code_digest, project_at_node
from lt4rec_assets.project import Project
from lt4rec_assets.settings import Settings
from lt4rec_core.config import digest_of
from lt4rec_core.data.places import working_folder
from lt4rec_core.errors import Lt4recError, TrainingError

if TYPE_CHECKING:
    from lt4rec_core.data.streaming import SampleStream
    from lt4rec_core.training.chain import Chain
    from lt4rec_core.training.daily import DayReport
    from lt4rec_core.training.store import ModelStore
    from lt4rec_core.training.trainer import Progress

LOOK_EVERY_S = 1.0
"""How often the run looks whether there is progress to tell."""


@dataclass(frozen=True)
class Day:
    """What a worker needs to know; tickets and yesterday's model it reads from the home."""

    settings: Settings
    code: str
    kind: Literal["snet", "baseline"]
    day: date
    first: bool
    samples: "SampleStream"
    versions: dict[str, int]
    folder: Path
    """Of this day's checkpoints and progress."""


def train_day_together(
    project: Project,
    store: "ModelStore",
    chain: "Chain",
    day: date,
    samples: "SampleStream",
    *,
    first: bool,
    versions: dict[str, int],
    report: "Callable[[Progress], None]",
) -> "DayReport":
    """``train_day`` by ``[ray] workers`` on the cluster that this process is connected to.

    Raises:
        MissingParentError: yesterday's model is not there.
        Lt4recError: as ``train_day``, at any worker.
        TrainingError: workers died more often than ``[ray] retries``.
    """
    parent = None if first else store.require_parent(chain.kind, chain.digest, day)["digest"]
    store.warm.pop(chain.digest, None)  # the workers hold it now
    decides = [
        chain.digest,
        parent,
        versions,
        project.settings.ray.workers,
        samples.block_rows,
        code_digest(),
    ]
    root = working_folder(project.settings.home) / "ray"
    folder = root / f"{chain.kind}-{day}-{digest_of(decides)[:16]}"
    work = Day(project.settings, code_digest(), chain.kind, day, first, samples, versions, folder)
    for other in root.glob(f"{chain.kind}-{day}-*"):
        if other != folder:  # of other samples, settings or code: nobody goes on from there
            shutil.rmtree(other, ignore_errors=True)
    try:
        found = _watched(work, report)
    finally:
        _progress_file(work).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _watched(work: Day, report: "Callable[[Progress], None]") -> "DayReport":
    """Let Ray Train run it in a thread, and tell its progress from here, where Dagster listens."""
    ended: list[Any] = []

    def fit() -> None:
        try:
            ended.append(_fit(work))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    seen = ""
    while thread.is_alive():
        thread.join(LOOK_EVERY_S)
        with suppress(OSError):
            text = _progress_file(work).read_text()
            if text != seen:
                seen = text
                report(_progress(text))
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def _fit(work: Day) -> "DayReport":
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    need = work.settings.ray
    reserve: dict[str, float] = {"CPU": need.cpus}
    if need.memory_gb:
        reserve["memory"] = int(need.memory_gb * 2**30)
    trainer = TorchTrainer(
        at_worker,
        train_loop_config={"day": work},
        scaling_config=ScalingConfig(num_workers=need.workers, resources_per_worker=reserve),
        torch_config=TorchConfig(backend="gloo"),
        run_config=RunConfig(
            name=work.folder.name,
            storage_path=str(work.folder.parent),
            failure_config=FailureConfig(max_failures=need.retries),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        result = trainer.fit()
    except TrainingFailedError as error:
        raise _reason(work, error) from error
    return result.return_value


def _reason(work: Day, error: Any) -> Lt4recError:
    """What a worker raised on purpose, or that workers died."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, Lt4recError):
                return cause
            cause = cause.__cause__
    told = "; ".join(f"worker {rank}: {_last_line(failure)}" for rank, failure in failures.items())
    return TrainingError(
        f"{work.kind} of {work.day}: the workers on the cluster failed more than {work.settings.ray.retries} "
        f"times ({told or _last_line(error)}). Run the day again: it goes on from the last checkpoint in "
        f"{work.folder}. Look at [ray] memory_gb and at Ray's logs."
    )


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def at_worker(config: "dict[str, Any]") -> "DayReport":
    """Run at every worker, again after one was replaced."""
    import ray.train

    from lt4rec_assets.learning import Learning
    from lt4rec_core.training.daily import Workers, train_day
    from lt4rec_core.training.exchange import Group
    from lt4rec_core.training.store import ModelStore

    work: Day = config["day"]
    project, exchange = project_at_node(work.settings, work.code), Group()
    store, checkpoint = ModelStore(work.settings.home), ray.train.get_checkpoint()
    chain, rounds = Learning.of(project).chain(work.kind, store), 0

    def keep(save: Callable[[Path], str]) -> None:
        nonlocal rounds
        rounds += 1
        if rounds % work.settings.ray.checkpoint_every:
            return
        written = None
        if exchange.rank == 0:
            folder = tempfile.mkdtemp(prefix="lt4rec-")
            save(Path(folder))
            written = ray.train.Checkpoint.from_directory(folder)
        ray.train.report({"rounds": rounds}, written, delete_local_checkpoint_after_upload=True)

    return train_day(
        store,
        chain,
        work.day,
        work.samples,
        first=work.first,
        data_versions=work.versions,
        report=None if exchange.rank else lambda where: _tell(work, where),
        workers=Workers(exchange, keep, Path(checkpoint.path) if checkpoint else None),
    )


def _progress_file(work: Day) -> Path:
    return work.folder.with_name(f"{work.folder.name}.progress")


def _tell(work: Day, where: "Progress") -> None:
    """Where training stands, in one small file of the home that the run reads."""
    path = _progress_file(work)
    losses = {task: [loss.loss, loss.n] for task, loss in where.losses.items()}
    draft = path.with_suffix(".tmp")
    with suppress(OSError):  # progress is not worth a day
        draft.write_text(json.dumps([where.done, where.total, losses]))
        draft.replace(path)


def _progress(text: str) -> "Progress":
    from lt4rec_core.training.trainer import Progress, TaskLoss

    done, total, losses = json.loads(text)
    return Progress(done, total, {task: TaskLoss(loss, n) for task, (loss, n) in losses.items()})
