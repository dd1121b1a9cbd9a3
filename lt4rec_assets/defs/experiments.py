"""Group ``experiments``: every row of the paper's Table 2 raced fairly, and what scarce labels change.

``lt4rec race`` runs all of it in one command; in the UI rows and cells are partitions, to be backfilled.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from lt4rec_assets.cells import run_cell, tune
from lt4rec_assets.cluster import Cluster
from lt4rec_assets.gate import clear_failure
from lt4rec_assets.metadata import markdown_table
from lt4rec_assets.partitions import TRAINING_POOL, pool_of
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource
from lt4rec_assets.trials import ExperimentsConfig, cells_of, shares_of
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.variants import VARIANTS

if TYPE_CHECKING:
    from lt4rec_core.experiments.records import Frozen

GROUP = "experiments"
TUNED = dg.AssetKey([GROUP, "tuned_settings"])
RUN = dg.AssetKey([GROUP, "variant_run"])
COMPARISON = dg.AssetKey([GROUP, "offline_comparison"])
SCARCITY = dg.AssetKey([GROUP, "label_scarcity"])
ABLATIONS = dg.AssetKey([GROUP, "ablations"])


class TuningRunConfig(dg.Config):
    """The budget is ``[experiments]``'s in ``lt4rec.toml``, since every row must have the same."""

    shares: list[float] = Field(
        default=[],
        description="Tune the row at these shares of the CVR labels only, of 1 and those in [experiments] "
        "label_shares. Empty: at all that it is raced at.",
    )


class AblationConfig(dg.Config):
    """Which rows are taken apart."""

    rows: list[str] = Field(
        default=["base_ctr", "base_cvr", "s_weight_fixed_sparsity"],
        description="Rows of which one thing is changed at a time: network, loss, optimiser, passes.",
    )


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """Settings per row, then cells, then the tables over them."""
    config = ExperimentsConfig.of(project.settings)
    return [
        _tuned_settings(project, config),
        _variant_run(project, config),
        _offline_comparison(project),
        _label_scarcity(project),
        _ablations(project),
    ]


def _samples_of_the_race(project: Project, config: ExperimentsConfig) -> dg.AssetDep:
    """The days of the split; in a home that grows without a named last day, all there are."""
    samples = ["training", "samples"]
    try:
        days = config.days(project.settings)
    except ConfigError:
        return dg.AssetDep(samples)
    keys = [day.isoformat() for day in days]
    return dg.AssetDep(samples, partition_mapping=dg.SpecificPartitionsPartitionMapping(keys))


def _tuned_settings(project: Project, config: ExperimentsConfig) -> dg.AssetsDefinition:
    @dg.asset(
        key=TUNED,
        group_name=GROUP,
        partitions_def=dg.StaticPartitionsDefinition(list(VARIANTS)),
        pool=pool_of(project.settings.ray_address),
        deps=[_samples_of_the_race(project, config)],
        kinds={"pytorch"},
    )
    def tuned_settings(
        context: dg.AssetExecutionContext,
        config: TuningRunConfig,
        lake: LakeResource,
        cluster: dg.ResourceParam[Cluster],
    ) -> dg.MaterializeResult:
        """The settings that a row won with on the validation day, frozen before any test day is scored.

        Every row tries equally many; a row of the scarcity curve is tuned again at each share of labels.
        What was frozen is reused as long as data, budget and the settings it starts from are the same.
        """
        name, metadata = context.partition_key, dict[str, Any]()
        with clear_failure():
            lake.open(project)
            shares = config.shares or shares_of(ExperimentsConfig.of(project.settings), name)
            ended = dict(cluster.each(project, tune, [(name, s) for s in shares], context.log.info))
            for _, share in (call for call in ended if isinstance(ended[call], Exception)):
                context.log.error(f"share {share:g} failed")
            for found in (found for found in ended.values() if isinstance(found, Exception)):
                raise found
            for share in shares:
                metadata |= _describe_frozen(ended[name, share][0], share, ended[name, share][1])
        return dg.MaterializeResult(metadata=metadata)

    return tuned_settings


def _variant_run(project: Project, config: ExperimentsConfig) -> dg.AssetsDefinition:
    cells = cells_of(config)
    keys = {name: {cell.key for cell in cells if cell.variant == name} for name in VARIANTS}

    @dg.asset(
        key=RUN,
        group_name=GROUP,
        partitions_def=dg.StaticPartitionsDefinition([cell.key for cell in cells]),
        pool=pool_of(project.settings.ray_address),
        # The seeds of a row stand together: one run reads the samples once for all of them.
        backfill_policy=dg.BackfillPolicy.multi_run(config.seeds),
        deps=[dg.AssetDep(TUNED, partition_mapping=dg.StaticPartitionMapping(keys))],
        kinds={"pytorch"},
    )
    def variant_run(
        context: dg.AssetExecutionContext, lake: LakeResource, cluster: dg.ResourceParam[Cluster]
    ) -> None:
        """One cell of the race: a row refitted under one seed with frozen settings, scored on the test days.

        Partitions are named share of CVR labels | row | seed. A finished cell is read, not run again; a cell
        that fails takes no other along.
        """
        wanted = list(context.partition_keys)
        failed: dict[str, str] = {}
        with clear_failure():
            lake.open(project)
            ended = cluster.each(project, run_cell, [(key,) for key in wanted], context.log.info)
            for number, ((key,), found) in enumerate(ended, start=1):
                if isinstance(found, Exception):
                    failed[key] = f"{type(found).__name__}: {found}"
                    context.log.error(f"{key} failed: {failed[key]}")
                    continue
                context.log.info(f"{number} of {len(wanted)}: {key} {_told(found)}")
                context.add_asset_metadata(found, partition_key=key)
                if len(wanted) > 1:  # should another cell of this run fail, this one is on record
                    context.log_event(dg.AssetMaterialization(RUN, partition=key, metadata=found))
        if failed:
            why = "; ".join(f"{key}: {reason}" for key, reason in failed.items())
            raise dg.Failure(f"{len(failed)} of {len(wanted)} cells failed. {why}", allow_retries=False)

    return variant_run


def _offline_comparison(project: Project) -> dg.AssetsDefinition:
    @dg.asset(key=COMPARISON, group_name=GROUP, deps=[RUN], kinds={"pytorch", "deltalake"})
    def offline_comparison(lake: LakeResource) -> dg.MaterializeResult:
        """Table 2: each complete row against its single-task reference, with intervals over seeds and users.

        Beside it the paper's Figures 3 and 4 over all seeds. Published as ``experiments.offline_comparison``.
        """
        from lt4rec_assets.findings import publish_comparison, table_two_pictures
        from lt4rec_assets.research import Research

        with clear_failure():
            opened = lake.open(project)
            research = Research.of(project, opened)
            metadata = publish_comparison(research, opened)
            return dg.MaterializeResult(metadata={**metadata, **table_two_pictures(research)})

    return offline_comparison


def _label_scarcity(project: Project) -> dg.AssetsDefinition:
    @dg.asset(key=SCARCITY, group_name=GROUP, deps=[RUN], kinds={"pytorch", "deltalake"})
    def label_scarcity(lake: LakeResource) -> dg.MaterializeResult:
        """MSE and AUC against the share of the CVR labels that is left, features recomputed without the rest.

        Published as ``experiments.label_scarcity``.
        """
        from lt4rec_assets.findings import publish_scarcity
        from lt4rec_assets.research import Research

        with clear_failure():
            opened = lake.open(project)
            return dg.MaterializeResult(metadata=publish_scarcity(Research.of(project, opened), opened))

    return label_scarcity


def _ablations(project: Project) -> dg.AssetsDefinition:
    @dg.asset(
        key=ABLATIONS, group_name=GROUP, deps=[TUNED], pool=TRAINING_POOL, kinds={"pytorch", "deltalake"}
    )
    def ablations(
        context: dg.AssetExecutionContext, config: AblationConfig, lake: LakeResource
    ) -> dg.MaterializeResult:
        """What each choice is worth: rows with one thing changed, on the validation days.

        Published as ``experiments.ablations``. What was measured before is not measured again.
        """
        from lt4rec_assets.findings import publish_ablations
        from lt4rec_assets.research import Research

        def tell(change: str, seed: int, metrics: Mapping[str, float]) -> None:
            context.log.info(f"{change or 'as frozen'}, seed {seed}: {_told(dict(metrics))}")

        with clear_failure():
            opened = lake.open(project)
            metadata = publish_ablations(Research.of(project, opened), opened, config.rows, tell)
            return dg.MaterializeResult(metadata=metadata)

    return ablations


def _describe_frozen(frozen: "Frozen", share: float, seconds: float) -> dict[str, Any]:
    at = "" if share == 1 else f"_at_{share:g}"
    tried = [{"trial": p.trial, "passes": p.epoch, **p.metrics} for p in frozen.tried]
    training = frozen.settings.training
    return {
        f"frozen_digest{at}": frozen.digest,
        **{f"valid_{name}{at}": value for name, value in frozen.valid_metrics.items()},
        f"passes{at}": frozen.settings.epochs,
        f"seconds{at}": seconds,
        f"settings{at}": dg.MetadataValue.json(frozen.settings.to_mapping()["training"]),
        f"learning_rate{at}": training.learning_rate,
        f"tried{at}": markdown_table(tried) if tried else dg.MetadataValue.md("taken over from another race"),
    }


def _told(metadata: dict[str, Any]) -> str:
    return ", ".join(f"{name} {metadata[name]:.5f}" for name in ("ctr_auc", "cvr_mse") if name in metadata)
