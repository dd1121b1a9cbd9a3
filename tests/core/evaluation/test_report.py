from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from lt4rec_core.errors import QualityError
from lt4rec_core.evaluation import metrics
from lt4rec_core.evaluation.report import day_metrics

DAY = date(2026, 1, 9)
SCHEMA = pa.schema(
    [
        ("dt", pa.date32()),
        ("model", pa.string()),
        ("task", pa.string()),
        ("metric", pa.string()),
        ("slice", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("is_after_ticket_window", pa.bool_()),
    ]
)


def make_predictions(n=600, seed=0, models=("baseline", "snet"), users=60):
    generator = np.random.default_rng(seed)
    watch = generator.random(n)
    click = generator.random(n) < 0.5
    labels = {
        "is_click": click,
        "watch_ratio": pa.array(watch, mask=~click),
        "is_converted": pa.array(watch >= 0.5, mask=~click),
        "is_like": pa.array(generator.random(n) < 0.2),
    }
    key = {
        "user_id": pa.array([f"u{i}" for i in generator.integers(users, size=n)]),
        "video_id": pa.array([f"v{i}" for i in range(n)]),
        "occurred_at": pa.array([datetime(2026, 1, 9)] * n),
    }
    parts = []
    for model in models:
        p_ctr, p_cvr = (generator.uniform(0.01, 0.99, n) for _ in range(2))
        scores = {"p_ctr": p_ctr, "p_cvr": p_cvr, "p_ctcvr": p_ctr * p_cvr, "p_like": p_ctr / 2}
        parts.append(pa.table({**key, "model": pa.array([model] * n), **scores, **labels}))
    return pa.concat_tables(parts)


def measured(labels, positive, scores, users):
    return {
        "auc": metrics.auc_score(positive, scores),
        "gauc": metrics.gauc_score(positive, scores, users),
        "mse": metrics.mse_loss(labels, scores),
        "log_loss": metrics.log_loss(labels, scores),
        "pcoc": metrics.pcoc(labels, scores),
    }


def make_points(predictions, scores=None):
    """What the SQL gives, here by numpy; ``scores`` adds models: name to task to score."""
    frame = predictions.to_pylist()
    rows = []
    models = {row["model"]: None for row in frame} | (scores or {})
    for model, own in models.items():
        mine = [row for row in frame if row["model"] == (frame[0]["model"] if own else model)]
        for task in ("ctr", "cvr", "ctcvr", "like"):
            of = [row for row in mine if row["is_click"]] if task == "cvr" else mine
            labels = {
                "ctr": [float(row["is_click"]) for row in of],
                "like": [float(row["is_like"]) for row in of],
            }.get(task, [row["watch_ratio"] or 0.0 for row in of])
            positive = labels if task in ("ctr", "like") else [bool(row["is_converted"]) for row in of]
            p = [own[task](row) for row in of] if own else [row[f"p_{task}"] for row in of]
            for metric, value in measured(labels, positive, p, [row["user_id"] for row in of]).items():
                rows.append((DAY, model, task, metric, "all", value, len(of), None, None, True))
        rows.append((DAY, model, "ctr", "auc", "page=home", 0.7, 3, None, None, True))
    columns = list(zip(*rows, strict=True))
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def test_every_value_over_all_rows_gets_an_interval_around_it_and_slices_get_none():
    predictions = make_predictions()

    report = day_metrics(make_points(predictions), predictions)

    assert report.schema == SCHEMA
    for row in report.to_pylist():
        if row["slice"] == "all":
            assert row["ci_low"] < row["value"] < row["ci_high"]
        else:
            assert (row["ci_low"], row["ci_high"]) == (None, None)


def test_nothing_but_the_intervals_changes():
    predictions = make_predictions()
    points = make_points(predictions)
    kept = [name for name in SCHEMA.names if name not in ("ci_low", "ci_high")]
    assert day_metrics(points, predictions).select(kept).equals(points.select(kept))


def test_the_same_tables_give_the_same_report():
    predictions = make_predictions()
    points = make_points(predictions)
    assert day_metrics(points, predictions).equals(day_metrics(points, predictions))


def test_two_models_of_equal_scores_have_equal_intervals():
    one = make_predictions(models=("snet",))
    other = one.set_column(one.schema.get_field_index("model"), "model", pa.array(["twin"] * len(one)))
    both = pa.concat_tables([one, other])

    rows = day_metrics(make_points(both), both).to_pylist()

    ends = {m: [(r["ci_low"], r["ci_high"]) for r in rows if r["model"] == m] for m in ("snet", "twin")}
    assert ends["snet"] == ends["twin"]


def test_the_constant_has_intervals_though_it_is_not_among_the_predictions():
    predictions = make_predictions()
    constant = {
        task: (lambda row, c=c: c) for task, c in (("ctr", 0.4), ("cvr", 0.5), ("ctcvr", 0.2), ("like", 0.1))
    }

    rows = day_metrics(make_points(predictions, {"constant": constant}), predictions).to_pylist()

    mine = {(r["task"], r["metric"]): r for r in rows if r["model"] == "constant" and r["slice"] == "all"}
    assert mine["ctr", "mse"]["ci_low"] < mine["ctr", "mse"]["value"] < mine["ctr", "mse"]["ci_high"]
    assert (mine["ctr", "auc"]["ci_low"], mine["ctr", "auc"]["ci_high"]) == (0.5, 0.5)


def make_truth(predictions):
    n = len(predictions) // 2
    truth = predictions.slice(0, n).select(["user_id", "video_id", "occurred_at"])
    truth = truth.append_column("p_click", pa.array(np.linspace(0.1, 0.9, n)))
    truth = truth.append_column("expected_watch_ratio", pa.array(np.linspace(0.9, 0.1, n)))
    return pa.concat_tables([truth, truth.slice(0, 5)])  # five rows were delivered twice


def test_the_oracle_is_scored_by_the_truth_whatever_its_order_and_its_doubles():
    predictions = make_predictions()
    truth = make_truth(predictions)
    click = dict(zip(truth["video_id"].to_pylist(), truth["p_click"].to_pylist(), strict=True))
    watch = dict(zip(truth["video_id"].to_pylist(), truth["expected_watch_ratio"].to_pylist(), strict=True))
    oracle = {
        "ctr": lambda row: click[row["video_id"]],
        "cvr": lambda row: watch[row["video_id"]],
        "ctcvr": lambda row: click[row["video_id"]] * watch[row["video_id"]],
        "like": lambda row: 0.5,
    }
    points = make_points(predictions, {"oracle": oracle})
    points = points.filter(
        [
            not (m == "oracle" and t == "like")
            for m, t in zip(*map(pa.ChunkedArray.to_pylist, (points["model"], points["task"])), strict=True)
        ]
    )
    shuffled = truth.take(np.random.default_rng(0).permutation(len(truth)))

    report = day_metrics(points, predictions, shuffled)

    assert report.equals(day_metrics(points, predictions, truth))
    rows = [r for r in report.to_pylist() if (r["model"], r["slice"]) == ("oracle", "all")]
    assert all(row["ci_low"] < row["value"] < row["ci_high"] for row in rows)
    with pytest.raises(QualityError, match="no truth was handed over"):
        day_metrics(points, predictions)


def test_predictions_that_are_not_those_measured_are_refused():
    predictions = make_predictions()
    with pytest.raises(QualityError, match=r"mse of baseline for ctr|auc of baseline for ctr"):
        day_metrics(make_points(predictions), make_predictions(seed=1))


def test_a_day_of_one_class_has_no_auc_interval_but_an_mse_interval():
    predictions = make_predictions()
    never = pa.array([False] * len(predictions))
    for name in ("is_click", "is_like"):
        predictions = predictions.set_column(predictions.schema.get_field_index(name), name, never)
    for name in ("watch_ratio", "is_converted"):
        field = predictions.schema.field(name)
        predictions = predictions.set_column(
            predictions.schema.get_field_index(name), field, pa.nulls(len(predictions), field.type)
        )

    rows = day_metrics(make_points(predictions), predictions).to_pylist()

    ctr = {r["metric"]: r for r in rows if (r["model"], r["task"], r["slice"]) == ("snet", "ctr", "all")}
    assert ctr["auc"]["ci_low"] is None
    assert ctr["mse"]["ci_low"] < ctr["mse"]["ci_high"]


def test_a_day_without_rows_has_an_empty_report():
    assert day_metrics(SCHEMA.empty_table(), make_predictions().slice(0, 0)).equals(SCHEMA.empty_table())
