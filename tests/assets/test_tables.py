from datetime import date

import dagster as dg
import pytest

from lt4rec_assets.metadata import describe_published, unless_it_fails
from lt4rec_assets.project import Project
from lt4rec_assets.tables import key_of, run_table
from lt4rec_core.data.lake import Lake, Published
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


def lineage_of(home, name):
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key_of(name))
    metadata = event.asset_materialization.metadata
    deps = metadata["dagster/column_lineage"].column_lineage.deps_by_column
    found = {
        column: {f"{d.asset_key.to_user_string()}.{d.column_name}" for d in parents}
        for column, parents in deps.items()
    }
    return found, metadata["columns_come_from"].value


def test_a_materialised_table_says_which_columns_its_columns_come_from(filled):
    lineage, shown = lineage_of(filled, "samples.conversions")

    assert lineage["watch_ratio"] == {"samples/clicks.play_ms", "samples/clicks.duration_ms"}
    assert "| watch_ratio | samples.clicks.duration_ms, samples.clicks.play_ms |" in shown


def test_raw_inputs_are_read_about_but_are_no_assets_that_lineage_could_point_to(filled):
    lineage, shown = lineage_of(filled, "source.users")

    assert lineage["gender"] == set()
    assert "| gender | raw.users.gender |" in shown


def test_what_python_fills_has_a_lineage_too(filled):
    predictions, _ = lineage_of(filled, "evaluation.predictions")
    metrics, _ = lineage_of(filled, "evaluation.daily_metrics")

    assert predictions["page"] == {"training/samples.page"}
    assert "training/samples.f_user_click_rate" in predictions["p_cvr"]
    assert predictions["p_like"] == set()  # no task of this home
    assert metrics["ci_low"] == metrics["value"] > {"evaluation/predictions.p_ctr"}


def test_sql_that_the_parser_cannot_follow_fails_no_day(filled, monkeypatch):
    def no_parser(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(Project, "lineage", no_parser)

    shown = describe_published(filled.project, Published("samples.clicks", date(2026, 1, 6), 1, 7))

    assert shown["columns_come_from"] == "unknown: too deep"
    assert "dagster/column_lineage" not in shown


def test_every_table_has_a_lineage_over_columns_that_its_parents_have(filled):
    columns = {name: {c.name for c in file.columns} for name, file in filled.project.tables.items()}

    for name in filled.project.tables:
        lineage, _ = lineage_of(filled, name)

        assert set(lineage) == columns[name]
        for origin in set().union(*lineage.values()):
            table, column = origin.replace("/", ".", 1).rsplit(".", 1)
            assert column in columns[table], name


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


@pytest.mark.parametrize(
    ("table", "pictures"),
    [
        ("evaluation.daily_metrics", {"roc_picture", "watch_ratio_picture"}),
        ("evaluation.calibration", {"calibration_ctr", "calibration_ctcvr", "calibration_cvr"}),
    ],
)
def test_an_evaluated_day_shows_its_pictures_which_are_small(filled, table, pictures):
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key_of(table))
    metadata = event.asset_materialization.metadata

    for name in pictures:
        assert "](data:image/svg+xml;base64," in metadata[name].value
        assert len(metadata[name].value) < 40_000


def test_what_adorns_a_day_cannot_fail_it():
    def broken():
        raise ValueError("no such colour")

    assert unless_it_fails("pictures", broken) == {"pictures": "unknown: no such colour"}
