import math
from datetime import date
from pathlib import Path

import pytest

from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.experiments.comparison import compare
from lt4rec_core.experiments.records import Cell
from lt4rec_core.experiments.tables import comparison_rows, complete_rows, rows_table

SQL = Path(__file__).parents[3] / "sql" / "experiments"
DAY = date(2022, 5, 6)


def cell(variant, seed, densities=None, **metrics):
    return Cell(variant, seed, "race", "frozen", metrics, densities or {}, {})


@pytest.fixture
def cells():
    """Two seeds: CTR alone, CVR alone, and tickets that keep 0.2 and 0.4, 0.5 and 0.5."""
    return [
        *(cell("base_ctr", s, ctr_auc=0.7 + 0.01 * s) for s in (0, 1)),
        *(cell("base_cvr", s, cvr_mse=0.1) for s in (0, 1)),
        cell("s_weight", 0, {"ctr": 0.5, "cvr": 0.2}, ctr_auc=0.71, cvr_mse=0.09),
        cell("s_weight", 1, {"ctr": 0.5, "cvr": 0.4}, ctr_auc=0.73, cvr_mse=0.08),
    ]


def test_a_row_without_all_its_seeds_is_not_complete(cells):
    found = complete_rows(cells[:-1], n_seeds=2)

    assert {c.variant for c in found} == {"base_ctr", "base_cvr"}
    assert complete_rows(cells, n_seeds=2) == cells


def test_every_row_and_metric_is_a_row_of_the_table_with_mean_densities(cells):
    rows = comparison_rows(DAY, compare(cells), cells)

    assert [(row["variant"], row["metric"], row["variant_group"]) for row in rows] == [
        ("s_weight", "cvr_mse", "paper"),
        ("s_weight", "ctr_auc", "paper"),
    ]
    assert rows[0]["density_cvr"] == pytest.approx(0.3)
    assert rows[0]["density_ctr"] == 0.5
    assert rows[0]["difference"] == pytest.approx(-0.015)


def test_what_is_not_known_is_null_and_not_nan(cells):
    rows = comparison_rows(DAY, compare(cells), cells)

    assert {row["gap_closed"] for row in rows} == {None}
    assert {row["user_low"] for row in rows} == {None}
    assert not any(isinstance(v, float) and math.isnan(v) for row in rows for v in row.values())


def test_the_comparison_fits_its_declared_table(cells):
    file = read_sql_file(SQL / "offline_comparison.sql")

    table = rows_table(file, comparison_rows(DAY, compare(cells), cells))

    assert table.column_names == [column.name for column in file.columns]
    assert table["metric"].to_pylist() == ["ctr_auc", "cvr_mse"]
    assert table["dt"].to_pylist() == [DAY, DAY]


def test_the_scarcity_curve_fits_its_declared_table(cells):
    file = read_sql_file(SQL / "label_scarcity.sql")
    rows = [
        row for share in (1.0, 0.1) for row in comparison_rows(DAY, compare(cells), cells, label_share=share)
    ]

    table = rows_table(file, rows)

    assert table.column_names == [column.name for column in file.columns]
    assert table["label_share"].to_pylist() == [0.1, 0.1, 1.0, 1.0]
