"""Group ``source``: what was delivered, typed but not cleaned."""

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_assets.tables import table_asset


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """Users, videos and the impression log of a day; the truth where the source knows it."""
    return [table_asset(project, name) for name in project.tables if name.startswith("source.")]
