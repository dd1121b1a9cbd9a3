"""Group ``training``: one impression, model-ready."""

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_assets.tables import gated_table_asset


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """Bucket ids and labels side by side, behind a gate."""
    return [gated_table_asset(project, "training.samples")]
