"""What a backfill made of each partition, and how it is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg

Cell = tuple[dg.AssetKey, str | None]
"""One partition of one asset; None where the asset has no partitions."""


@dataclass
class Outcome:
    """What a backfill made of each cell."""

    green: list[Cell] = field(default_factory=list)
    failed: dict[Cell, str] = field(default_factory=dict)
    """Cell -> why."""

    blocked: dict[Cell, str] = field(default_factory=dict)
    """Cell -> the partition it waits for."""

    waiting: dict[Cell, str] = field(default_factory=dict)
    """Cell -> what it waits for, where that is no fault: the ticket window is not complete."""

    @property
    def ok(self) -> bool:
        """True unless something failed, or was blocked by what failed."""
        return not self.failed and not self.blocked


def name_of(cell: Cell) -> str:
    """``samples/clicks[2022-04-25]``."""
    key, partition = cell
    return key.to_user_string() + (f"[{partition}]" if partition else "")


def closing_lines(outcome: Outcome) -> list[str]:
    """Say last what is green and what is not; the exit status follows from the same."""
    lines = [
        *(f"FAILED   {name_of(cell)}: {why}" for cell, why in outcome.failed.items()),
        *_by_asset("blocked", outcome.blocked),
        *_by_asset("waiting", outcome.waiting),
    ]
    counts = (
        f"{len(outcome.green)} green, {len(outcome.failed)} failed, "
        f"{len(outcome.blocked)} blocked, {len(outcome.waiting)} waiting"
    )
    return [*lines, counts]


def _by_asset(word: str, cells: dict[Cell, str]) -> Iterator[str]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for (key, partition), why in cells.items():
        grouped.setdefault((key.to_user_string(), why), []).append(partition or "")
    for (asset, why), days in grouped.items():
        span = days[0] if len(days) == 1 else f"{min(days)}..{max(days)}, {len(days)} partitions"
        yield f"{word}  {asset}[{span}] waits for {why}"
