"""When an asset is due: what makes it so, and how late it may be. Nothing here starts a run.

The conditions take effect once the sensor ``declarative_automation`` is switched on in the UI.
"""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from lt4rec_assets.project import Project

LATE_AFTER, TOO_LATE_AFTER = timedelta(hours=6), timedelta(hours=24)
"""How long after ``daily_at`` a day's tables may take before the UI warns, and before it calls them stale."""


def automated(project: Project, assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Give each asset its condition, and in a home that grows the daily ones a freshness policy."""

    def due(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(
            automation_condition=_condition(project, spec),
            freshness_policy=_freshness(project, spec),
        )

    return [asset.map_asset_specs(due) for asset in assets]


def _condition(project: Project, spec: dg.AssetSpec) -> dg.AutomationCondition | None:
    group = spec.key.path[0]
    if group == "source":
        # A home with a last day gets no new ones: its logs are read when somebody asks.
        grows = project.settings.end is None
        return (
            dg.AutomationCondition.on_cron(project.settings.automation.cron, project.source.time_zone)
            if grows
            else None
        )
    if spec.partitions_def == project.partitions.tasks:
        return dg.AutomationCondition.on_missing()  # found once; a change of the window redraws nothing
    # Once all it reads is there, and again when that changes. A day that its gate refused is not there.
    return dg.AutomationCondition.eager()


def _freshness(project: Project, spec: dg.AssetSpec) -> dg.FreshnessPolicy | None:
    if project.settings.end is not None or spec.partitions_def is None:
        return None
    if spec.partitions_def == project.partitions.tasks:
        return None
    day = timedelta(days=1)
    return dg.FreshnessPolicy.time_window(fail_window=day + TOO_LATE_AFTER, warn_window=day + LATE_AFTER)
