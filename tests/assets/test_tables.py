from datetime import date

import dagster as dg
import pytest

from lt4rec_assets.tables import key_of, run_table
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.snapshot import arrow_schema
from lt4rec_core.errors import LakeError


def asset_of(home, name):
    return home.definitions.resolve_asset_graph().get(key_of(name))


def parents_of(home, name, day):
    graph = home.definitions.resolve_asset_graph()
    found = graph.get_parents_partitions(key_of(name), day).parent_partitions
    return {(p.asset_key.to_user_string(), p.partition_key) for p in found}


def test_every_table_of_the_project_is_an_asset(filled):
    keys = filled.definitions.resolve_asset_graph().get_all_asset_keys()

    assert {key_of(name) for name in filled.project.tables} <= set(keys)


def test_the_header_gives_the_days_an_asset_depends_on(filled):
    parents = parents_of(filled, "features.user_features", "2026-01-08")

    days = {day for name, day in parents if name == "features/user_daily_stats"}
    assert days == {"2026-01-05", "2026-01-06", "2026-01-07"}  # seven before, clamped at the first day
    assert {day for name, day in parents if name == "samples/impressions"} == {"2026-01-08"}


def test_the_ui_shows_schema_grain_and_compiled_sql(filled):
    metadata = asset_of(filled, "training.samples").metadata

    columns = {c.name: c for c in metadata["dagster/column_schema"].columns}
    assert columns["watch_ratio"].type == "double"
    assert columns["f_user_id"].description
    assert metadata["dagster/table_name"] == "training.samples"
    assert "f_user_id" in metadata["sql"].md_str


def test_a_materialised_partition_says_rows_version_and_what_it_read(filled):
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key_of("samples.clicks"))
    metadata = event.asset_materialization.metadata

    lake = Lake(filled.project.settings.home)
    assert metadata["dagster/partition_row_count"].value > 50
    assert 0 < metadata["delta_version"].value <= lake.version("samples.clicks")
    assert set(metadata["read_delta_versions"].value) == {"samples.impressions"}


def test_a_table_does_not_run_while_a_day_it_reads_is_missing(empty):
    home = empty()
    lake = Lake(home.project.settings.home)
    lake.create(home.project.lake_tables)

    with pytest.raises(
        LakeError, match=r"samples\.clicks of 2026-01-06 reads samples\.impressions of 2026-01-06"
    ):
        run_table(home.project, lake, "samples.clicks", date(2026, 1, 6))


def test_days_before_the_first_are_not_missing(filled):
    lake = Lake(filled.project.settings.home)

    staged = run_table(filled.project, lake, "features.user_features", date(2026, 1, 5))

    lake.discard(staged)
    assert staged.n_rows > 0


def test_a_day_published_without_rows_is_there_and_one_never_published_is_not(empty):
    home = empty()
    lake = Lake(home.project.settings.home)
    lake.create(home.project.lake_tables)
    clicks = home.project.tables["samples.clicks"]
    nothing = arrow_schema(clicks.columns).empty_table().to_reader()

    lake.publish(lake.stage("samples.clicks", date(2026, 1, 5), nothing))

    assert lake.published("samples.clicks") == {date(2026, 1, 5)}
    assert not lake.days("samples.clicks")
