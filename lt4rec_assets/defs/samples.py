"""Group ``samples``: every delivered row screened, the accepted ones, their clicks and conversions."""

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_assets.tables import gated_table_asset, table_asset


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """Nothing is lost (``screened_impressions``), and nothing bad goes on (``impressions``)."""
    return [
        table_asset(project, "samples.screened_impressions"),
        gated_table_asset(project, "samples.impressions"),
        table_asset(project, "samples.clicks"),
        table_asset(project, "samples.conversions"),
    ]
