"""The asset graph of one home: the groups, the resources and the executor, and when assets are due."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lt4rec_assets.cluster import cluster_of
from lt4rec_assets.defs import (
    evaluation,
    experiments,
    features,
    models,
    online,
    report,
    samples,
    serving,
    source,
    tickets,
    training,
    views,
)
from lt4rec_assets.labels import labelled
from lt4rec_assets.project import Project
from lt4rec_assets.provenance import run_tags
from lt4rec_assets.resources import LakeResource, ModelStoreResource, nothing_in_memory
from lt4rec_assets.schedule import automated

GROUPS = (source, samples, features, training, tickets, models, evaluation, serving)


@contextmanager
def beta_features() -> Iterator[None]:
    """Use what Dagster calls beta without a warning each time.

    Partitioned checks, offsets before the first day and backfill policies are what this graph stands on; each
    is covered by tests, so that a change in Dagster is noticed.
    """
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning):
            warnings.simplefilter("ignore", category)
        yield


def build_graph(project: Project) -> dg.Definitions:
    """Make the asset graph of one home, without what starts runs by itself."""
    home, tags = str(project.settings.home), run_tags(project.settings)
    with beta_features():
        assets = [asset for group in GROUPS for asset in group.assets(project)]
        # Experiments cost hours, and a report is read by people: neither is made unless somebody asks.
        on_request = [*experiments.assets(project), *online.assets(project), *report.assets(project)]
        assets = labelled(project, [*automated(project, assets), *on_request, *views.assets(project)])
    return dg.Definitions(
        assets=assets,
        resources={
            "lake": LakeResource(home=home, run_tags=tags),
            "store": ModelStoreResource(home=home, run_tags=tags),
            "cluster": cluster_of(project.settings),
            "io_manager": nothing_in_memory(),
        },
        # A process per step would import everything anew for a fraction of a second of work.
        executor=dg.in_process_executor,
    )
