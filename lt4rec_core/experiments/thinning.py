"""Scarce labels, features included: what would have been known of users and videos with fewer watch labels.

Trailing watch ratios are made of the same labels that training lacks. A thinned lake reads the lake it
stands on and has tables of its own for whatever depends on watch labels, made by the project's own SQL from
the clicks that keep theirs (``scarcity.keeps_label_sql``). Its ``training.samples`` hold thinned features and
*all* labels: those that judge stay whole, and ``scarcity.keep_labels`` drops the same ones where they train.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from lt4rec_core.data.duck import stream
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place, place
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.snapshot import Snapshot, arrow_schema
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.experiments.scarcity import keeps_label_sql

LABELS = "samples.conversions"
"""Where the watch labels stand."""

FROM_THINNED = (
    "features.user_daily_stats",
    "features.video_daily_stats",
    "features.user_features",
    "features.video_features",
)
"""What the labels that are left make, in this order."""

SAMPLES = "training.samples"
"""Thinned features beside all labels."""


class ThinnedLake(Lake):
    """A lake over another one: reads there what it does not have itself, writes only itself."""

    def __init__(self, home: str | Place, base: Lake, own: Iterable[str]) -> None:
        """Stand on a lake.

        Args:
            home: where the tables of its own lie; not the base's home.
            base: the lake beneath, never written.
            own: the tables it has itself.
        """
        super().__init__(home)
        self.base, self.own = base, frozenset(own)

    def names(self) -> list[str]:
        """Every table of both."""
        return sorted({*super().names(), *self.base.names()})

    def snapshot(self, table: str) -> Snapshot:
        """Its own, or the base's."""
        return super().snapshot(table) if table in self.own else self.base.snapshot(table)


def thin(
    base: Lake,
    home: str | Place,
    source: Source,
    files: Mapping[str, SqlFile],
    days: Iterable[date],
    params: Mapping[str, Any],
    share: float,
    seed: int,
    on_day: Callable[[date], None] | None = None,
) -> ThinnedLake:
    """Make the samples that a share of the watch labels would have made. Days that are there stay.

    Args:
        base: the lake with all labels; only read.
        home: below it each share and seed has a lake of its own, ``labels-<share>-<seed>``.
        source: of the base.
        files: table to its SQL file.
        days: in order, from the first day of the base that any feature of them reads.
        params: as the base's tables were run with.
        share: of the labels, in (0, 1].
        seed: which ones.
        on_day: called after each day.

    Returns:
        The lake to load ``training.samples`` from.

    Raises:
        LakeError, SqlFileError: as ``run_sql``.
    """
    own, folder = (LABELS, *FROM_THINNED, SAMPLES), place(home) / f"labels-{share:g}-{seed}"
    scarce, whole = ThinnedLake(folder, base, own), ThinnedLake(folder, base, set(own) - {LABELS})
    scarce.create(files[table] for table in own)
    done = set(whole.days(SAMPLES))
    for day in sorted(days):
        if day not in done:
            scarce.publish(_thinned_labels(base, scarce, files[LABELS], day, share, seed))
            for table in FROM_THINNED:
                scarce.publish(run_sql(scarce, source, files[table], day, params))
            whole.publish(run_sql(whole, source, files[SAMPLES], day, params))
        if on_day:
            on_day(day)
    return whole


def _thinned_labels(base: Lake, scarce: Lake, file: SqlFile, day: date, share: float, seed: int) -> Any:
    """The base's labels of a day that are kept, staged."""
    snapshot, order = base.snapshot(LABELS), ", ".join(file.key)
    with scarce.scratch() as con:
        text = (
            f"select * from ({snapshot.select(con, day, day)}) "
            f"where {keeps_label_sql(share, seed)} order by {order}"
        )
        schema = arrow_schema(file.columns)
        batches = (
            pa.RecordBatch.from_struct_array(batch.to_struct_array()).cast(schema)
            for batch in stream(con, text)[1]
        )
        return scarce.stage(LABELS, day, pa.RecordBatchReader.from_batches(schema, batches))
