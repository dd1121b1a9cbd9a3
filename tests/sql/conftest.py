"""A tiny platform to run the project's SQL on: rows go in as dictionaries and come out as dictionaries."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import read_sql_file

SQL = Path(__file__).parents[2] / "sql"
DAY = date(2022, 4, 25)
FEATURES = [
    {"name": "user_id", "side": "user", "buckets": 1000},
    {"name": "city", "side": "user", "values": ["Rome", "Oslo"]},
    {"name": "user_impressions", "side": "user", "input": "n_impressions_7d", "bins": [1, 2, 3, 4, 5]},
    {"name": "user_click_rate", "side": "user", "input": "click_rate_7d", "bins": [0.25, 0.5, 0.75]},
    {"name": "user_watch_ratio", "side": "user", "input": "watch_ratio_7d", "bins": [0.25, 0.5, 0.75]},
    {"name": "clicked_videos", "side": "user", "kind": "list", "shares": "video_id", "max_length": 3},
    {"name": "video_id", "side": "video", "buckets": 1000},
    {"name": "video_click_rate", "side": "video", "input": "click_rate_7d", "bins": [0.25, 0.5, 0.75]},
    {"name": "tags", "side": "video", "kind": "list", "values": ["cats", "dogs"], "max_length": 2},
    {"name": "page", "side": "context", "values": ["feed"]},
    {"name": "position", "side": "context", "bins": [2], "known_when_serving": False},
    {"name": "duration", "side": "context", "input": "duration_ms", "bins": [1000, 60000]},
    {"name": "hour", "side": "context", "bins": [*range(1, 24)]},
    {"name": "weekday", "side": "context", "bins": [*range(2, 8)]},
]
USERS = """\
-- Users.
-- grain: a user
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
--   city varchar where
"""
VIDEOS = """\
-- Videos.
-- grain: a video
-- key: video_id
-- columns:
--   dt date day
--   video_id varchar which
--   tags varchar[] what about
"""
TABLES = (
    "samples/screened_impressions",
    "samples/impressions",
    "samples/clicks",
    "samples/conversions",
    "features/user_daily_stats",
    "features/video_daily_stats",
    "features/user_features",
    "features/video_features",
    "training/samples",
)
PARAMS = {"conversion_threshold": 0.5, "prior_strength": 10, "history_length": 2, "unused": "ignored"}
SHOWN = {
    "user_id": "u",
    "video_id": "v",
    "occurred_at": datetime(2022, 4, 25, 4, 30),
    "page": "feed",
    "position": 1,
    "is_click": False,
    "play_ms": 0,
    "duration_ms": 10_000,
}


class Platform:
    """A lake with the project's tables over a source without files."""

    def __init__(self, folder: Path) -> None:
        for name, text in (("users", USERS), ("videos", VIDEOS)):
            (folder / "sources" / "tiny").mkdir(parents=True, exist_ok=True)
            (folder / "sources" / "tiny" / f"{name}.sql").write_text(text)
        catalogue = FeatureCatalogue.from_toml({"feature": FEATURES})
        self.source = Source("tiny", folder / "sources" / "tiny", "", "Asia/Shanghai", catalogue, {})
        log = read_sql_file(SQL / "sources" / "kuairand" / "impression_log.sql")
        files = [log, *(read_sql_file(folder / "sources" / "tiny" / f"{n}.sql") for n in ("users", "videos"))]
        files += [read_sql_file(SQL / f"{n}.sql", fragments=catalogue.fragments()) for n in TABLES]
        self.files = {f.table: f for f in files}
        self.lake = Lake(folder / "home")
        self.lake.create(files)

    def put(self, table: str, *rows: dict, day: date = DAY) -> None:
        """Publish rows as they are; columns that are not given are NULL."""
        columns = self.files[table].columns
        with self.lake.scratch(1) as con:
            con.execute(f"create table rows ({', '.join(f'{c.name} {c.type}' for c in columns)})")
            for row in rows:
                values = [{"dt": day, **row}.get(c.name) for c in columns]
                con.execute(f"insert into rows values ({', '.join('?' * len(values))})", values)
            reader = con.execute("from rows").to_arrow_reader(1000)
            self.lake.publish(self.lake.stage(table, day, reader))

    def log(self, *rows: dict, day: date = DAY) -> None:
        """Deliver log rows; what a row does not say is taken from SHOWN, its time follows the day."""
        moved = {"occurred_at": SHOWN["occurred_at"] + (day - DAY)}
        self.put("source.impression_log", *({**SHOWN, **moved, **row} for row in rows), day=day)

    def run(self, *tables: str, day: date = DAY, **params: object) -> None:
        """Run and publish some tables for a day."""
        for table in tables:
            values = {**PARAMS, "time_zone": self.source.time_zone, **params}
            self.lake.publish(run_sql(self.lake, self.source, self.files[table], day, values, threads=1))

    def run_all(self, day: date = DAY, **params: object) -> None:
        """Run the whole chain from the log on."""
        for table in ("source.users", "source.videos"):
            if day not in self.lake.days(table):
                self.put(table, day=day)
        self.run(*(name.replace("/", ".") for name in TABLES), day=day, **params)

    def rows(self, table: str, day: date = DAY) -> list[dict]:
        """The rows of a day, in the order they were written."""
        path = self.lake.files(table, day, day)
        with self.lake.scratch(1) as con:
            result = (
                con.execute("from read_parquet($p, hive_partitioning = true)", {"p": path}) if path else None
            )
            if result is None:
                return []
            names = [d[0] for d in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture
def platform(tmp_path):
    return Platform(tmp_path)


@pytest.fixture
def day():
    return DAY


@pytest.fixture
def days_after():
    return lambda n: DAY + timedelta(days=n)
