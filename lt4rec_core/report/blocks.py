"""What a page is made of: sections of tables, charts, facts and gaps. No HTML here, and no data source."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Kind = Literal[
    "text", "interval", "count", "share", "value", "signed", "percent", "seconds", "milliseconds", "bytes"
]
PERCENT = "\u202f%"
NOTHING = "–"
"""What stands where there is no value."""


@dataclass(frozen=True)
class Column:
    """One column of a table: which value of a row, under which heading, written how."""

    key: str
    title: str
    kind: Kind = "text"

    @property
    def is_number(self) -> bool:
        """Whether it is set flush right."""
        return self.kind != "text"

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell as it is read."""
        return told(row.get(self.key), self.kind)


@dataclass(frozen=True)
class Table:
    """Rows under a caption that says what they are."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    note: str = ""
    """Below it: how to read it, what was left out."""

    strong: str = ""
    """A key whose true value sets a row in bold."""


@dataclass(frozen=True)
class Chart:
    """A picture with its words: somebody who cannot see it misses nothing."""

    id: str
    title: str
    reading: str
    """How to read it: stands below it."""

    spoken: str
    """What it shows, in numbers: for those who cannot see it."""

    spec: Mapping[str, Any]
    """Vega-Lite, with its data inside."""

    table: Table | None = None
    """The numbers behind it, unless they stand beside it anyway."""

    @property
    def description(self) -> str:
        """All of its words."""
        return f"{self.title}. {self.reading} {self.spoken}"


@dataclass(frozen=True)
class Gap:
    """Something the page should show and cannot: named, with the way to make it."""

    asset: str
    """As the UI names it, ``group/name``."""

    why: str
    make: str
    """The command, or what to launch."""

    is_empty: bool = False
    """Everything was there and could be read; there was just no row."""


@dataclass(frozen=True)
class Facts:
    """A few numbers or texts with a word to each."""

    rows: Sequence[tuple[str, str]]
    large: bool = False
    """Set large, as the head of a page; otherwise a list."""


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


Block = Table | Chart | Gap | Facts | Note


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    title: str
    about: str
    blocks: Sequence[Block] = field(default=())

    @property
    def gaps(self) -> list[Gap]:
        """What is missing from it."""
        return [block for block in self.blocks if isinstance(block, Gap)]

    @property
    def charts(self) -> list[Chart]:
        """The pictures in it."""
        return [block for block in self.blocks if isinstance(block, Chart)]


def told(value: Any, kind: Kind = "text") -> str:
    """A value as it is read in a cell or in a sentence; a true minus sign, no digits that mean nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if kind in ("text", "interval"):
        return _text(value)
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "bytes":
        return f"{value / 1e6:.1f}\u202fMB"
    if kind == "milliseconds":
        return f"{value:.2f}" if value < 10 else f"{value:.0f}"
    if kind == "seconds":
        return f"{value:.1f}"
    number = {
        "share": f"{100 * value:.{1 if value >= 0.01 or not value else 2}f}{PERCENT}",
        "value": f"{value:.5f}",
        "signed": f"{value:+.5f}",
        "percent": f"{100 * value:+.2f}{PERCENT}",
    }[kind]
    return number.replace("-", "\u2212")


def interval(low: float | None, high: float | None, kind: Kind) -> str | None:
    """Both ends of an interval; None where there is none."""
    if low is None or high is None:
        return None
    if kind == "percent":
        return f"{told(low, kind).removesuffix(PERCENT)} … {told(high, kind)}"
    shown = "+.4f" if kind == "signed" else ".4f"  # an end needs no more
    return f"{low:{shown}} … {high:{shown}}".replace("-", "\u2212")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "\u2212")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
