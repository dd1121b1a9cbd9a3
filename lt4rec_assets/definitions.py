"""Gathers the graph and what runs it by itself; computes nothing."""

import dagster as dg

from lt4rec_assets.automation import automation
from lt4rec_assets.graph import beta_features, build_graph
from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings


def build_definitions(project: Project) -> dg.Definitions:
    """Everything that Dagster knows of one home."""
    with beta_features():
        return dg.Definitions.merge(build_graph(project), automation(project))


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads; a wrong setting is reported here, by name."""
    return build_definitions(Project.of(read_settings()))
