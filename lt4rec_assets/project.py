"""What an asset module is handed: settings, source, SQL files and calendar, read once."""

import json
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from lt4rec_assets.partitions import Partitions
from lt4rec_assets.settings import Settings
from lt4rec_core.data.lineage import Origin, column_lineage
from lt4rec_core.data.places import put_text_once, require_shareable
from lt4rec_core.data.sources import OPTIONAL_TABLES, Source, load_source
from lt4rec_core.data.sqlfile import SqlFile, read_sql_file
from lt4rec_core.errors import ConfigError

TABLES = (
    "source.users",
    "source.videos",
    "source.impression_log",
    "source.truth",
    "samples.screened_impressions",
    "samples.impressions",
    "samples.clicks",
    "samples.conversions",
    "features.user_daily_stats",
    "features.video_daily_stats",
    "features.user_features",
    "features.video_features",
    "training.samples",
    "evaluation.predictions",
    "evaluation.daily_metrics",
    "evaluation.calibration",
)
"""Every daily table that an asset makes, in the order data flows."""

RECORDS = (
    "quality.check_history",
    "quality.day_profiles",
    "tickets.search_rounds",
    "tickets.sharing",
    "experiments.offline_comparison",
    "experiments.label_scarcity",
    "experiments.ablations",
    "experiments.online_simulation",
    "experiments.online_exponents",
)
"""What is written down beside the daily tables."""

MADE_BY = {
    "quality.day_profiles": "training/samples",
    "tickets.search_rounds": "tickets/ticket",
    "tickets.sharing": "tickets/sharing_report",
    "experiments.online_exponents": "experiments/online_simulation",
}
"""Which asset fills a table that does not bear its name; the checks' history belongs to no single one."""


@dataclass(frozen=True)
class Project:
    """The settings of one home, and what follows from them."""

    settings: Settings
    source: Source
    tables: dict[str, SqlFile] = field(repr=False)
    """By table name, in the order data flows; ``source.truth`` only where the source has one."""

    @classmethod
    def of(cls, settings: Settings) -> "Project":
        """Read the source and all SQL files.

        Raises:
            ConfigError: an unknown source, or a faulty catalogue.
            SqlFileError: a header that cannot be read.
        """
        source = load_source(settings.sql_root, settings.source, generator_settings=settings.generator)
        fragments = source.catalogue.fragments()
        tables = {}
        for table in TABLES:
            path = _path(settings.sql_root, source, table)
            if path.exists() or table != "source.truth":
                tables[table] = read_sql_file(path, table=table, fragments=fragments)
        views = sorted(settings.sql_root.glob("views/*/*.sql"))
        return cls(
            settings=settings,
            source=source,
            tables=tables,
            records=tuple(
                read_sql_file(_path(settings.sql_root, source, table), table=table) for table in RECORDS
            ),
            views=tuple(read_sql_file(path, table=f"{path.parent.name}.{path.stem}") for path in views),
        )

    records: tuple[SqlFile, ...] = field(repr=False)
    """Tables beside the daily ones: what is written down about them, and what experiments found."""

    views: tuple[SqlFile, ...] = field(repr=False)
    """Views for analysts; they store nothing."""

    @property
    def lake_tables(self) -> list[SqlFile]:
        """What the lake creates before anything is written."""
        return [*self.tables.values(), *self.records, *self.views]

    @cached_property
    def partitions(self) -> Partitions:
        """The calendar."""
        return Partitions.of(
            start=self.settings.start,
            end=self.settings.end,
            time_zone=self.source.time_zone,
            tasks=self.settings.tasks,
            window=self.settings.ticket_window,
        )

    def lineage(self, table: str) -> dict[str, tuple[Origin, ...]]:
        """Where each column of a table comes from, as its SQL says; read once per process and table."""
        if table not in self._lineage:
            columns_of = {name: [c.name for c in columns] for name, columns in OPTIONAL_TABLES.items()}
            columns_of |= {name: [c.name for c in file.columns] for name, file in self.tables.items()}
            self._lineage[table] = column_lineage(self.tables[table], columns_of)
        return self._lineage[table]

    _lineage: dict[str, dict[str, tuple[Origin, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def claim_home(self) -> None:
        """Write down what the rows of this home are made from, or compare with what stands there.

        Rows of one catalogue, threshold or simulator are not to be mixed with rows of another.

        Raises:
            ConfigError: the home holds another data set.
            OSError: the home cannot be written.
        """
        settings = self.settings
        mine = {
            "source": self.source.name,
            "start": settings.start.isoformat(),
            "time_zone": self.source.time_zone,
            "catalogue": self.source.catalogue.digest,
            "samples": dict(settings.samples),
            "generator": dict(settings.generator),
        }
        require_shareable(settings.home)
        path = settings.home / "home.json"
        if put_text_once(path, json.dumps(mine, indent=1) + "\n"):
            return
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} says what the home is made from, and is damaged: {error}.") from error
        differing = [f"{k} {theirs.get(k)!r}, not {v!r}" for k, v in mine.items() if theirs.get(k) != v]
        if differing:
            raise ConfigError(
                f"the home {settings.home} holds another data set: {'; '.join(differing)}. "
                "One home holds one data set: set LT4REC_HOME to another folder."
            )

    def sql_params(self, day: date) -> dict[str, Any]:
        """Values for the parameters that SQL files and checks may declare."""
        return {
            **self.settings.samples,
            **self.settings.quality.as_params(),
            "dt": day,
            "time_zone": self.source.time_zone,
            "ticket_window_end": self.settings.ticket_window[-1],
        }


def _path(sql_root: Path, source: Source, table: str) -> Path:
    group, name = table.split(".")
    return source.folder / f"{name}.sql" if group == "source" else sql_root / group / f"{name}.sql"
