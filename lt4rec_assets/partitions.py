"""The days and tasks that assets are partitioned by, and how days map onto each other."""

from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from lt4rec_core.errors import ConfigError

MODEL_DAYS_PER_RUN = 10
"""Days that one run of the model chain trains warm in memory; each day is published by itself."""


TRAINING_POOL = "training"
"""Runs that train take turns: two would only share the processor and double the memory."""


def pool_of(ray_address: str | None) -> str | None:
    """The pool of runs that a cluster, where there is one, computes for: those only wait, side by side."""
    return None if ray_address else TRAINING_POOL


@dataclass(frozen=True)
class Partitions:
    """One calendar for the whole graph."""

    daily: dg.DailyPartitionsDefinition
    """Every business day of the source."""

    from_second_day: dg.DailyPartitionsDefinition
    """What needs a model of the day before: evaluation and serving."""

    tasks: dg.StaticPartitionsDefinition
    """One partition per task, for tickets."""

    ticket_window: tuple[date, ...]
    """The days that tickets are found on."""

    @classmethod
    def of(
        cls, *, start: date, end: date | None, time_zone: str, tasks: tuple[str, ...], window: list[date]
    ) -> "Partitions":
        """Lay out the calendar; ``end`` is inclusive, None means up to yesterday.

        Raises:
            ConfigError: the calendar is shorter than the ticket window.
        """
        if end is not None and window[-1] > end:
            raise ConfigError(
                f"the ticket window ends on {window[-1]}, after LT4REC_END ({end}). "
                "Move LT4REC_END or shorten the window with LT4REC_TICKET_DAYS."
            )
        after_end = (end + timedelta(days=1)).isoformat() if end else None  # Dagster's end is exclusive

        def days(first: date) -> dg.DailyPartitionsDefinition:
            return dg.DailyPartitionsDefinition(
                start_date=first.isoformat(), end_date=after_end, timezone=time_zone
            )

        return cls(
            daily=days(start),
            from_second_day=days(start + timedelta(days=1)),
            tasks=dg.StaticPartitionsDefinition(list(tasks)),
            ticket_window=tuple(window),
        )

    def on_ticket_window(self) -> dg.PartitionMapping:
        """A ticket reads the days of its window, whatever its task."""
        return dg.SpecificPartitionsPartitionMapping([day.isoformat() for day in self.ticket_window])

    def on_all_tasks(self) -> dg.PartitionMapping:
        """A day of sNET reads the ticket of every configured task."""
        return dg.SpecificPartitionsPartitionMapping(list(self.tasks.get_partition_keys()))


def days_before(first: int, last: int) -> dg.PartitionMapping:
    """Map a day onto ``[first..last]`` days relative to it, clamped at the start of history."""
    return dg.TimeWindowPartitionMapping(
        start_offset=first, end_offset=last, allow_nonexistent_upstream_partitions=True
    )


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Return the days this run is to make, in order; a single day and a range alike."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
