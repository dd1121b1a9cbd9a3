"""``lt4rec demo | backfill | ui``: what fills and shows a home."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import day, say
from lt4rec_assets.settings import read_settings
from lt4rec_core.errors import Lt4recError

if TYPE_CHECKING:
    from lt4rec_assets.commands import Commands


WORKSPACE = Path(__file__).resolve().parent.parent.parent / "workspace.yaml"


def add_demo(commands: "Commands") -> None:
    """``lt4rec demo``."""
    demo = commands.add_parser("demo", help="simulate 14 days, run everything, print what came out")
    demo.set_defaults(run=_demo)


def add_backfill(commands: "Commands") -> None:
    """``lt4rec backfill``."""
    backfill = commands.add_parser("backfill", help="run a range of days in order, in one warm process")
    backfill.add_argument("--from", dest="first", type=day, required=True, metavar="D", help="first day")
    backfill.add_argument(
        "--to", dest="last", type=day, required=True, metavar="D", help="last day, inclusive"
    )
    backfill.add_argument(
        "--select", default="*", help="Dagster asset selection, as in 'group:samples' (default: all)"
    )
    backfill.add_argument(
        "--waive",
        action="append",
        default=[],
        metavar="TABLE.CHECK=REASON",
        help="let this check fail on the one day of the backfill; repeat for several checks",
    )
    backfill.set_defaults(run=_backfill)


def add_prepare(commands: "Commands") -> None:
    """``lt4rec prepare``."""
    prepare = commands.add_parser(
        "prepare", help="lay out the home and Dagster's records, for servers that are started apart"
    )
    prepare.set_defaults(run=_prepare)


def add_ui(commands: "Commands") -> None:
    """``lt4rec ui``."""
    ui = commands.add_parser("ui", help="open dagster dev on 127.0.0.1 over the same home")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(run=_ui)


def _demo(args: argparse.Namespace) -> int:
    from lt4rec_assets.demo import run_demo

    return run_demo()


def _backfill(args: argparse.Namespace) -> int:
    from lt4rec_assets.backfill import run_backfill
    from lt4rec_assets.outcome import closing_lines

    outcome = run_backfill(read_settings(), args.first, args.last, args.select, say=say, waive=args.waive)
    lines = closing_lines(outcome)
    for line in lines:
        say(line)
    if not outcome.ok:
        _tell_of_failure(args, lines)
    return 0 if outcome.ok else 1


def _tell_of_failure(args: argparse.Namespace, lines: Sequence[str]) -> None:
    """Post the closing lines to the webhook, if there is one; should that fail, the backfill is no worse."""
    from lt4rec_assets.settings import webhook_url
    from lt4rec_assets.webhook import post

    try:
        if url := webhook_url():
            title = f"lt4rec: backfill of {args.first} to {args.last} failed"
            post(url, {"text": "\n".join([title, *lines]), "first": args.first, "last": args.last})
    except Lt4recError as error:
        print(f"lt4rec: {type(error).__name__}: {error}", file=sys.stderr)


def _prepare(args: argparse.Namespace) -> int:
    from lt4rec_assets.home import prepare_home
    from lt4rec_assets.project import Project
    from lt4rec_assets.settings import dagster_home

    settings = read_settings()
    prepare_home(Project.of(settings))
    say(f"{settings.home} is ready; DAGSTER_HOME is {dagster_home(settings.home)}")
    return 0


def _ui(args: argparse.Namespace) -> int:
    from lt4rec_assets.home import prepare_home
    from lt4rec_assets.project import Project

    prepare_home(Project.of(read_settings()))
    dagster = Path(sys.executable).with_name("dagster")
    os.execv(
        dagster,
        [
            str(dagster),
            "dev",
            "--host",
            "127.0.0.1",
            "--port",
            str(args.port),
            "--workspace",
            str(WORKSPACE),
        ],
    )
