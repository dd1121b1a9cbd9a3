"""``lt4rec race | study``: every row of Table 2, on one home or on every data set."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import names, say, shares
from lt4rec_assets.settings import read_settings

if TYPE_CHECKING:
    from lt4rec_assets.commands import Commands


def add_race(commands: "Commands") -> None:
    """``lt4rec race``."""
    race = commands.add_parser(
        "race", help="race the rows of Table 2 on this home's samples; goes on where it stopped"
    )
    race.add_argument("--rows", type=names, default=(), metavar="A,B", help="only these rows (default: all)")
    race.add_argument(
        "--shares", type=shares, default=(), metavar="1,0.1", help="only these shares of the CVR labels"
    )
    race.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes side by side (default: 1)"
    )
    race.add_argument(
        "--cells-only", action="store_true", help="leave out the tables over the finished cells"
    )
    race.add_argument(
        "--ablate",
        type=names,
        default=(),
        metavar="A,B",
        help="take these rows apart on the validation days",
    )
    race.add_argument(
        "--online",
        action="store_true",
        help="Table 3: let policies rank for simulated users, and measure them on the logged test days",
    )
    race.set_defaults(run=_race)


def add_study(commands: "Commands") -> None:
    """``lt4rec study``."""
    study = commands.add_parser(
        "study", help="race on every data set, each in a home of its own below a folder"
    )
    study.add_argument("--into", type=Path, required=True, metavar="DIR", help="the folder of the homes")
    study.add_argument("--kuairand", type=Path, metavar="DIR", help="where the KuaiRand logs lie")
    study.add_argument("--only", type=names, default=(), metavar="A,B", help="only these homes")
    study.add_argument("--workers", type=int, default=1, metavar="N", help="processes side by side")
    study.add_argument(
        "--report", action="store_true", help="run nothing: print the tables of what is finished"
    )
    study.add_argument(
        "--pictures", type=Path, metavar="DIR", help="with --report: the figures, as PNG files in this folder"
    )
    study.set_defaults(run=_study)


def _race(args: argparse.Namespace) -> int:
    from lt4rec_assets.outcome import closing_lines
    from lt4rec_assets.race import run_race

    outcome = run_race(
        read_settings(),
        args.rows,
        args.shares,
        say=say,
        workers=args.workers,
        tables=not args.cells_only,
        ablate=args.ablate,
        online=args.online,
    )
    for line in closing_lines(outcome):
        say(line)
    return 0 if outcome.ok else 1


def _study(args: argparse.Namespace) -> int:
    if args.report:
        from lt4rec_assets.study_report import pictures, report

        print(report(args.into, args.kuairand), end="")
        if args.pictures:
            pictures(args.into, args.kuairand, args.pictures)
        return 0
    from lt4rec_assets.study import run_study

    failed = run_study(args.into, args.kuairand, args.only, workers=args.workers, say=say)
    say(f"FAILED in {', '.join(failed)}; run it again" if failed else "complete")
    return 1 if failed else 0
