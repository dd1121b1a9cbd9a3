"""sql/evaluation: metrics one can count by hand, and the same numbers as numpy's on many rows."""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import SqlFileError
from lt4rec_core.evaluation import metrics

SQL = Path(__file__).resolve().parents[2] / "sql"
DAY = date(2026, 1, 9)
METRICS = ("auc", "gauc", "mse", "log_loss", "pcoc")


class Evaluation:
    """A lake with predictions of one day, and what the SQL makes of them."""

    def __init__(self, home):
        self.lake, self.source = Lake(home), load_source(SQL, "simulator")
        fragments = self.source.catalogue.fragments()
        paths = [
            SQL / "evaluation" / f"{name}.sql" for name in ("predictions", "daily_metrics", "calibration")
        ]
        paths += [SQL / "training" / "samples.sql", SQL / "features" / "user_features.sql"]
        paths += [self.source.folder / "truth.sql"]
        self.files = {f.table: f for f in (read_sql_file(path, fragments=fragments) for path in paths)}
        self.lake.create(self.files.values())

    def put(self, table, rows, day=DAY):
        schema = self.lake.snapshot(table).schema
        rows = pa.Table.from_pylist([{"dt": day, **row} for row in rows], schema=schema)
        self.lake.publish(self.lake.stage(table, day, rows.to_reader()))

    def run(self, table, threads=1, ticket_window_end=DAY):
        params = {"ticket_window_end": ticket_window_end}
        staged = run_sql(
            self.lake, self.source, self.files[f"evaluation.{table}"], DAY, params, threads=threads
        )
        rows = pq.read_table(staged.path)
        self.lake.discard(staged)
        return rows

    def values(self, model, task, slice_="all"):
        """Metric to (value, n)."""
        return {
            row["metric"]: (row["value"], row["n"])
            for row in self.run("daily_metrics").to_pylist()
            if (row["model"], row["task"], row["slice"]) == (model, task, slice_)
        }


@pytest.fixture
def evaluation(tmp_path):
    return Evaluation(tmp_path)


def impression(user, video, watched=None, **more):
    """One impression; ``watched`` is the watch ratio of a click, None without one."""
    clicked = watched is not None
    row = {"user_id": user, "video_id": video, "occurred_at": datetime(2026, 1, 9, 12), "page": "home"}
    row |= {"duration_ms": 20_000, "is_new_user": False, "is_new_video": False, "is_click": clicked}
    row |= {"watch_ratio": watched, "is_converted": watched >= 0.5 if clicked else None}
    return row | more


IMPRESSIONS = [
    impression("u1", "v1", 0.8),
    impression("u1", "v2"),
    impression("u1", "v3", 0.2),
    impression("u2", "v1", page=None, is_new_user=True),
    impression("u2", "v2", 1.0, is_new_user=True),
    impression("u3", "v1", duration_ms=500_000),
]
P_CTR = [0.9, 0.4, 0.4, 0.5, 0.6, 0.1]
P_CVR = [0.7, 0.5, 0.3, 0.5, 0.5, 0.5]


def predictions(rows=IMPRESSIONS, p_ctr=P_CTR, p_cvr=P_CVR, model="snet", **more):
    return [
        {**row, "model": model, "p_ctr": a, "p_cvr": b, "p_ctcvr": a * b, "model_digest": "digest", **more}
        for row, a, b in zip(rows, p_ctr, p_cvr, strict=True)
    ]


def test_ctr_is_measured_on_all_impressions(evaluation):
    evaluation.put("evaluation.predictions", predictions())

    values = evaluation.values("snet", "ctr")

    # Clicked score 0.9, 0.4, 0.6; others 0.4, 0.5, 0.1: 3 + (1/2 + 0 + 1) + 3 pairs of 9 are in order.
    assert values["auc"] == (pytest.approx(7.5 / 9, abs=1e-15), 6)
    # u1: 0.9 and 0.4 against 0.4, 1.5 of 2 pairs; u2: 0.6 against 0.5; u3 has one class.
    assert values["gauc"] == (pytest.approx((3 * 0.75 + 2 * 1) / 5, abs=1e-15), 5)
    squared = 0.1**2 + 0.4**2 + 0.6**2 + 0.5**2 + 0.4**2 + 0.1**2
    assert values["mse"] == (pytest.approx(squared / 6, abs=1e-15), 6)
    entropy = -np.log([0.9, 0.6, 0.4, 0.5, 0.6, 0.9]).sum()
    assert values["log_loss"] == (pytest.approx(entropy / 6, abs=1e-15), 6)
    assert values["pcoc"] == (pytest.approx(2.9 / 3, abs=1e-15), 6)


def test_cvr_is_measured_on_clicks_softly_and_ranked_by_conversion(evaluation):
    evaluation.put("evaluation.predictions", predictions())

    values = evaluation.values("snet", "cvr")

    # Watch ratios 0.8, 0.2, 1.0 predicted as 0.7, 0.3, 0.5; converted are the first and the last.
    assert values["mse"] == (pytest.approx((0.1**2 + 0.1**2 + 0.5**2) / 3, abs=1e-15), 3)
    assert values["pcoc"] == (pytest.approx(1.5 / 2.0, abs=1e-15), 3)
    assert values["auc"] == (1.0, 3)
    assert values["gauc"] == (1.0, 2)


def test_ctcvr_is_measured_on_all_impressions_against_click_times_watch_ratio(evaluation):
    evaluation.put("evaluation.predictions", predictions())

    values = evaluation.values("snet", "ctcvr")

    products = np.multiply(P_CTR, P_CVR)
    labels = np.array([0.8, 0, 0.2, 0, 1.0, 0])
    assert values["mse"] == (pytest.approx(((products - labels) ** 2).mean(), abs=1e-15), 6)
    # Converted score 0.63 and 0.30; others 0.20, 0.12, 0.25, 0.05.
    assert values["auc"] == (1.0, 6)


def test_slices_hold_their_own_impressions(evaluation):
    evaluation.put("evaluation.predictions", predictions())
    known = [("u1", 9), ("u2", 0), ("nobody", 99)]
    evaluation.put("features.user_features", [{"user_id": u, "n_impressions_7d": n} for u, n in known])
    rows = evaluation.run("daily_metrics").to_pylist()
    assert {row["slice"]: row["n"] for row in rows if (row["task"], row["metric"]) == ("ctr", "mse")} == {
        "all": 6,
        "is_new_user=false": 4,
        "is_new_user=true": 2,
        "is_new_video=false": 6,
        "page=home": 5,
        "page=unknown": 1,
        "duration=15 to 60 s": 5,
        "duration=from 3 min": 1,
        "activity=0": 3,  # u2 had no impression, and u3 is not known at all
        "activity=1 to 9": 3,
    }
    assert evaluation.values("snet", "ctr", "is_new_user=true")["auc"] == (1.0, 2)


def test_activity_is_counted_in_the_seven_days_before(evaluation):
    edges = [0, 1, 9, 10, 49, 50, 5000]
    rows = [impression(f"u{n}", "v") for n in edges]
    evaluation.put("evaluation.predictions", predictions(rows, [0.5] * 7, [0.5] * 7))
    evaluation.put("features.user_features", [{"user_id": f"u{n}", "n_impressions_7d": n} for n in edges])
    day_before = [{"user_id": "u0", "n_impressions_7d": 99}]
    evaluation.put("features.user_features", day_before, DAY - timedelta(days=1))

    found = {
        row["slice"]: row["n"]
        for row in evaluation.run("daily_metrics").to_pylist()
        if row["slice"].startswith("activity") and (row["task"], row["metric"]) == ("ctr", "mse")
    }

    assert found == {"activity=0": 1, "activity=1 to 9": 2, "activity=10 to 49": 2, "activity=from 50": 2}


def test_what_the_rows_do_not_define_is_null(evaluation):
    evaluation.put("evaluation.predictions", predictions()[1:2])

    values = evaluation.values("snet", "ctr")

    assert values["auc"] == (None, 1)
    assert values["gauc"] == (None, 0)
    assert values["pcoc"] == (None, 1)
    assert values["mse"] == (pytest.approx(0.16), 1)
    assert evaluation.values("snet", "cvr") == {}


def test_the_constant_is_the_mean_label_of_the_seven_days_before(evaluation):
    evaluation.put("evaluation.predictions", predictions())
    evaluation.put("training.samples", IMPRESSIONS)  # the day itself: must not count
    evaluation.put(
        "training.samples", [impression("a", "b", 0.6)] * 3 + [impression("c", "d")], DAY - timedelta(days=1)
    )
    evaluation.put("training.samples", [impression("c", "d")], DAY - timedelta(days=7))
    evaluation.put("training.samples", [impression("a", "b", 0.6)] * 99, DAY - timedelta(days=8))

    ctr, cvr, ctcvr = (evaluation.values("constant", task) for task in ("ctr", "cvr", "ctcvr"))

    # Three clicks of five, watched to 0.6.
    assert ctr["pcoc"] == (pytest.approx(6 * 0.6 / 3, abs=1e-15), 6)
    assert ctr["auc"] == (0.5, 6)
    assert cvr["mse"] == (pytest.approx((0.2**2 + 0.4**2 + 0.4**2) / 3, abs=1e-15), 3)
    assert ctcvr["pcoc"] == (pytest.approx(6 * 0.36 / 2.0, abs=1e-15), 6)


def test_days_before_without_a_click_give_no_constant_of_cvr_and_one_of_zero_for_ctcvr(evaluation):
    evaluation.put("evaluation.predictions", predictions())
    evaluation.put("training.samples", [impression("c", "d")] * 3, DAY - timedelta(days=1))

    assert evaluation.values("constant", "cvr") == {}
    assert evaluation.values("constant", "ctr")["mse"] == (0.5, 6)
    ctcvr = evaluation.values("constant", "ctcvr")
    assert ctcvr["pcoc"] == (0.0, 6)
    assert ctcvr["mse"] == (pytest.approx((0.8**2 + 0.2**2 + 1) / 6, abs=1e-15), 6)
    assert evaluation.values("snet", "cvr")["auc"] == (1.0, 3)


def test_the_oracle_is_the_truth_even_where_a_row_was_delivered_twice(evaluation):
    evaluation.put("evaluation.predictions", predictions() + predictions(model="baseline"))
    truth = [
        {
            **{k: row[k] for k in ("user_id", "video_id", "occurred_at")},
            "p_click": p,
            "expected_watch_ratio": 0.5,
        }
        for row, p in zip(IMPRESSIONS, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0], strict=True)
    ]
    evaluation.put("source.truth", [*truth, truth[0]])

    assert evaluation.values("oracle", "ctr")["mse"] == (0.0, 6)
    assert evaluation.values("oracle", "ctr")["auc"] == (1.0, 6)
    assert evaluation.values("oracle", "cvr")["mse"] == (
        pytest.approx((0.3**2 * 2 + 0.5**2) / 3, abs=1e-15),
        3,
    )


def test_there_is_neither_constant_without_a_past_nor_oracle_without_a_truth(evaluation):
    evaluation.put("evaluation.predictions", predictions())
    assert set(evaluation.run("daily_metrics")["model"].to_pylist()) == {"snet"}


def test_a_further_task_is_measured_once_it_is_predicted(evaluation):
    liked = [{**row, "is_like": i == 0} for i, row in enumerate(IMPRESSIONS)]
    evaluation.put("training.samples", liked, DAY - timedelta(days=1))
    evaluation.put("evaluation.predictions", predictions(liked))
    assert "like" not in evaluation.run("daily_metrics")["task"].to_pylist()

    evaluation.put("evaluation.predictions", predictions(liked, p_like=0.25))

    assert evaluation.values("snet", "like")["pcoc"] == (pytest.approx(1.5), 6)
    assert evaluation.values("constant", "like")["pcoc"] == (pytest.approx(1.0), 6)


def test_days_after_the_ticket_window_are_marked(evaluation):
    evaluation.put("evaluation.predictions", predictions())
    for end, expected in ((DAY, False), (DAY - timedelta(days=1), True)):
        rows = evaluation.run("daily_metrics", ticket_window_end=end)
        assert set(rows["is_after_ticket_window"].to_pylist()) == {expected}


def test_a_day_without_predictions_has_no_metrics(evaluation):
    assert len(evaluation.run("daily_metrics")) == 0
    assert len(evaluation.run("calibration")) == 0


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None])
def test_a_score_that_is_no_number_is_an_error_and_not_left_out(evaluation, score):
    evaluation.put(
        "evaluation.predictions",
        predictions(p_ctr=[score, *P_CTR[1:]])
        if score is not None
        else [{**row, "p_ctr": None} for row in predictions()],
    )
    with pytest.raises(SqlFileError, match="missing, NaN or infinite p_ct"):
        evaluation.run("daily_metrics")


def many(n=3000, seed=0, digits=2):
    """Impressions with ties, and both models' scores."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        watched = round(float(generator.random()), 3) if generator.random() < 0.4 else None
        more = {"page": str(generator.integers(3)), "duration_ms": int(generator.integers(1, 400_000))}
        rows.append(impression(f"u{generator.integers(n // 10)}", f"v{i}", watched, **more))
    scored = []
    for model in ("baseline", "snet"):
        p_ctr, p_cvr = (np.round(generator.random(n), digits).tolist() for _ in range(2))
        scored += predictions(rows, p_ctr, p_cvr, model)
    return scored


@pytest.mark.parametrize("digits", [2, 17])
def test_sql_and_numpy_agree_to_1e_12(evaluation, digits):
    rows = many(digits=digits)
    evaluation.put("evaluation.predictions", rows)
    found = {
        (row["model"], row["task"], row["metric"]): row["value"]
        for row in evaluation.run("daily_metrics").to_pylist()
        if row["slice"] == "all"
    }

    for model in ("baseline", "snet"):
        mine = [row for row in rows if row["model"] == model]
        clicks = [row for row in mine if row["is_click"]]
        cases = {
            "ctr": (mine, "p_ctr", [row["is_click"] for row in mine], [row["is_click"] for row in mine]),
            "cvr": (
                clicks,
                "p_cvr",
                [row["watch_ratio"] for row in clicks],
                [row["is_converted"] for row in clicks],
            ),
            "ctcvr": (
                mine,
                "p_ctcvr",
                [row["watch_ratio"] or 0 for row in mine],
                [bool(row["is_converted"]) for row in mine],
            ),
        }
        for task, (of, column, labels, positive) in cases.items():
            scores, users = [row[column] for row in of], [row["user_id"] for row in of]
            expected = {
                "auc": metrics.auc_score(positive, scores),
                "gauc": metrics.gauc_score(positive, scores, users),
                "mse": metrics.mse_loss(labels, scores),
                "log_loss": metrics.log_loss(labels, scores),
                "pcoc": metrics.pcoc(labels, scores),
            }
            for metric, value in expected.items():
                assert found.pop((model, task, metric)) == pytest.approx(value, rel=0, abs=1e-12)
    assert found == {}


@pytest.mark.parametrize("table", ["daily_metrics", "calibration"])
def test_rows_do_not_depend_on_threads_or_on_the_order_of_the_predictions(evaluation, table):
    rows = many(digits=17)
    evaluation.put("evaluation.predictions", rows)
    first = evaluation.run(table, threads=1)

    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    evaluation.put("evaluation.predictions", shuffled)

    assert evaluation.run(table, threads=4).equals(first)


def test_calibration_agrees_with_numpy(evaluation):
    rows = many(n=1003)
    evaluation.put("evaluation.predictions", rows)

    found = [
        r for r in evaluation.run("calibration").to_pylist() if (r["model"], r["task"]) == ("snet", "ctr")
    ]

    key = ("user_id", "video_id", "occurred_at")
    mine = sorted((row for row in rows if row["model"] == "snet"), key=lambda row: [row[k] for k in key])
    expected = metrics.calibration_table([row["is_click"] for row in mine], [row["p_ctr"] for row in mine])
    assert [row["decile"] for row in found] == list(range(1, 11))
    np.testing.assert_allclose([row["predicted"] for row in found], expected.predicted, rtol=0, atol=1e-12)
    np.testing.assert_allclose([row["actual"] for row in found], expected.actual, rtol=0, atol=1e-12)
    np.testing.assert_array_equal([row["n"] for row in found], expected.n)
