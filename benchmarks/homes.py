"""A home in a temporary folder, filled by the simulator: what the benchmarks of SQL run on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Span, measured

if TYPE_CHECKING:
    from lt4rec_assets.project import Project
    from lt4rec_core.data.lake import Lake
    from lt4rec_core.data.staging import Staged
    from lt4rec_core.quality.audit import AuditReport

SMALL_NETWORK = """
[network]
embedding_dim = 4
hidden = [16, 8]

[pruning]
n_pruning = 1
"""


@contextmanager
def temporary_home(impressions_per_day: int, more: str = "") -> Iterator[Path]:
    """A folder with an ``lt4rec.toml``, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="lt4rec-benchmark-") as folder:
        text = f"[source]\nimpressions_per_day = {impressions_per_day}\n{more}"
        (Path(folder) / "lt4rec.toml").write_text(text, encoding="utf-8")
        yield Path(folder)


@contextmanager
def filled_home(impressions_per_day: int, n_days: int) -> Iterator[tuple[Path, list[date]]]:
    """A home whose first days have their samples, made by the project's SQL; removed afterwards."""
    with temporary_home(impressions_per_day) as home:
        chain = Chain.of(home)
        days = [chain.day(number) for number in range(n_days)]
        for day in days:
            for name in chain.tables:
                chain.lake.publish(chain.stage(name, day)[0])
        yield home, days


@dataclass
class Chain:
    """The statements from the source to ``training.samples``, run one after the other without Dagster."""

    project: "Project"
    lake: "Lake"

    @classmethod
    def of(cls, home: Path) -> "Chain":
        """Read the settings of a home and create its tables."""
        from lt4rec_assets.project import Project
        from lt4rec_assets.settings import read_settings
        from lt4rec_core.data.lake import Lake

        project = Project.of(read_settings({"LT4REC_HOME": str(home)}))
        lake = Lake(home)
        lake.create(project.lake_tables)
        return cls(project, lake)

    def day(self, number: int) -> date:
        """The day of this number, 0 the first."""
        return self.project.settings.start + timedelta(days=number)

    @property
    def tables(self) -> list[str]:
        """In the order data flows."""
        return [name for name in self.project.tables if not name.startswith("evaluation.")]

    def stage(self, name: str, day: date, source_path: Path | None = None) -> tuple["Staged", Span]:
        """Run one statement on one thread; the staged rows, and what it took."""
        from lt4rec_assets.tables import SQL_MEMORY
        from lt4rec_core.data.runner import run_sql

        project = self.project
        with measured() as span:
            staged = run_sql(
                self.lake,
                project.source,
                project.tables[name],
                day,
                project.sql_params(day),
                source_path,
                threads=1,
                memory_limit=SQL_MEMORY,
            )
        return staged, span

    def audit(self, staged: "Staged") -> tuple["AuditReport", Span]:
        """Put a staged day before its gate; what was found, and what that took.

        Raises:
            AssertionError: it did not pass, so the figure would be of something else.
        """
        from lt4rec_core.quality.audit import audit

        with measured() as span:
            report = audit(
                self.lake,
                self.project.source,
                self.project.tables[staged.table],
                staged,
                params=self.project.sql_params(staged.day),
                report_dir=self.lake.home / "reports",
            )
        if not report.passed:
            raise AssertionError(f"{staged.table} of {staged.day} did not pass: {report.page}")
        return report, span

    def keep(self, report: "AuditReport") -> Span:
        """Keep what a gate measured of a day that is published now, for the days after it; what that took."""
        from lt4rec_core.quality.profiles import keep_profiles

        with measured() as span:
            keep_profiles(self.lake, report.profiles)
        return span
