"""Group ``report``: one HTML page about the newest days, for whoever wants to see them all at once.

It is made when somebody asks, or by the schedule ``daily_report``: no day of the graph waits for it.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from lt4rec_assets.defs.evaluation import METRICS
from lt4rec_assets.defs.experiments import COMPARISON, SCARCITY
from lt4rec_assets.defs.online import ONLINE
from lt4rec_assets.defs.serving import RANKER
from lt4rec_assets.defs.tickets import TICKET
from lt4rec_assets.gate import clear_failure
from lt4rec_assets.metadata import markdown_table
from lt4rec_assets.project import Project
from lt4rec_assets.settings import optional_day

if TYPE_CHECKING:
    from lt4rec_assets.report import Written

GROUP = "report"
PAGE = dg.AssetKey([GROUP, "page"])
FILE = "report.html"
"""In ``$LT4REC_HOME/reports``; each page replaces the one before."""

SHOWN = (
    dg.AssetKey(["samples", "screened_impressions"]),
    dg.AssetKey(["samples", "conversions"]),
    dg.AssetKey(METRICS.split(".")),
    dg.AssetKey(["evaluation", "calibration"]),
    TICKET,
    RANKER,
    COMPARISON,
    SCARCITY,
    ONLINE,
)


class PageConfig(dg.Config):
    """Which days the page is about."""

    days: int = Field(
        default=28,
        ge=1,
        le=3660,
        description="How many days up to the last one, where no first day is named.",
    )
    first: str = Field(default="", description="First day, as 2022-04-25. Empty: by the number of days.")
    last: str = Field(default="", description="Last day, inclusive. Empty: the newest that the lake has.")


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """``page``."""

    @dg.asset(key=PAGE, group_name=GROUP, deps=list(SHOWN), kinds={"html", "duckdb"})
    def page(context: dg.AssetExecutionContext, config: PageConfig) -> dg.MaterializeResult:
        """One self-contained HTML page: data quality, metrics, tickets, Tables 1 to 3, the ranker.

        It lies in the home's ``reports`` and needs no network; what is not materialised is named on it.
        ``lt4rec report --out FILE`` writes the same page anywhere.
        """
        from lt4rec_assets.report import write_report

        with clear_failure():
            written = write_report(
                project,
                project.settings.home / "reports" / FILE,
                optional_day("first", config.first),
                optional_day("last", config.last),
                days=config.days,
            )
        context.log.info(
            f"{written.path}: {written.n_bytes / 1e6:.1f} MB, {len(written.gaps)} things missing"
        )
        return dg.MaterializeResult(metadata=_describe(written), data_version=dg.DataVersion(written.digest))

    return [page]


def _describe(written: "Written") -> dict[str, dg.MetadataValue]:
    missing = [
        {"section": section, "missing": gap.asset, "to make it": gap.make} for section, gap in written.gaps
    ]
    head = [{"": name, "value": value} for name, value in written.head]
    return {
        "page": dg.MetadataValue.path(str(written.path)),
        # Browsers follow a link from the UI to a file only where they are told to: it can be copied.
        "link": dg.MetadataValue.url(written.path.as_uri()),
        "first_day": dg.MetadataValue.text(str(written.first)),
        "last_day": dg.MetadataValue.text(str(written.last)),
        "days": dg.MetadataValue.int((written.last - written.first + timedelta(days=1)).days),
        "bytes": dg.MetadataValue.int(written.n_bytes),
        "at_a_glance": markdown_table(head),
        "not_materialised": markdown_table(missing),
        "digest": dg.MetadataValue.text(written.digest),
    }
