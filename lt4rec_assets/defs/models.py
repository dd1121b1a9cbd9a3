"""Group ``models``: sNET through its tickets and the dense baseline, both continued day by day."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from lt4rec_assets.cluster import Cluster
from lt4rec_assets.cluster_day import train_day_together
from lt4rec_assets.defs.tickets import TICKET
from lt4rec_assets.gate import clear_failure, making
from lt4rec_assets.labels import code_version
from lt4rec_assets.partitions import MODEL_DAYS_PER_RUN, TRAINING_POOL, days_before, days_of
from lt4rec_assets.progress import ProgressLog
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource, ModelStoreResource
from lt4rec_assets.settings import optional_day
from lt4rec_core.config import digest_of

if TYPE_CHECKING:
    from lt4rec_core.training.daily import DayReport
    from lt4rec_core.training.trainer import Progress

Kind = Literal["snet", "baseline"]
SNET = dg.AssetKey(["models", "snet"])
BASELINE = dg.AssetKey(["models", "baseline"])
DATA_VERSION_TAG = "dagster/data_version"
"""Where Dagster keeps the data version of a materialisation."""


class ModelConfig(dg.Config):
    """What tunes training is ``lt4rec.toml``'s: tickets, sNET and baseline must agree on it."""

    new_chain_from: str = Field(
        default="",
        description="A day, as 2026-01-31, on which the chain starts from first values instead of continuing "
        "yesterday's model. The chain of a home starts by itself on LT4REC_START; this is for a home whose "
        "settings changed later on.",
    )


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """``snet`` and ``baseline``, trained by the same code."""
    tickets = dg.AssetDep(TICKET, partition_mapping=project.partitions.on_all_tasks())
    return [
        _chain(
            project,
            SNET,
            "snet",
            [tickets],
            "One shared network in which every task trains through its ticket (Algorithm 1, lines 11-19): "
            "yesterday's weights and optimiser state, one pass over today's samples, the tickets unchanged.",
        ),
        _chain(
            project,
            BASELINE,
            "baseline",
            [],
            "The dense single-task models, trained the same way: what sNET must beat every day.",
        ),
    ]


def _chain(
    project: Project, key: dg.AssetKey, kind: Kind, deps: Sequence[dg.AssetDep], description: str
) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        group_name="models",
        description=description,
        partitions_def=project.partitions.daily,
        pool=TRAINING_POOL,
        # A run trains some days warm in memory; the daemon pays for a process once in so many days.
        backfill_policy=dg.BackfillPolicy.multi_run(MODEL_DAYS_PER_RUN),
        deps=[
            dg.AssetDep(["training", "samples"], partition_mapping=days_before(0, 0)),
            *deps,
            dg.AssetDep(key, partition_mapping=days_before(-1, -1)),
        ],
        kinds={"pytorch"},
        code_version=code_version(project, "model", "training", "data/loading.py", learns=True),
    )
    def model(
        context: dg.AssetExecutionContext,
        config: ModelConfig,
        lake: LakeResource,
        store: ModelStoreResource,
        cluster: dg.ResourceParam[Cluster],
    ) -> dg.MaterializeResult:
        days = days_of(context)
        with clear_failure():
            chain_start = optional_day("new_chain_from", config.new_chain_from)
            version = _version_of_range(project, kind, days, lake, store) if len(days) > 1 else ""
        for day in days:
            with making(project, lake, key.to_user_string(), day, context):
                first = day in (project.settings.start, chain_start)
                report, read = _train(project, kind, day, first, lake, store, cluster, context.log.info)
            metadata = describe(report, read)
            context.add_asset_metadata(metadata, partition_key=day.isoformat())
            context.log.info(f"{kind} of {day}: {_losses(report)}, {report.seconds:.1f} s")
            if day != days[-1]:
                # Should a later day of this run fail, this one is on record.
                context.log_event(
                    dg.AssetMaterialization(
                        asset_key=key,
                        partition=day.isoformat(),
                        metadata=metadata,
                        tags={DATA_VERSION_TAG: version},
                    )
                )
        return dg.MaterializeResult(data_version=dg.DataVersion(version or report.digest))

    return model


def _train(
    project: Project,
    kind: Kind,
    day: date,
    first: bool,
    lake: LakeResource,
    store: ModelStoreResource,
    cluster: Cluster,
    say: Callable[[str], None],
) -> tuple["DayReport", dict[str, Any]]:
    """Read the day, continue the chain, publish the model; beside the report, what it was made from."""
    from lt4rec_assets.learning import SAMPLES, Learning
    from lt4rec_core.data.streaming import SampleStream
    from lt4rec_core.training.daily import train_day

    learning, opened, models = Learning.of(project), lake.open(project), store.open()
    chain = learning.chain(kind, models)
    samples, version = learning.samples_or_stream(opened, day, day)
    log, versions = ProgressLog(say), {SAMPLES: version}

    def tell(where: "Progress") -> None:
        log(f"{kind} of {day}", where)

    if isinstance(samples, SampleStream) and cluster.train_together(project):
        report = train_day_together(
            project, models, chain, day, samples, first=first, versions=versions, report=tell
        )
    else:
        report = train_day(models, chain, day, samples, first=first, data_versions=versions, report=tell)
    read = {
        "read_delta_versions": {SAMPLES: version},
        "ticket_digests": {task: ticket.digest for task, ticket in chain.tickets.items()},
        "chain_digest": chain.digest,
    }
    return report, read


def _version_of_range(
    project: Project, kind: Kind, days: Sequence[date], lake: LakeResource, store: ModelStoreResource
) -> str:
    """The data version of all days of one run, known before the first is trained.

    Dagster gives the days of a run one data version. It covers whatever decides the models, their files of
    samples included, so that models that changed never pass for the same; but a day that is trained again by
    itself has its own digest then, and what depends on it looks stale once.
    """
    from lt4rec_assets.learning import SAMPLES, Learning

    models = store.open()
    chain = Learning.of(project).chain(kind, models)
    parent = models.manifest(kind, chain.digest, days[0] - timedelta(days=1)) or {}
    files = lake.open(project).files(SAMPLES, days[0], days[-1])
    return digest_of([chain.digest, parent.get("digest"), [Path(file).name for file in files], list(days)])


def describe(report: "DayReport", read: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that plot over partitions, what the model continues and what it was made from."""
    return {
        **{f"loss_{task}": loss.loss for task, loss in report.losses.items() if loss.n},
        **{f"samples_{task}": loss.n for task, loss in report.losses.items()},
        **{f"density_{task}": density for task, density in report.densities.items()},
        "precision": report.precision,
        "seconds": report.seconds,
        "model_digest": report.digest,
        "parent_digest": report.parent or "none: the chain starts here",
        **read,
    }


def _losses(report: "DayReport") -> str:
    return ", ".join(f"{task} loss {loss.loss:.4f} over {loss.n:,}" for task, loss in report.losses.items())
