"""``lt4rec demo | backfill | race | study | sql | versions | ui``, beside Dagster's own command line."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from lt4rec_assets.settings import read_settings
from lt4rec_core.errors import Lt4recError

FORMATS = ("table", "csv", "json")
MAX_ROWS = 1_000
"""Rows of a printed table; csv and json print all."""

WIDE = 10_000
"""Columns of a table that goes to a file or a pipe: it is cut nowhere."""


WORKSPACE = Path(__file__).resolve().parent.parent / "workspace.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error made on purpose is one clear line and exit status 2."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except Lt4recError as error:
        print(f"lt4rec: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("lt4rec: interrupted; what is published stays, nothing is half-written.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lt4rec",
        description="Lottery-ticket sparse sharing for video recommendation, as a daily pipeline.",
        epilog="Settings come from LT4REC_* variables and .env; see .env.example.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="simulate 14 days, run everything, print what came out")
    demo.set_defaults(run=_demo)

    backfill = commands.add_parser("backfill", help="run a range of days in order, in one warm process")
    backfill.add_argument("--from", dest="first", type=_day, required=True, metavar="D", help="first day")
    backfill.add_argument(
        "--to", dest="last", type=_day, required=True, metavar="D", help="last day, inclusive"
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

    race = commands.add_parser(
        "race", help="race the rows of Table 2 on this home's samples; goes on where it stopped"
    )
    race.add_argument("--rows", type=_names, default=(), metavar="A,B", help="only these rows (default: all)")
    race.add_argument(
        "--shares", type=_shares, default=(), metavar="1,0.1", help="only these shares of the CVR labels"
    )
    race.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes side by side (default: 1)"
    )
    race.add_argument(
        "--cells-only", action="store_true", help="leave out the tables over the finished cells"
    )
    race.add_argument(
        "--ablate",
        type=_names,
        default=(),
        metavar="A,B",
        help="take these rows apart on the validation days",
    )
    race.set_defaults(run=_race)

    study = commands.add_parser(
        "study", help="race on every data set, each in a home of its own below a folder"
    )
    study.add_argument("--into", type=Path, required=True, metavar="DIR", help="the folder of the homes")
    study.add_argument("--kuairand", type=Path, metavar="DIR", help="where the KuaiRand logs lie")
    study.add_argument("--only", type=_names, default=(), metavar="A,B", help="only these homes")
    study.add_argument("--workers", type=int, default=1, metavar="N", help="processes side by side")
    study.add_argument(
        "--report", action="store_true", help="run nothing: print the tables of what is finished"
    )
    study.set_defaults(run=_study)

    sql = commands.add_parser("sql", help="ask the lake one SELECT, also while a backfill runs")
    sql.add_argument("query", help='as in "from evaluation.daily_metrics"; - reads it from standard input')
    sql.add_argument("--format", choices=FORMATS, default="table")
    sql.add_argument(
        "--as-of",
        type=_time,
        metavar="T",
        help="see the tables as they were then, as in 2026-01-07T09:30 (UTC) or 2026-01-07T09:30+08:00",
    )
    sql.add_argument(
        "--version",
        type=_version,
        action="append",
        default=[],
        metavar="TABLE=N",
        help="see one table at this version; 'lt4rec versions TABLE' lists them",
    )
    sql.set_defaults(run=_sql)

    versions = commands.add_parser("versions", help="list the versions of a table, the newest first")
    versions.add_argument("table", help="as in samples.impressions")
    versions.add_argument("--day", type=_day, metavar="D", help="only those that changed this day")
    versions.set_defaults(run=_versions)

    ui = commands.add_parser("ui", help="open dagster dev on 127.0.0.1 over the same home")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(run=_ui)
    return parser


def _demo(args: argparse.Namespace) -> int:
    from lt4rec_assets.demo import run_demo

    return run_demo()


def _backfill(args: argparse.Namespace) -> int:
    from lt4rec_assets.backfill import run_backfill
    from lt4rec_assets.outcome import closing_lines

    outcome = run_backfill(read_settings(), args.first, args.last, args.select, say=_say, waive=args.waive)
    lines = closing_lines(outcome)
    for line in lines:
        _say(line)
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


def _race(args: argparse.Namespace) -> int:
    from lt4rec_assets.outcome import closing_lines
    from lt4rec_assets.race import run_race

    outcome = run_race(
        read_settings(),
        args.rows,
        args.shares,
        say=_say,
        workers=args.workers,
        tables=not args.cells_only,
        ablate=args.ablate,
    )
    for line in closing_lines(outcome):
        _say(line)
    return 0 if outcome.ok else 1


def _study(args: argparse.Namespace) -> int:
    if args.report:
        from lt4rec_assets.study_report import report

        print(report(args.into, args.kuairand), end="")
        return 0
    from lt4rec_assets.study import run_study

    failed = run_study(args.into, args.kuairand, args.only, workers=args.workers, say=_say)
    _say(f"FAILED in {', '.join(failed)}; run it again" if failed else "complete")
    return 1 if failed else 0


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

    _say(f"{'version':>8}  {'at (UTC)':<20}  {'day':<10}  {'rows':>9}")
    for commit in commits(Lake(read_settings().home), args.table):
        if args.day is None or commit.day == args.day.isoformat():
            n_rows = "" if commit.n_rows is None else commit.n_rows
            _say(f"{commit.version:>8}  {commit.at:%Y-%m-%dT%H:%M:%S}   {commit.day or '':<10}  {n_rows:>9}")
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


def _say(line: str) -> None:
    print(line, flush=True)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it as 2022-04-25") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in _names(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of shares; write them as 1,0.1") from None


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write it as 2026-01-07T09:30 (UTC) or with an offset"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _version(text: str) -> tuple[str, int]:
    table, _, number = text.rpartition("=")
    if not table or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} does not name a version; write it as samples.clicks=3")
    return table, int(number)


if __name__ == "__main__":
    sys.exit(main())
