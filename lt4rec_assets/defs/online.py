"""Group ``experiments``, its online part: Table 3 of the paper, in the simulator and on logged days."""

import dagster as dg
from pydantic import Field

from lt4rec_assets.defs.experiments import GROUP, TUNED
from lt4rec_assets.gate import clear_failure
from lt4rec_assets.partitions import TRAINING_POOL
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource

ONLINE = dg.AssetKey([GROUP, "online_simulation"])


class OnlineRunConfig(dg.Config):
    """How large the experiment is; seeds and days are those of the race."""

    n_requests: int = Field(default=1000, description="Requests of each test day, under each seed.")
    n_candidates: int = Field(default=50, description="Videos that a request chooses among.")
    n_shown: int = Field(default=10, description="Best of them that its user sees, one after the other.")


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """``online_simulation``."""

    @dg.asset(key=ONLINE, group_name=GROUP, deps=[TUNED], pool=TRAINING_POOL, kinds={"pytorch", "deltalake"})
    def online_simulation(
        context: dg.AssetExecutionContext, config: OnlineRunConfig, lake: LakeResource
    ) -> dg.MaterializeResult:
        """Table 3: policies that rank by Eq. 3, answered by simulated users; NDCG and GAUC on logged days.

        Rows are refitted with their frozen settings under the race's seeds, and kept. Published as
        ``experiments.online_simulation`` and ``experiments.online_exponents``; where the source replays logs,
        only what logs can tell.
        """
        from lt4rec_assets.online import publish_online
        from lt4rec_assets.research import Research
        from lt4rec_core.experiments.online import OnlineConfig

        with clear_failure():
            opened = lake.open(project)
            size = OnlineConfig(**config.model_dump())
            research = Research.of(project, opened)
            return dg.MaterializeResult(metadata=publish_online(research, opened, size, context.log.info))

    return [online_simulation]
