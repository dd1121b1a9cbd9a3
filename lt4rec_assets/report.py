"""``lt4rec report``: gathers what one home has for a range of days and writes it as one HTML page.

Imported when a report is made, never when definitions load: PyTorch comes with the tickets.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lt4rec_assets.learning import Learning
from lt4rec_assets.project import Project
from lt4rec_assets.provenance import CHECKOUT, checked_out_commit
from lt4rec_assets.research import Research
from lt4rec_assets.trials import ExperimentsConfig
from lt4rec_core.data import lake as lake_module
from lt4rec_core.data.analyst import connect
from lt4rec_core.data.places import Place, listed, put_text
from lt4rec_core.errors import ConfigError, LakeError, Lt4recError
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Gap
from lt4rec_core.report.page import Given, digest_of_page, head_of, render, sections_of
from lt4rec_core.report.sharing import MAKE, Drawn
from lt4rec_core.serving.shelf import served_folder
from lt4rec_core.training.modelfile import MANIFEST, read_manifest
from lt4rec_core.training.store import ModelStore

DELIVERED = "samples.screened_impressions"
ROW = "s_weight"
"""The row of the race whose tickets are shown."""


@dataclass(frozen=True)
class Written:
    """A page that was written, and what can be said of it."""

    path: Place
    first: date
    last: date
    n_bytes: int
    digest: str
    """Of what it says, whenever it was made."""

    gaps: Sequence[tuple[str, Gap]]
    """Section and what is missing from it."""

    head: Sequence[tuple[str, str]]
    """The numbers at its top."""


def write_report(
    project: Project,
    out: Place,
    first: date | None = None,
    last: date | None = None,
    *,
    days: int | None = None,
    now: datetime | None = None,
) -> Written:
    """Write the page of a range of days; a page that stood there is replaced in one step.

    Args:
        project: whose home.
        out: the file.
        first: its first day; by default the first that the lake has, or of the last ``days``.
        last: its last day, inclusive; by default the newest that the lake has.
        days: how many days up to ``last``, where ``first`` is not named.
        now: the time that the page names, UTC.

    Raises:
        ConfigError: the range is empty.
        LakeError: the home has no lake, or the file cannot be written.
    """
    home = project.settings.home
    with closing(connect(home)) as con:
        first, last = _range(project, first, last, days)
        lake = Lake(con, project.settings.sql_root / "report", project.views, first, last)
        given = _given(project, first, last, now or datetime.now(UTC))
        sections, head = sections_of(lake, given), head_of(lake, given)
    text = render(sections, head, given)
    _put(out, text)
    return Written(
        path=out.resolve(),
        first=first,
        last=last,
        n_bytes=len(text.encode()),
        digest=digest_of_page(text, given),
        gaps=[(section.title, gap) for section in sections for gap in section.gaps],
        head=head.rows,
    )


def _range(project: Project, first: date | None, last: date | None, days: int | None) -> tuple[date, date]:
    """The days that were asked for, or those that there are."""
    there = lake_module.Lake(project.settings.home).days(DELIVERED) if first is None or last is None else []
    last = last or (there[-1] if there else project.settings.start)
    if first is None:
        first = last - timedelta(days=days - 1) if days else (there[0] if there else project.settings.start)
        first = max(first, project.settings.start)
    if last < first:
        raise ConfigError(f"--to ({last}) lies before --from ({first}): a report needs a day at least.")
    return first, last


def _put(out: Place, text: str) -> None:
    try:
        put_text(out, text)
    except OSError as error:
        raise LakeError(
            f"the report cannot be written to {out}: {error.strerror or error}. Name a file that is yours."
        ) from error


def _given(project: Project, first: date, last: date, now: datetime) -> Given:
    learning = Learning.of(project)
    drawn, missing = _tickets(learning)
    rankers, in_use, damaged = _rankers(project.settings.home, first, last)
    return Given(
        source=project.settings.source,
        first=first,
        last=last,
        made_at=now,
        drawn=drawn,
        tickets_missing=missing,
        rankers=rankers,
        ranker_in_use=in_use,
        rankers_missing=damaged,
        origin=_origin(learning, drawn),
    )


# tickets


def _tickets(learning: Learning) -> tuple[list[Drawn], list[Gap]]:
    """The tickets that sNET sees through, and those of the race."""
    store, drawn, missing = ModelStore(learning.project.settings.home), [], []
    try:
        absent = [t.name for t in learning.tasks if not store.has_ticket(learning.ticket_key, t.name)]
        if absent:
            missing.append(Gap("tickets/ticket", f"no ticket of {', '.join(absent)} was found yet", MAKE))
        else:
            found = {t.name: [store.load_ticket(learning.ticket_key, t.name)] for t in learning.tasks}
            drawn.append(Drawn("home", "the tickets in use", found))
    except Lt4recError as error:
        missing.append(
            Gap("tickets/ticket", f"it cannot be read: {error}", "materialise tickets/ticket again")
        )
    raced, gap = _raced(learning)
    return drawn + raced, missing + gap


def _raced(learning: Learning) -> tuple[list[Drawn], list[Gap]]:
    """The tickets of the seeds of the race, if this home has a race; Table 2 says where it has none."""
    home = learning.project.settings.home
    if not (home / "experiments").is_dir():
        return [], []
    try:
        tickets = Research.of(learning.project, lake_module.Lake(home)).tickets(ROW)
        n = min(len(found) for found in tickets.values())
        if not n:
            return [], [
                Gap("experiments/variant_run", f"no seed of {ROW} has found its tickets", "lt4rec race")
            ]
        both = {task: found[:n] for task, found in tickets.items()}
        return [Drawn("race", f"{ROW} in the race, {n} seeds", both)], []
    except Lt4recError as error:
        return [], [
            Gap("experiments/tuned_settings", f"tickets of {ROW} cannot be read: {error}", "lt4rec race")
        ]


# rankers


def _rankers(home: Place, first: date, last: date) -> tuple[list[Mapping[str, Any]], str | None, list[Gap]]:
    """Manifests of the days, the newest where two chains have one; the day in use; what cannot be read."""
    found: dict[str, Mapping[str, Any]] = {}
    damaged: list[Gap] = []
    for path in listed(ModelStore(home).root / "ranker", f"*/*/{MANIFEST}"):
        day = path.parent.name
        if not first.isoformat() <= day <= last.isoformat():
            continue
        try:
            manifest = read_manifest(path.parent, f"the ranker of {day}")
        except Lt4recError as error:
            damaged.append(Gap("serving/ranker", f"{day}: {error}", "materialise that day again"))
            continue
        if manifest and (day not in found or manifest["written_at"] > found[day]["written_at"]):
            found[day] = manifest
    try:
        folder = served_folder(home)
    except Lt4recError:  # named above, if it is one of these days
        folder = None
    return [found[day] for day in sorted(found)], folder.name if folder else None, damaged


# what made it


def _origin(learning: Learning, drawn: Sequence[Drawn]) -> dict[str, list[tuple[str, str]]]:
    settings = learning.project.settings
    tickets = [
        (f"ticket of {task}", t[0].digest[:16])
        for d in drawn
        if d.id == "home"
        for task, t in d.tickets.items()
    ]
    return {
        "Digests": [
            ("git commit", (checked_out_commit(CHECKOUT) or "no checkout")[:16]),
            ("feature catalogue", learning.project.source.catalogue.digest[:16]),
            ("ticket settings", learning.ticket_key.digest[:16]),
            *tickets,
            *_chains(learning, with_tickets=bool(tickets)),
        ],
        "Home": [
            ("source", settings.source),
            ("first day", str(settings.start)),
            ("last day", str(settings.end or "open")),
            ("time zone", learning.project.source.time_zone),
            ("ticket window", f"{settings.ticket_window[0]} to {settings.ticket_window[-1]}"),
            ("tasks", ", ".join(settings.tasks)),
        ],
        "Samples": _told(settings.samples),
        "Simulator": _told(settings.generator) if settings.generator else [],
        "Network": _told(asdict(learning.network)),
        "Training": [("seed", str(learning.seed)), *_told(asdict(learning.training))],
        "Pruning": _told(asdict(learning.pruning)),
        "Experiments": _told(asdict(ExperimentsConfig.of(settings))),
    }


def _chains(learning: Learning, with_tickets: bool) -> Iterator[tuple[str, str]]:
    store = ModelStore(learning.project.settings.home)
    for kind in ("snet", "baseline"):
        if kind == "baseline" or with_tickets:
            yield f"chain of {kind}", learning.chain(kind, store).digest[:16]


def _told(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    def text(value: Any) -> str:
        if value in (None, "", (), {}):
            return "none"
        return value if isinstance(value, str) else json.dumps(value, default=str)

    return [(name.replace("_", " "), text(value)) for name, value in values.items()]
