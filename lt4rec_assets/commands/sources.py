"""``lt4rec check-source``: how a source fits, before anything is materialised."""

import argparse
from datetime import date, timedelta
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import day, number, say
from lt4rec_assets.settings import read_settings

if TYPE_CHECKING:
    from lt4rec_assets.commands import Commands

NONE_YET = date.min
"""Whoever looks at logs for the first time has no LT4REC_START: the answer says which days there are."""


def add_check_source(commands: "Commands") -> None:
    """``lt4rec check-source``."""
    check = commands.add_parser(
        "check-source", help="say what the source delivers and how it fits; writes nothing"
    )
    check.add_argument("--day", type=day, metavar="D", help="look at this day alone (default: all days)")
    check.add_argument(
        "--rows", type=number, metavar="N", help="read no more rows of the log (default: all rows)"
    )
    check.set_defaults(run=_check_source)


def _check_source(args: argparse.Namespace) -> int:
    from lt4rec_core.data.source_check import Limits, check_source, lines_of
    from lt4rec_core.data.sources import load_source
    from lt4rec_core.model.tasks import get_tasks

    settings = read_settings(start=NONE_YET)
    source = load_source(settings.sql_root, settings.source, generator_settings=settings.generator)
    last = settings.end or settings.start
    days = [settings.start + timedelta(days=i) for i in range((last - settings.start).days + 1)]
    report = check_source(
        source,
        settings.sql_root,
        source_path=settings.source_path,
        params={**settings.samples, **settings.quality.as_params(), "time_zone": source.time_zone},
        days=days if source.generator else [d for d in days[:1] if d != NONE_YET],
        day=args.day,
        max_rows=args.rows,
        labels=[task.label for task in get_tasks(settings.tasks)],
        limits=Limits(max_unknown_share=settings.quality.max_unknown_share),
    )
    for line in lines_of(report):
        say(line)
    return 0 if report.ok else 1
