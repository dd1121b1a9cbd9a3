"""The whole page: its sections, and one HTML text that needs no other file and no network."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lt4rec_core.errors import Lt4recError
from lt4rec_core.report import days, logs, online, race, vega
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Block, Chart, Facts, Gap, Section, told
from lt4rec_core.report.ranker import ranker
from lt4rec_core.report.sharing import Drawn, sharing

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a report is about, and what it shows that no table holds."""

    source: str
    """Name of the source."""

    first: date
    last: date
    """Days of the report, both inclusive."""

    made_at: datetime
    """UTC; the only thing on the page that differs if it is made again."""

    drawn: Sequence[Drawn] = ()
    tickets_missing: Sequence[Gap] = ()
    rankers: Sequence[Mapping[str, Any]] = ()
    """Manifests of the rankers of the days, by day."""

    ranker_in_use: str | None = None
    rankers_missing: Sequence[Gap] = ()
    origin: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """What made it: heading to names and values."""


def sections_of(lake: Lake, given: Given) -> list[Section]:
    """Every section, in the order of the page; one that cannot be read says so and takes no other along."""
    made: dict[str, Callable[[], Section]] = {
        "From delivered to watched": lambda: logs.funnel(lake),
        "Data quality": lambda: logs.quality(lake),
        "Day by day": lambda: days.metrics(lake),
        "Calibration": lambda: days.calibration(lake),
        "Slices": lambda: days.slices(lake),
        "Figures 3 and 4: the tickets": lambda: sharing(given.drawn, given.tickets_missing),
        "Table 2: the race": lambda: race.offline(lake),
        "Table 3: online": lambda: online.online(lake),
        "The ranker": lambda: ranker(given.rankers, given.ranker_in_use, given.rankers_missing),
    }
    sections = [_unless_it_fails(title, make) for title, make in made.items()]
    return [*sections, _origin(given)]


def _unless_it_fails(title: str, make: Callable[[], Section]) -> Section:
    try:
        return make()
    except Lt4recError as error:
        gap = Gap("this section", f"it cannot be read: {error}", "see the message")
        return Section("cannot-be-read-" + hashlib.sha256(title.encode()).hexdigest()[:8], title, "", [gap])


def _origin(given: Given) -> Section:
    blocks = [Facts([("", heading), *rows]) for heading, rows in given.origin.items() if rows]
    return Section(
        "origin", "What made it", "Settings and digests: the same ones give the same page.", blocks
    )


def head_of(lake: Lake, given: Given) -> Facts:
    """The numbers at the top of the page, as far as there are any."""
    funnel, rows = _if_readable(lake, "funnel"), list[tuple[str, str]]()
    if not isinstance(funnel, Gap):
        totals = {step: sum(day[step] for day in funnel) for step in logs.STEPS}
        rows += [("impressions accepted", told(totals["accepted"], "count"))]
        if totals["accepted"]:
            rows += [("clicked", told(totals["clicked"] / totals["accepted"], "share"))]
        if totals["clicked"]:
            rows += [("of these watched", told(totals["watched"] / totals["clicked"], "share"))]
    rows += days.headline(_if_readable(lake, "daily_metrics"))
    return Facts(rows, large=True)


def _if_readable(lake: Lake, name: str) -> list[dict[str, Any]] | Gap:
    """The rows for the head; where they cannot be read, their section says why."""
    try:
        return lake.ask(name)
    except Lt4recError as error:
        return Gap(name, str(error), "see its section")


def render(sections: Sequence[Section], head: Facts, given: Given, interactive: bool = True) -> str:
    """The page as HTML text. All text is escaped; what may run is named by its digest and nothing else may.

    Args:
        sections: of ``sections_of``.
        head: of ``head_of``.
        given: what it is about.
        interactive: with Vega in the page, 0.9 MB; without it the charts are still pictures.
    """
    charts = [chart for section in sections for chart in section.charts]
    scripts = [vega.library(), _text("page.js")] if interactive and charts else []
    return _template().render(
        title=f"{given.source}, {given.first} to {given.last}",
        given=given,
        made_at=f"{given.made_at:%Y-%m-%d %H:%M} UTC",
        head=head,
        sections=[(section, _grouped(section.blocks)) for section in sections],
        gaps=[(section, gap) for section in sections for gap in section.gaps],
        style=_text("page.css"),
        scripts=scripts,
        policy=_policy(scripts),
        pictures={chart.id: vega.drawn(_spoken(chart), chart.id) for chart in charts},
        specs={chart.id: _as_data(_spoken(chart)) for chart in charts} if scripts else {},
    )


def digest_of_page(text: str, given: Given) -> str:
    """A digest of what a page says, whenever it was made."""
    return hashlib.sha256(text.replace(f"{given.made_at:%Y-%m-%d %H:%M} UTC", "").encode()).hexdigest()


def _grouped(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Blocks with their kind; charts that follow each other may stand side by side."""
    return [(kind, list(group)) for kind, group in groupby(blocks, key=lambda b: type(b).__name__.lower())]


def _spoken(chart: Chart) -> dict[str, Any]:
    return {**chart.spec, "description": chart.description}


def _as_data(spec: Mapping[str, Any]) -> str:
    """JSON that can stand within ``<script>``, whatever text is in it."""
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: Sequence[str]) -> str:
    """The page loads nothing, sends nothing, and runs only the scripts that it was written with."""
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    return environment.from_string(_text("page.html"))


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
