"""How the command line reads its arguments, and prints a line."""

import argparse
from datetime import UTC, date, datetime


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def day(text: str) -> date:
    """A day, as argparse reads it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it as 2022-04-25") from None


def number(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0; write it as 100000")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def shares(text: str) -> tuple[float, ...]:
    """Shares with commas between them."""
    try:
        return tuple(float(share) for share in names(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of shares; write them as 1,0.1") from None


def time(text: str) -> datetime:
    """A time; UTC where it names no offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write it as 2026-01-07T09:30 (UTC) or with an offset"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def version(text: str) -> tuple[str, int]:
    """A table and its version."""
    table, _, number = text.rpartition("=")
    if not table or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} does not name a version; write it as samples.clicks=3")
    return table, int(number)
