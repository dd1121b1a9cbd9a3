"""sql/sources/custom: logs in lt4rec's own columns, as text or typed."""

from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SourceError

SQL = Path(__file__).resolve().parents[2] / "sql"
DAY = date(2026, 3, 2)
TYPED = """
    select date '2026-03-02' as dt, timestamptz '2026-03-02 12:00:00+01' as occurred_at, 7 as user_id,
        8 as video_id, true as is_click, 5000 as play_ms, 10000.0 as duration_ms, 3 as position
"""


def delivered(tmp_path, name):
    source, lake = load_source(SQL, "custom"), Lake(tmp_path / "home")
    file = read_sql_file(SQL / "sources" / "custom" / f"{name}.sql")
    lake.create([file])
    lake.publish(run_sql(lake, source, file, DAY, {}, tmp_path, threads=1))
    return lake.open(file.table, DAY, DAY).read_all().to_pylist()


def test_typed_and_text_files_lie_side_by_side(tmp_path):
    (tmp_path / "impressions").mkdir()
    duckdb.sql(f"copy ({TYPED}) to '{tmp_path}/impressions/a.parquet'")
    (tmp_path / "impressions" / "b.csv").write_text(
        "dt,occurred_at,user_id,video_id,is_click,play_ms,duration_ms,page,is_like\n"
        "2026-03-02,2026-03-02T12:00:00+01:00,9,8,0,none,10000,feed,1\n"
        "2026-03-02,2026-03-02 11:00:00,10,8,1,5,10000,feed,\n"
    )

    seven, nine, ten = sorted(delivered(tmp_path, "impression_log"), key=lambda row: int(row["user_id"]))

    at = datetime(2026, 3, 2, 11)
    assert [row["occurred_at"] for row in (seven, nine, ten)] == [at, at, at]
    assert (seven["video_id"], seven["play_ms"], seven["duration_ms"], seven["position"]) == (
        "8",
        5000,
        10000,
        3,
    )
    assert (seven["page"], seven["is_like"]) == (None, None)
    assert (nine["is_click"], nine["play_ms"], nine["page"], nine["is_like"]) == (False, None, "feed", True)


def test_a_day_that_is_infinite_is_an_error_of_the_file(tmp_path):
    (tmp_path / "impressions").mkdir()
    (tmp_path / "impressions" / "b.csv").write_text(
        "dt,occurred_at,user_id,video_id,is_click,play_ms,duration_ms\ninfinity,2026-03-02,9,8,0,0,10000\n"
    )

    with pytest.raises(
        SourceError, match=r"1 row\(s\) of source.impression_log have a day that cannot be read"
    ):
        delivered(tmp_path, "impression_log")


def test_users_and_videos_are_listed_where_there_are_files_and_nobody_is_where_there_are_none(tmp_path):
    (tmp_path / "videos-2026.csv").write_text("video_id,category\n8,fun\n")

    assert delivered(tmp_path, "users") == []
    assert delivered(tmp_path, "videos") == [
        {"dt": DAY, "video_id": "8", "author_id": None, "category": "fun"}
    ]
