"""The command line ``lt4rec``, beside Dagster's own: it gathers the families of ``commands``."""

import argparse
import os
import sys
from collections.abc import Sequence

from lt4rec_assets.commands import asking, racing, reporting, running, sources
from lt4rec_core.errors import Lt4recError

COMMANDS = (
    running.add_demo,
    sources.add_check_source,
    running.add_backfill,
    racing.add_race,
    racing.add_study,
    asking.add_sql,
    asking.add_versions,
    reporting.add_report,
    running.add_ui,
    running.add_prepare,
)
"""In the order that ``lt4rec --help`` lists them."""


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
    for add in COMMANDS:
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
