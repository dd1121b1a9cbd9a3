from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lt4rec_core.data.snapshot import arrow_schema
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.evaluation.predictions import COPIED, predictions_table

SQL = Path(__file__).resolve().parents[3] / "sql"


@pytest.fixture(scope="module")
def declared():
    return read_sql_file(SQL / "evaluation" / "predictions.sql", table="evaluation.predictions")


@pytest.fixture
def samples(declared):
    row = {name: None for name in COPIED} | {"dt": date(2026, 1, 5), "occurred_at": datetime(2026, 1, 5, 12)}
    rows = [row | {"user_id": user, "video_id": "v", "is_click": user == "a"} for user in ("a", "b")]
    types = {field.name: field.type for field in arrow_schema(declared.columns)}
    return pa.table({name: pa.array([r[name] for r in rows], types[name]) for name in COPIED})


def scores(*, ctr, cvr, **further):
    return {name: np.array(values) for name, values in {"p_ctr": ctr, "p_cvr": cvr, **further}.items()}


def test_each_model_scores_each_sample_once_models_in_alphabetical_order(declared, samples):
    scored = [
        ("snet", scores(ctr=[0.1, 0.2], cvr=[0.3, 0.4]), "d1"),
        ("baseline", scores(ctr=[0.5, 0.6], cvr=[0.7, 0.8]), "d2"),
    ]

    rows = predictions_table(declared, samples, scored).to_pylist()

    assert [(r["model"], r["user_id"], r["p_ctr"], r["model_digest"]) for r in rows] == [
        ("baseline", "a", 0.5, "d2"),
        ("baseline", "b", 0.6, "d2"),
        ("snet", "a", 0.1, "d1"),
        ("snet", "b", 0.2, "d1"),
    ]


def test_ctcvr_is_ctr_times_cvr(declared, samples):
    table = predictions_table(declared, samples, [("snet", scores(ctr=[0.5, 0.2], cvr=[0.5, 1.0]), "d")])

    assert table["p_ctcvr"].to_pylist() == [0.25, 0.2]


def test_what_is_no_task_stays_null_and_what_is_one_is_filled(declared, samples):
    table = predictions_table(
        declared, samples, [("snet", scores(ctr=[0.5, 0.5], cvr=[0.5, 0.5], p_like=[0.1, 0.2]), "d")]
    )

    assert table["p_like"].to_pylist() == [0.1, 0.2]
    assert table["p_follow"].null_count == 2


def test_the_columns_are_those_the_header_declares(declared, samples):
    table = predictions_table(declared, samples, [("snet", scores(ctr=[0.5, 0.5], cvr=[0.5, 0.5]), "d")])

    assert table.schema.equals(arrow_schema(declared.columns))
