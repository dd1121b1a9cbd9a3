"""``lt4rec sql | versions``: questions to the lake of a home."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lt4rec_assets.commands.arguments import day, say, time, version
from lt4rec_assets.settings import Settings, read_settings
from lt4rec_core.data.places import Place
from lt4rec_core.errors import QueryError

if TYPE_CHECKING:
    import duckdb

    from lt4rec_assets.commands import Commands

FORMATS = ("table", "csv", "json", "parquet")
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
"""What the name of ``--out`` says about the format."""


def add_sql(commands: "Commands") -> None:
    """``lt4rec sql``."""
    sql = commands.add_parser(
        "sql",
        help="ask the lake one SELECT, also while a backfill runs",
        description="Ask the lake one SELECT. It can change nothing, and works while a backfill writes.",
        epilog="docs/ANALYSTS.md has worked queries, docs/TABLES.md every column.",
    )
    asked = sql.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "query", nargs="?", help='as in "from evaluation.daily_metrics"; - reads it from standard input'
    )
    asked.add_argument("--file", type=Path, metavar="FILE", help="read the query from a file")
    asked.add_argument(
        "--describe",
        nargs="?",
        const="",
        metavar="TABLE",
        help="list the tables and views, or describe the columns of one, or of several as 'evaluation.*'",
    )
    sql.add_argument(
        "--format",
        choices=FORMATS,
        help="how the answer is written; json is one object a line (default: as the name of --out says, "
        "or a table)",
    )
    sql.add_argument("--out", type=Path, metavar="FILE", help="write the answer to a file")
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
    from lt4rec_core.data.hints import empty_tables

    settings = read_settings()
    if args.describe is not None:
        return _describe(args, settings)
    text = _text_of(args)
    con = connect(settings.home, as_of=args.as_of, versions=dict(args.version))
    answer = query(con, text)
    _write(args, answer, settings.home)
    if not len(answer) and (empty := empty_tables(con, text)):
        print(f"lt4rec: {_why_empty(empty)}", file=sys.stderr)
    return 0


def _why_empty(tables: list[str]) -> str:
    """Which assets to materialise, so that an empty answer is no riddle."""
    from lt4rec_assets.project import MADE_BY

    known = {**MADE_BY, "quality.check_history": "samples/impressions, or any asset with checks"}
    assets = dict.fromkeys(known.get(table, table.replace(".", "/")) for table in tables)
    command = "race" if any(table.startswith("experiments.") for table in tables) else "backfill"
    return (
        f"no row, since {', '.join(tables)} has none. "
        f"Materialise {', '.join(assets)}: lt4rec {command}, or the UI."
    )


def _text_of(args: argparse.Namespace) -> str:
    """The query, wherever it stands."""
    if args.file is None:
        return sys.stdin.read() if args.query == "-" else str(args.query)
    try:
        return str(args.file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(
            f"cannot read the query from {args.file}: {error}. Is it a UTF-8 text file of yours?"
        ) from error


def _write(args: argparse.Namespace, answer: "duckdb.DuckDBPyRelation", home: Place) -> None:
    """Write an answer where and how it was asked for."""
    from lt4rec_core.data.answer import WIDE, new_file, write_answer

    form = args.format or (SUFFIXES.get(args.out.suffix.lower(), "table") if args.out else "table")
    if args.out:
        if (home / "lake") in args.out.resolve().parents:
            raise QueryError(
                f"{args.out} lies in the lake, which its assets alone write. Choose another folder."
            )
        with new_file(args.out) as file:
            write_answer(answer, form, file)
        return
    if form == "parquet" and sys.stdout.isatty():
        raise QueryError(
            "a terminal cannot show Parquet. Send it to a file: --out answer.parquet, or > FILE."
        )
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    sys.stdout.flush()
    write_answer(answer, form, sys.stdout.buffer, width)
    sys.stdout.flush()


def _describe(args: argparse.Namespace, settings: Settings) -> int:
    """What there is, as the headers of the SQL files say; a home need not be filled for it."""
    import duckdb

    from lt4rec_assets.project import Project
    from lt4rec_core.data import dictionary
    from lt4rec_core.data.hints import named

    files = sorted(Project.of(settings).lake_tables, key=lambda file: file.table)
    found = dictionary.matching(files, args.describe) if args.describe else files
    if not found:
        raise QueryError(named(args.describe, [file.table for file in files]))
    as_table = (args.format or "table") == "table" and not args.out
    if as_table and args.describe:
        say("\n\n".join(dictionary.as_text(file) for file in found))
        return 0
    if as_table:
        say(dictionary.overview(files, shutil.get_terminal_size((110, 24)).columns))
        say("\nlt4rec sql --describe TABLE tells its columns; --describe '*', or --format csv, those of all.")
        return 0
    with duckdb.connect() as con:
        _write(args, con.from_arrow(dictionary.columns(found)), settings.home)
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
