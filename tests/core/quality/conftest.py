"""A small lake of simulated days, each table made by the project's own SQL, and audits of changed days."""

import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lt4rec_core.data.lake import Lake, Staged
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import Source, load_source
from lt4rec_core.data.sqlfile import SqlFile, read_sql_file
from lt4rec_core.quality.audit import AuditReport, audit

SQL = Path(__file__).resolve().parents[3] / "sql"
SMALL = {
    "n_users": 60,
    "n_videos": 80,
    "new_users_per_day": 3,
    "new_videos_per_day": 5,
    "impressions_per_day": 300,
}
DAYS = [date(2026, 1, 5) + timedelta(days=i) for i in range(5)]
TABLES = (
    "source.users",
    "source.videos",
    "source.impression_log",
    "samples.screened_impressions",
    "samples.impressions",
    "samples.clicks",
    "samples.conversions",
    "features.user_daily_stats",
    "features.video_daily_stats",
    "features.user_features",
    "features.video_features",
    "training.samples",
)
COPIED = ("page", "duration_ms", "is_new_user", "is_new_video", "is_click", "watch_ratio", "is_converted")
COPIED += ("is_like", "is_follow", "is_comment", "is_forward", "is_long_view")


@dataclass
class World:
    """The lake after ``DAYS``, and how to audit a changed copy of one of its days."""

    lake: Lake
    source: Source
    files: dict[str, SqlFile]
    params: dict
    folder: Path
    day: date = DAYS[-1]

    def rows(self, table: str) -> pa.Table:
        return self.lake.open(table, self.day, self.day).read_all()

    def audit(
        self,
        table: str,
        change: Callable[[pa.Table], pa.Table] = lambda rows: rows,
        waivers: dict[str, str] | None = None,
        **params,
    ) -> AuditReport:
        """Audit the day after ``change``, written past the lake so that even the schema may be wrong."""
        rows = change(self.rows(table))
        # As in the lake, no name is used twice: DuckDB may answer from its cache of a file written over.
        path = self.folder / f"staged.{uuid.uuid4().hex}.parquet"
        pq.write_table(rows, path)
        staged = Staged(table, self.day, path, len(rows))
        merged = {**self.params, **params}
        return audit(
            self.lake,
            self.source,
            self.files[table],
            staged,
            params=merged,
            report_dir=self.folder / "reports",
            waivers=waivers,
        )


@pytest.fixture(scope="session", autouse=True)
def _great_expectations_is_imported():
    """It raises deprecation warnings of its own when it is first imported, and warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    home = tmp_path_factory.mktemp("quality")
    lake, source = Lake(home), load_source(SQL, "simulator", SMALL)
    fragments = source.catalogue.fragments()
    files = {}
    for table in (*TABLES, "evaluation.predictions", "quality.day_profiles"):
        group, name = table.split(".")
        folder = source.folder if group == "source" else SQL / group
        files[table] = read_sql_file(folder / f"{name}.sql", table=table, fragments=fragments)
    lake.create(files.values())
    params = {"time_zone": source.time_zone, "conversion_threshold": 0.5}
    params |= {"prior_strength": 10, "history_length": 20}
    for day in DAYS:
        for table in TABLES:
            lake.publish(run_sql(lake, source, files[table], day, params, threads=1))
        predictions = predicted(lake.open("training.samples", day, day).read_all())
        lake.publish(lake.stage("evaluation.predictions", day, predictions.to_reader()))
    return World(lake, source, files, params, home)


def predicted(samples: pa.Table) -> pa.Table:
    """Both models' predictions of some samples, in the columns of ``evaluation.predictions``."""
    generator, parts = np.random.default_rng(0), []
    for model in ("baseline", "snet"):
        p_ctr, p_cvr = generator.random(len(samples)), generator.random(len(samples))
        columns = {name: samples[name] for name in ("dt", "user_id", "video_id", "occurred_at")}
        columns["model"] = pa.array([model] * len(samples))
        columns |= {"p_ctr": p_ctr, "p_cvr": p_cvr, "p_ctcvr": p_ctr * p_cvr}
        for task in ("like", "follow", "comment", "forward", "long_view"):
            columns[f"p_{task}"] = pa.nulls(len(samples), pa.float64())
        columns["model_digest"] = pa.array(["digest"] * len(samples))
        parts.append(pa.table(columns | {name: samples[name] for name in COPIED}))
    return pa.concat_tables(parts)
