"""sql/sources/simulator: from the generator to the four source tables."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.simulator import generate
from lt4rec_core.data.simulator.behaviour import PAGES
from lt4rec_core.data.simulator.world import CATEGORIES, TITLE_STYLES, USER_ATTRIBUTES
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file

SQL = Path(__file__).resolve().parents[2] / "sql"
DAY = date(2026, 1, 8)
SETTINGS = {"impressions_per_day": 2_000, "messy_share": 0.05}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The source tables of one day, and a DuckDB connection that sees them by their names."""
    lake, source = Lake(tmp_path_factory.mktemp("home")), load_source(SQL, "simulator", SETTINGS)
    files = [read_sql_file(path) for path in sorted((SQL / "sources" / "simulator").glob("*.sql"))]
    lake.create(files)
    con = duckdb.connect()
    for file in files:
        lake.publish(run_sql(lake, source, file, DAY, {}, threads=1))
        con.register(file.table.removeprefix("source."), lake.open(file.table, DAY, DAY).read_all())
    return con


def one(con, query):
    return con.execute(query).fetchall()[0]


def test_every_generated_row_is_delivered(tables):
    made = generate(DAY, SETTINGS)

    for name, raw in (
        ("impression_log", "impressions"),
        ("users", "users"),
        ("videos", "videos"),
        ("truth", "truth"),
    ):
        assert one(tables, f"select count(*), min(dt), max(dt) from {name}") == (made[raw].num_rows, DAY, DAY)


def test_times_are_of_the_day_in_utc_or_shortly_after(tables):
    first, last = one(tables, "select min(occurred_at), max(occurred_at) from impression_log")

    assert first.date() == DAY
    assert (last - first).total_seconds() < 26 * 3600


def test_every_row_of_the_log_has_exactly_one_truth(tables):
    query = """
        select count(*), count(t.p_click) from impression_log
        left join truth as t using (dt, user_id, video_id, occurred_at)
    """
    delivered, with_truth = one(tables, query)

    assert delivered == with_truth == one(tables, "select count(*) from impression_log")[0]


def test_users_and_videos_were_there_before_the_day(tables):
    assert one(tables, "select min(tenure_days), max(tenure_days) from users") == (1, 79)
    assert one(tables, "select min(upload_age_days), max(upload_age_days) from videos") == (1, 59)


def test_the_catalogue_lists_every_value_there_is():
    features = {f.name: f for f in load_source(SQL, "simulator").catalogue.features}
    there = {name: list(values) for name, values in USER_ATTRIBUTES.items()}
    there |= {"category": list(CATEGORIES), "title_style": list(TITLE_STYLES), "page": list(PAGES)}

    assert {name: list(features[name].values) for name in there} == there


def test_position_is_the_only_feature_unknown_when_serving():
    features = load_source(SQL, "simulator").catalogue.features

    assert [f.name for f in features if not f.known_when_serving] == ["position"]


def test_no_feature_reads_the_truth():
    inputs = {f.input for f in load_source(SQL, "simulator").catalogue.features}

    assert inputs.isdisjoint({"p_click", "expected_watch_ratio", "is_click", "play_ms", "watch_ratio"})
