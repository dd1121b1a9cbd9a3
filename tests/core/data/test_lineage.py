from pathlib import Path

import pytest

from lt4rec_core.data.lineage import column_lineage
from lt4rec_core.data.sources import OPTIONAL_TABLES, load_source, source_names
from lt4rec_core.data.sqlfile import read_sql_file, table_name
from lt4rec_core.errors import SqlFileError

SQL_ROOT = Path(__file__).resolve().parents[3] / "sql"
SHOWN = {"samples.shown": ["dt", "user_id", "page", "play_ms", "duration_ms", "tags"]}

# Keys, counts of rows and what the run itself says come from no column.
FROM_NOWHERE = {
    "features.user_daily_stats": {"dt", "n_impressions", "n_watched"},
    "features.video_daily_stats": {"dt", "n_impressions", "n_watched"},
    "features.user_features": {"dt"},
    "features.video_features": {"dt"},
    "evaluation.daily_metrics": {"dt", "task", "metric", "ci_low", "ci_high", "is_after_ticket_window"},
    "evaluation.calibration": {"dt", "task", "n"},
    # KuaiRand's files describe users and videos once, for every day, and do not say where on the page.
    "source.users": {"dt"},
    "source.videos": {"dt"},
    "source.impression_log": {"position"},
}


def lineage_of(tmp_path, columns, sql, inputs="samples.shown[0]", order="dt", columns_of=SHOWN):
    declared = "\n".join(f"--   {name} {type_}" for name, type_ in [("dt", "date"), *columns])
    path = tmp_path / "samples" / "made.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"-- A table.\n--\n-- grain: a row\n-- key: {order}\n-- inputs: {inputs}\n"
        f"-- columns:\n{declared}\n\n{sql}\norder by {order}\n"
    )
    lineage = column_lineage(read_sql_file(path), columns_of)
    assert list(lineage) == ["dt", *(name for name, _ in columns)]
    return {column: {name for _, name in origins} for column, origins in lineage.items()}


def test_a_column_comes_from_what_it_is_computed_from_not_from_what_filters_its_rows(tmp_path):
    found = lineage_of(
        tmp_path,
        [("ratio", "double")],
        "select dt, play_ms / duration_ms as ratio from samples.shown where page = 'feed'",
    )

    assert found == {"dt": {"dt"}, "ratio": {"play_ms", "duration_ms"}}


def test_columns_are_followed_through_stars_joins_and_names_of_the_same_select(tmp_path):
    found = lineage_of(
        tmp_path,
        [("user_id", "varchar"), ("hours", "double"), ("n", "bigint")],
        """
        with renamed as (select * exclude (page), play_ms / 1000 as seconds, seconds / 3600 as hours
                         from samples.shown),
        counted as (select user_id, count(*) as n from samples.shown group by user_id)
        select r.dt, r.user_id, r.hours, counted.n
        from renamed as r inner join counted on r.user_id = counted.user_id
        """,
    )

    assert found == {"dt": {"dt"}, "user_id": {"user_id"}, "hours": {"play_ms"}, "n": set()}


def test_a_union_joins_what_its_parts_say_by_position_or_by_name(tmp_path):
    by_position = "select dt, page as a, user_id as b from samples.shown union all select dt, tags, page from"
    by_name = (
        "select dt, page as a, user_id as b from samples.shown union all by name select dt, tags as b from"
    )
    columns = [("a", "varchar"), ("b", "varchar")]

    assert lineage_of(tmp_path, columns, f"{by_position} samples.shown") == {
        "dt": {"dt"},
        "a": {"page", "tags"},
        "b": {"user_id", "page"},
    }
    assert lineage_of(tmp_path, columns, f"{by_name} samples.shown") == {
        "dt": {"dt"},
        "a": {"page"},
        "b": {"user_id", "tags"},
    }


def test_a_field_of_a_struct_comes_from_what_was_put_into_it(tmp_path):
    found = lineage_of(
        tmp_path,
        [("name", "varchar"), ("value", "bigint")],
        """
        with long as (
            select
                dt,
                unnest([{ 'name': 'a', 'value': play_ms }, { 'name': 'b', 'value': duration_ms }]) as pair
            from samples.shown
        )
        select dt, long.pair.name as name, long.pair.value as value from long
        """,
    )

    assert found == {"dt": {"dt"}, "name": set(), "value": {"play_ms", "duration_ms"}}


def test_rows_of_a_lateral_values_list_are_told_apart_by_position(tmp_path):
    found = lineage_of(
        tmp_path,
        [("name", "varchar"), ("value", "bigint")],
        "select s.dt, m.name, m.value from samples.shown as s "
        "cross join lateral (values ('play', s.play_ms), ('length', s.duration_ms)) as m (name, value)",
    )

    assert found == {"dt": {"dt"}, "name": set(), "value": {"play_ms", "duration_ms"}}


def test_a_scalar_subquery_and_a_lambda_are_looked_into(tmp_path):
    found = lineage_of(
        tmp_path,
        [("longest", "bigint"), ("tags", "varchar[]")],
        "select dt, (select max(o.play_ms) from samples.shown as o where o.page = s.page) as longest, "
        "list_transform(tags, lambda x: x || user_id) as tags from samples.shown as s",
    )

    assert found == {"dt": {"dt"}, "longest": {"play_ms"}, "tags": {"tags", "user_id"}}


def test_only_declared_columns_of_an_input_are_seen(tmp_path):
    with pytest.raises(SqlFileError, match=r"made\.sql: the lineage of samples\.made cannot be read"):
        lineage_of(
            tmp_path,
            [("page", "varchar")],
            "select dt, page from samples.shown",
            inputs="samples.shown[0](user_id)",
        )


def files_of(source):
    fragments = load_source(SQL_ROOT, source).catalogue.fragments()
    paths = [*SQL_ROOT.glob(f"sources/{source}/*.sql")]
    paths += [
        p for group in ("samples", "features", "training", "evaluation") for p in SQL_ROOT.glob(f"{group}/*")
    ]
    return {table_name(path): read_sql_file(path, fragments=fragments) for path in paths}


@pytest.mark.parametrize("source", source_names(SQL_ROOT))
def test_every_column_of_every_table_comes_from_columns_that_its_inputs_have(source):
    files = files_of(source)
    columns_of = {name: [c.name for c in columns] for name, columns in OPTIONAL_TABLES.items()}
    columns_of |= {name: [c.name for c in file.columns] for name, file in files.items()}
    assert len(files) >= 15

    for name, file in files.items():
        if file.compiled_sql is None:
            continue
        lineage = column_lineage(file, columns_of)

        seen = {
            (i.table, column)
            for i in file.inputs
            for column in (*(i.columns or columns_of.get(i.table, ())), *(() if i.is_raw else ("dt",)))
        }
        assert {origin for origins in lineage.values() for origin in origins} <= seen, name
        nowhere = {column for column, origins in lineage.items() if not origins}
        assert nowhere <= FROM_NOWHERE.get(name, set()), name


def test_a_feature_is_followed_to_what_the_catalogue_computes_it_from():
    files = files_of("simulator")
    columns_of = {name: [c.name for c in file.columns] for name, file in files.items()}

    lineage = column_lineage(files["features.user_features"], columns_of)

    assert lineage["f_user_click_rate"] == (
        ("features.user_daily_stats", "n_clicks"),
        ("features.user_daily_stats", "n_impressions"),
    )
    assert lineage["f_country"] == (("source.users", "country"),)
