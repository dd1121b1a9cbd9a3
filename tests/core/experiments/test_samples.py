from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import Column, SqlFile
from lt4rec_core.errors import LakeError
from lt4rec_core.evaluation.metrics import auc_score
from lt4rec_core.experiments.samples import best_reachable, samples_digest

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)
KEYS = {"dt": "date", "user_id": "varchar", "video_id": "varchar", "occurred_at": "timestamp"}
COLUMNS = {
    "training.samples": {**KEYS, "is_click": "boolean", "watch_ratio": "double"},
    "source.truth": {**KEYS, "p_click": "double", "expected_watch_ratio": "double"},
}


def header(table):
    columns = tuple(Column(name, kind, "") for name, kind in COLUMNS[table].items())
    return SqlFile(
        path=Path("sql/group/table.sql"),
        table=table,
        description="",
        grain="",
        key=("user_id",),
        inputs=(),
        params={},
        columns=columns,
        statement=None,
        compiled_sql=None,
    )


@pytest.fixture
def lake(tmp_path):
    found = Lake(tmp_path)
    found.create(header(table) for table in COLUMNS)
    return found


def publish(lake, table, day, **columns):
    n = len(next(iter(columns.values())))
    rows = {
        "dt": [day] * n,
        "user_id": [f"u{i}" for i in range(n)],
        "video_id": ["v"] * n,
        "occurred_at": [pa.scalar(0, pa.timestamp("us")).as_py()] * n,
        **columns,
    }
    table_of_rows = pa.table(rows, schema=lake.snapshot(table).schema)
    lake.publish(lake.stage(table, day, table_of_rows.to_reader()))


def samples(lake, day, clicks, watched):
    publish(lake, "training.samples", day, is_click=clicks, watch_ratio=watched)


def test_the_same_rows_made_again_have_the_same_digest_and_others_another(lake):
    samples(lake, DAY, [True, False], [0.5, None])
    first = samples_digest(lake, [DAY])

    samples(lake, DAY, [True, False], [0.5, None])
    again = samples_digest(lake, [DAY])
    samples(lake, DAY, [True, False], [0.25, None])

    assert again == first
    assert samples_digest(lake, [DAY]) != first


def test_only_the_days_that_are_asked_for_count(lake):
    samples(lake, DAY, [True, False], [0.5, None])
    first = samples_digest(lake, [DAY])

    samples(lake, NEXT, [True], [1.0])

    assert samples_digest(lake, [DAY]) == first
    assert samples_digest(lake, [DAY, NEXT]) != first


def test_without_the_table_there_is_no_digest(tmp_path):
    with pytest.raises(LakeError):
        samples_digest(Lake(tmp_path / "empty"), [DAY])


def test_the_best_reachable_values_are_those_of_the_truth(lake):
    clicks, chances = [True, True, False, False], [0.9, 0.4, 0.6, 0.1]
    samples(lake, DAY, clicks, [1.0, 0.5, None, None])
    publish(lake, "source.truth", DAY, p_click=chances, expected_watch_ratio=[0.8, 0.6, 0.5, 0.5])

    best = best_reachable(lake, [DAY])

    assert best["ctr_auc"] == auc_score(np.array(clicks, float), np.array(chances)) == 0.75
    assert best["cvr_mse"] == pytest.approx((0.2**2 + 0.1**2) / 2)


def test_a_click_without_a_watch_ratio_judges_no_cvr(lake):
    samples(lake, DAY, [True, True, False], [1.0, None, None])
    publish(lake, "source.truth", DAY, p_click=[0.9, 0.8, 0.1], expected_watch_ratio=[0.5, 0.1, 0.1])

    assert best_reachable(lake, [DAY])["cvr_mse"] == pytest.approx(0.25)
