"""A day's metrics: the exact values that SQL computed, with intervals over users beside them."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lt4rec_core.errors import QualityError
from lt4rec_core.evaluation.metrics import Floats
from lt4rec_core.evaluation.uncertainty import Interval, ScoredRows, user_intervals

KEY = ("user_id", "video_id", "occurred_at")
"""What names an impression."""

LARGEST_DISAGREEMENT = 1e-9
"""SQL and numpy agree to about 1e-12; a larger difference means that they measured different rows."""


def day_metrics(
    points: pa.Table, predictions: pa.Table, truth: pa.Table | None = None, n_replicates: int = 200
) -> pa.Table:
    """Add 95 % intervals over users to the rows of slice ``all``.

    Same tables, same result: the draws are seeded by the day, so models and tasks meet the same users' draws.

    Args:
        points: what ``sql/evaluation/daily_metrics.sql`` gives for the day; empty intervals.
        predictions: ``evaluation.predictions`` of the day, ordered by its key.
        truth: ``source.truth`` of the day; needed when ``points`` hold an oracle.
        n_replicates: how many times the users are drawn.

    Returns:
        ``points`` with ``ci_low`` and ``ci_high`` filled in, in the schema of ``evaluation.daily_metrics``.

    Raises:
        QualityError: the predictions do not give the values in ``points``.
    """
    measured = points.to_pylist()
    values = {
        (row["model"], row["task"], row["metric"]): row["value"] for row in measured if row["slice"] == "all"
    }
    intervals: dict[tuple[str, str, str], Interval] = {}
    for model, task, rows in _scored_rows(values, predictions, truth):
        _check_agreement(model, task, rows, values)
        generator = np.random.default_rng(_seed(measured[0]["dt"]))
        for metric, interval in user_intervals(rows, generator, n_replicates).items():
            intervals[model, task, metric] = interval

    nothing = Interval(float("nan"), float("nan"))
    ends = [
        intervals.get((row["model"], row["task"], row["metric"]), nothing)
        if row["slice"] == "all"
        else nothing
        for row in measured
    ]
    for name, column in (("ci_low", [e.low for e in ends]), ("ci_high", [e.high for e in ends])):
        # from_pandas: NaN, an interval that does not exist, becomes NULL.
        array = pa.array(np.array(column, dtype=np.float64), from_pandas=True)
        points = points.set_column(points.schema.get_field_index(name), points.schema.field(name), array)
    return points


def _scored_rows(
    values: dict[tuple[str, str, str], float | None], predictions: pa.Table, truth: pa.Table | None
) -> Iterator[tuple[str, str, ScoredRows]]:
    """Each measured (model, task) with its rows."""
    tasks: dict[str, list[str]] = {}
    for model, task, metric in values:
        if metric == "mse":
            tasks.setdefault(model, []).append(task)

    impressions = _of_model(predictions, predictions["model"][0].as_py()) if len(predictions) else predictions
    for model in tasks:
        if model == "oracle":
            scored = _with_truth(impressions, truth)
        elif model == "constant":
            scored = impressions
        else:
            scored = _of_model(predictions, model)
        for task in tasks[model]:
            constant = values[model, task, "pcoc"] if model == "constant" else None
            if model == "constant" and constant is None:
                continue  # Nothing was observed, so the constant cannot be told from its calibration.
            yield model, task, _rows_of_task(scored, task, constant)


def _of_model(predictions: pa.Table, model: str) -> pa.Table:
    return predictions.filter(pc.equal(predictions["model"], model))


def _with_truth(impressions: pa.Table, truth: pa.Table | None) -> pa.Table:
    """The impressions whose true probabilities are known, with these as their scores."""
    if truth is None:
        raise QualityError(
            "the day's metrics hold an oracle, but no truth was handed over for its intervals. "
            "Pass source.truth of the day to day_metrics."
        )
    known = truth.group_by(list(KEY)).aggregate([("p_click", "min"), ("expected_watch_ratio", "min")])
    scored = impressions.drop_columns(["p_ctr", "p_cvr", "p_ctcvr"]).join(known, list(KEY), join_type="inner")
    scored = scored.sort_by([(name, "ascending") for name in KEY])
    click, watch = scored["p_click_min"], scored["expected_watch_ratio_min"]
    for name, column in (("p_ctr", click), ("p_cvr", watch), ("p_ctcvr", pc.multiply(click, watch))):
        scored = scored.append_column(name, column)
    return scored


def _rows_of_task(scored: pa.Table, task: str, calibration: float | None) -> ScoredRows:
    """The task's rows, scores and labels; a constant's score is its calibration times the mean label."""
    if task == "cvr":
        scored = scored.filter(scored["is_click"])
        label, positive = scored["watch_ratio"], scored["is_converted"]
    elif task == "ctcvr":
        label, positive = scored["watch_ratio"].fill_null(0.0), scored["is_converted"].fill_null(False)
    else:
        name = "is_click" if task == "ctr" else f"is_{task}"
        scored = scored.filter(pc.is_valid(scored[name]))
        label = positive = scored[name]

    labels = _numbers(label)
    scores = _numbers(scored[f"p_{task}"]) if calibration is None else np.full(len(labels), calibration)
    if calibration is not None:
        scores = scores * labels.mean()
    users = scored["user_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    return ScoredRows(scores, labels, _numbers(positive) == 1, users)


def _numbers(column: pa.ChunkedArray) -> Floats:
    return column.cast(pa.float64()).to_numpy()


def _check_agreement(
    model: str, task: str, rows: ScoredRows, values: dict[tuple[str, str, str], float | None]
) -> None:
    """An interval belongs to the value beside it only if both come from the same rows."""
    for metric, ours in rows.weighted(np.ones(rows.n_users, dtype=np.int64)).items():
        value = values.get((model, task, metric))
        theirs = float("nan") if value is None else value
        if not np.isclose(ours, theirs, rtol=LARGEST_DISAGREEMENT, atol=LARGEST_DISAGREEMENT, equal_nan=True):
            raise QualityError(
                f"{metric} of {model} for {task} is {theirs} in the measured rows, but the predictions for "
                f"its interval give {ours}. Are both of the same day and the same table version?"
            )


def _seed(day: date) -> int:
    return day.toordinal()
