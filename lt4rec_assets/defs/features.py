"""Group ``features``: daily counts, and what was known of a user or video before the day."""

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_assets.tables import table_asset


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """The daily statistics feed the features of the seven days after, never of the same day."""
    return [
        table_asset(project, "features.user_daily_stats"),
        table_asset(project, "features.video_daily_stats"),
        table_asset(project, "features.user_features"),
        table_asset(project, "features.video_features"),
    ]
