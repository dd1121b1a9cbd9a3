"""What is found out about a source, as plain values."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lt4rec_core.catalogue import Feature
from lt4rec_core.data.sources import Source


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From where on a figure is a problem, or worth a note."""

    max_rejected_share: float = 0.5
    """More rejected rows are a problem: the mapping is wrong, not the rows."""

    noted_rejected_share: float = 0.05
    max_unknown_share: float = 0.25
    """More rows of users or videos that the source's tables do not list are worth a note."""

    noted_above_one_share: float = 0.5
    """More plays longer than their video are worth a note: are both in one unit?"""

    quiet_day_share: float = 0.1
    """A day with fewer rows than this share of the median day is worth a note."""

    min_duration_ms: float = 1_000
    """A smaller median duration is worth a note: is it in seconds?"""


@dataclass(frozen=True)
class RawFacts:
    """The files of one raw input."""

    n_files: int
    n_bytes: int
    unread: tuple[str, ...]
    """Columns that no statement reads."""


@dataclass(frozen=True)
class ColumnFacts:
    """One column of ``source.impression_log`` as delivered."""

    name: str
    type: str
    is_required: bool
    n_values: int
    """Rows that have one."""

    n_distinct: int
    """How many different ones; by HyperLogLog, so within a few in a hundred."""


@dataclass(frozen=True)
class FeatureFacts:
    """One feature of ``source.toml``, or a column that none uses, on one day."""

    feature: Feature | None
    """None: no feature uses the column."""

    column: str
    """The input, as in ``users.country``."""

    n_used: int | None = None
    """Different buckets on the day; None where seven days before are needed, which are not there yet."""

    missing_share: float | None = None
    """Share of users, videos or impressions in bucket 0; of empty lists."""

    n_distinct: int | None = None
    """Different values of the input."""

    suggestion: str = ""
    """How it could be encoded, as ``source.toml`` has it."""

    fault: str = ""
    remark: str = ""


@dataclass
class SourceReport:
    """What was found; ``problems`` make the verdict."""

    source: Source
    day: date | None = None
    """The day of which entities, features and references were taken."""

    is_partial: bool = False
    """Whether only the first rows were read."""

    n_rows: int = 0
    """Rows of the log, those without a readable day included."""

    raw: dict[str, RawFacts] = field(default_factory=dict)
    columns: list[ColumnFacts] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    """As ``sql/source_check/days.sql`` has them, but for rows without a day."""

    median_duration_ms: float | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    """Reason -> rows that screening would reject, over all days."""

    examples: list[dict[str, Any]] = field(default_factory=list)
    """The first rows that would be rejected, a few of each reason, with ``reject_reason``."""

    references: list[dict[str, Any]] = field(default_factory=list)
    """As ``sql/source_check/references.sql`` has them."""

    features: list[FeatureFacts] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Each in three beats; with one of them it cannot be materialised as it is."""

    notes: list[str] = field(default_factory=list)
    """What may be right and should be looked at."""

    @property
    def ok(self) -> bool:
        """Whether it can be materialised as it is."""
        return not self.problems

    def total(self, measure: str) -> float:
        """The sum of a measure over ``days``."""
        return sum(day[measure] for day in self.days)

    @property
    def n_rejected(self) -> int:
        """Rows that screening would reject, whatever the reason."""
        return sum(self.rejected.values())
