"""``lt4rec report``: one page about a range of days."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import day, say
from lt4rec_assets.settings import read_settings

if TYPE_CHECKING:
    from lt4rec_assets.commands import Commands


def add_report(commands: "Commands") -> None:
    """``lt4rec report``."""
    report = commands.add_parser(
        "report", help="write one HTML page about a range of days; it needs no network"
    )
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    report.add_argument(
        "--from", dest="first", type=day, metavar="D", help="first day (default: the first of the lake)"
    )
    report.add_argument(
        "--to",
        dest="last",
        type=day,
        metavar="D",
        help="last day, inclusive (default: the newest of the lake)",
    )
    report.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    from lt4rec_assets.project import Project
    from lt4rec_assets.report import write_report

    written = write_report(Project.of(read_settings()), args.out, args.first, args.last)
    say(f"{written.first} to {written.last}: {written.path}, {written.n_bytes / 1e6:.1f} MB")
    for section, gap in written.gaps:
        say(f"    missing from {section}: {gap.asset}: {gap.why}. To make it: {gap.make}")
    return 0
