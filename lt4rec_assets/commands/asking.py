"""``lt4rec sql | versions``: questions to the lake of a home."""

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import day, say, time, version
from lt4rec_assets.settings import read_settings

if TYPE_CHECKING:
    from lt4rec_assets.commands import Commands


FORMATS = ("table", "csv", "json")
MAX_ROWS = 1_000
"""Rows of a printed table; csv and json print all."""

WIDE = 10_000
"""Columns of a table that goes to a file or a pipe: it is cut nowhere."""


def add_sql(commands: "Commands") -> None:
    """``lt4rec sql``."""
    sql = commands.add_parser("sql", help="ask the lake one SELECT, also while a backfill runs")
    sql.add_argument("query", help='as in "from evaluation.daily_metrics"; - reads it from standard input')
    sql.add_argument("--format", choices=FORMATS, default="table")
    sql.add_argument(
        "--as-of",
        type=time,
        metavar="T",
        help="see the tables as they were then, as in 2026-01-07T09:30 (UTC) or 2026-01-07T09:30+08:00",
    )
    sql.add_argument(
        "--version",
        type=version,
        action="append",
        default=[],
        metavar="TABLE=N",
        help="see one table at this version; 'lt4rec versions TABLE' lists them",
    )
    sql.set_defaults(run=_sql)


def add_versions(commands: "Commands") -> None:
    """``lt4rec versions``."""
    versions = commands.add_parser("versions", help="list the versions of a table, the newest first")
    versions.add_argument("table", help="as in samples.impressions")
    versions.add_argument("--day", type=day, metavar="D", help="only those that changed this day")
    versions.set_defaults(run=_versions)


def _sql(args: argparse.Namespace) -> int:
    from lt4rec_core.data.analyst import connect, query

    text = sys.stdin.read() if args.query == "-" else args.query
    con = connect(read_settings().home, as_of=args.as_of, versions=dict(args.version))
    answer = query(con, text)
    if args.format == "table":
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
        answer.show(max_rows=MAX_ROWS, max_width=width)
    else:
        frame = answer.df()
        if args.format == "csv":
            frame.to_csv(sys.stdout, index=False)
        else:
            frame.to_json(sys.stdout, orient="records", lines=True, date_format="iso")
    return 0


def _versions(args: argparse.Namespace) -> int:
    from lt4rec_core.data.analyst import commits
    from lt4rec_core.data.lake import Lake

    say(f"{'version':>8}  {'at (UTC)':<20}  {'day':<10}  {'rows':>9}")
    for commit in commits(Lake(read_settings().home), args.table):
        if args.day is None or commit.day == args.day.isoformat():
            n_rows = "" if commit.n_rows is None else commit.n_rows
            say(f"{commit.version:>8}  {commit.at:%Y-%m-%dT%H:%M:%S}   {commit.day or '':<10}  {n_rows:>9}")
    return 0
