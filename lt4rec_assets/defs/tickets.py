"""Group ``tickets``: each task's mask, found once on the ticket window, and how the masks share the trunk."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from lt4rec_assets.cells import search
from lt4rec_assets.cluster import Cluster, one
from lt4rec_assets.gate import clear_failure
from lt4rec_assets.labels import code_version
from lt4rec_assets.metadata import markdown_table, picture
from lt4rec_assets.partitions import pool_of
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource, ModelStoreResource
from lt4rec_core.errors import MaskError, ModelStoreError

if TYPE_CHECKING:
    from lt4rec_core.model.masks import Overlap
    from lt4rec_core.training.store import ModelStore
    from lt4rec_core.training.tickets import Ticket, TicketKey

TICKET = dg.AssetKey(["tickets", "ticket"])
SHARING = dg.AssetKey(["tickets", "sharing_report"])


class TicketConfig(dg.Config):
    """Tuning the search itself is ``lt4rec.toml``'s, since sNET must agree with it."""

    redraw: bool = Field(
        default=False,
        description="Search again although a ticket of these settings exists. "
        "If the mask changes, sNET starts a new chain.",
    )


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """``ticket`` per task, and ``sharing_report`` over all of them."""
    return [_ticket(project), _sharing_report(project)]


def _ticket(project: Project) -> dg.AssetsDefinition:
    days = project.partitions

    @dg.asset(
        key=TICKET,
        group_name="tickets",
        partitions_def=days.tasks,
        pool=pool_of(project.settings.ray_address),
        deps=[dg.AssetDep(["training", "samples"], partition_mapping=days.on_ticket_window())],
        kinds={"pytorch"},
        code_version=code_version(project, "model", "training", "data/loading.py", learns=True),
    )
    def ticket(
        context: dg.AssetExecutionContext,
        config: TicketConfig,
        lake: LakeResource,
        store: ModelStoreResource,
        cluster: dg.ResourceParam[Cluster],
    ) -> dg.MaterializeResult:
        """The mask of one task: Algorithm 1, lines 1-10, on the ticket window; reused unchanged every day.

        The last day of the window validates. No later day is read.
        """
        from lt4rec_assets.learning import Learning
        from lt4rec_core.training.ticket_record import record_ticket

        task = context.partition_key
        with clear_failure():
            learning, models = Learning.of(project), store.open()
            tables = lake.open(project)
            found = None if config.redraw else _stored(context, models, learning.ticket_key, task)
            reused = found is not None
            if found is None:
                found = one(cluster, project, search, (task,), context.log.info)
                models.save_ticket(learning.ticket_key, found)
            record_ticket(tables, learning.ticket_key, found)
        return dg.MaterializeResult(
            metadata={**_describe(found), "reused": reused, "settings_digest": learning.ticket_key.digest},
            data_version=dg.DataVersion(found.digest),  # the same mask again makes no model stale
        )

    return ticket


def _sharing_report(project: Project) -> dg.AssetsDefinition:
    tasks = project.partitions.on_all_tasks()

    @dg.asset(
        key=SHARING,
        group_name="tickets",
        deps=[dg.AssetDep(TICKET, partition_mapping=tasks)],
        kinds={"pytorch"},
        code_version=code_version(project, "model", "evaluation/plots.py", learns=True),
    )
    def sharing_report(lake: LakeResource, store: ModelStoreResource) -> dg.MaterializeResult:
        """Which trunk weights are only CTR's, only CVR's, shared or unused, and how each search went.

        The pictures are the paper's Figures 3 and 4. With further tasks each pair is told.
        """
        from lt4rec_assets.learning import Learning
        from lt4rec_core.evaluation.plots import sharing_picture
        from lt4rec_core.model.masks import overlap
        from lt4rec_core.training.ticket_record import record_sharing

        with clear_failure():
            learning, models = Learning.of(project), store.open()
            tickets = {t.name: models.load_ticket(learning.ticket_key, t.name) for t in learning.tasks}
            layers = overlap(tickets["ctr"].mask, tickets["cvr"].mask)
            pairs = [
                _pair_row(a, b, overlap(tickets[a].mask, tickets[b].mask)[-1])
                for a, b in combinations(tickets, 2)
            ]
            masks = {name: found.mask for name, found in tickets.items()}
            record_sharing(lake.open(project), learning.ticket_key.last, masks)
        total = layers[-1]
        return dg.MaterializeResult(
            metadata={
                "jaccard": total.jaccard,
                "jaccard_by_chance": total.jaccard_by_chance,
                **{f"density_{name}": found.density for name, found in tickets.items()},
                "layers": markdown_table([_layer_row(layer) for layer in layers]),
                "pairs_of_tasks": markdown_table(pairs),
                "sharing_picture": picture(
                    sharing_picture([layer.layer for layer in layers], _counts(layers)), "sharing per layer"
                ),
                "pruning_picture": picture(
                    _pruning_picture(tickets), "validation metric against remaining weights"
                ),
            }
        )

    return sharing_report


def _stored(
    context: dg.AssetExecutionContext, models: "ModelStore", key: "TicketKey", task: str
) -> "Ticket | None":
    """The ticket of these settings, if there is one that can be read."""
    if not models.has_ticket(key, task):
        return None
    try:
        return models.load_ticket(key, task)
    except (MaskError, ModelStoreError) as error:
        context.log.warning(f"searching again, which finds the same ticket: {error}")
        return None


def _counts(layers: "Sequence[Overlap]") -> dict[str, list[int]]:
    return {
        "shared": [layer.shared for layer in layers],
        "only CTR": [layer.only_first for layer in layers],
        "only CVR": [layer.only_second for layer in layers],
        "unused": [layer.unused for layer in layers],
    }


def _pruning_picture(tickets: "Mapping[str, Ticket]") -> bytes:
    """One panel per task; all searches prune alike, so they share their densities."""
    from lt4rec_core.evaluation.plots import pruning_picture

    named = {f"{name} {found.metric.upper()}": found for name, found in tickets.items()}
    return pruning_picture(
        [r.density for r in next(iter(tickets.values())).rounds],
        {name: [r.metric for r in found.rounds] for name, found in named.items()},
        "Validation metric against remaining weights",
        chosen={name: found.best_i for name, found in named.items()},
    )


def _describe(found: "Ticket") -> dict[str, Any]:
    chosen = found.rounds[found.best_i]
    return {
        "density": found.density,
        "sparsity": 1 - found.density,
        "best_i": found.best_i,
        f"valid_{found.metric}": chosen.metric,
        "mask_digest": found.digest,
        "rounds": markdown_table(
            [
                {
                    "round": r.i,
                    "density": r.density,
                    f"valid {found.metric}": r.metric,
                    "standard error": r.standard_error,
                    "training loss": r.train_loss,
                    "chosen": "yes" if r.i == found.best_i else "",
                }
                for r in found.rounds
            ]
        ),
    }


def _pair_row(first: str, second: str, total: "Overlap") -> dict[str, Any]:
    return {
        "tasks": f"{first}, {second}",
        "shared": total.shared,
        "Jaccard": total.jaccard,
        "by chance": total.jaccard_by_chance,
    }


def _layer_row(layer: Any) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "weights": layer.n,
        "shared": layer.shared,
        "only CTR": layer.only_first,
        "only CVR": layer.only_second,
        "unused": layer.unused,
        "Jaccard": layer.jaccard,
        "by chance": layer.jaccard_by_chance,
    }
