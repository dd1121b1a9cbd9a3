import math
import time
from statistics import NormalDist

import numpy as np
import pytest

from lt4rec_core.evaluation import metrics
from lt4rec_core.evaluation.uncertainty import METRICS, ScoredRows, user_intervals


def scored(rng, n_users=150, n_each=5, clustering=0.0):
    """Rows of known truth: positives score N(1, 1), negatives N(0, 1), errors shared within a user."""
    users = np.repeat(np.arange(n_users), n_each)
    is_positive = rng.random(n_users * n_each) < 0.4
    noise = rng.normal(size=len(users)) * math.sqrt(1 - clustering)
    noise += rng.normal(size=n_users)[users] * math.sqrt(clustering)
    return ScoredRows(is_positive + noise, is_positive.astype(float), is_positive, users)


TRUTH = {"auc": NormalDist().cdf(1 / math.sqrt(2)), "mse": 1.0}


def coverage(metric, clustering, n_data_sets=200):
    covered = 0
    for i in range(n_data_sets):
        rows = scored(np.random.default_rng(i), clustering=clustering)
        interval = user_intervals(rows, np.random.default_rng(1000 + i), n_replicates=200)[metric]
        covered += interval.low <= TRUTH[metric] <= interval.high
    return covered / n_data_sets


@pytest.mark.parametrize("clustering", [0.0, 0.3])
@pytest.mark.parametrize("metric", ["auc", "mse"])
def test_about_95_of_100_intervals_hold_the_true_value(metric, clustering):
    # 200 data sets: a true coverage of 0.95 shows up within 0.90 … 0.99 in all but one of a thousand draws.
    assert 0.90 <= coverage(metric, clustering) <= 0.99


def test_rows_that_resemble_their_users_other_rows_widen_the_interval():
    def width(clustering):
        rows = scored(np.random.default_rng(0), n_users=200, clustering=clustering)
        interval = user_intervals(rows, np.random.default_rng(1))["mse"]
        return interval.high - interval.low

    assert width(0.9) > 1.5 * width(0.0)


def test_weights_of_one_give_the_plain_metrics():
    rows = scored(np.random.default_rng(0))

    plain = rows.weighted(np.ones(rows.n_users, dtype=np.int64))

    assert plain["auc"] == metrics.auc_score(rows.labels, rows.scores)
    assert plain["gauc"] == pytest.approx(metrics.gauc_score(rows.labels, rows.scores, rows.users), abs=1e-14)
    assert plain["mse"] == pytest.approx(metrics.mse_loss(rows.labels, rows.scores), abs=1e-14)
    assert plain["log_loss"] == pytest.approx(metrics.log_loss(rows.labels, rows.scores), abs=1e-14)
    assert plain["pcoc"] == pytest.approx(metrics.pcoc(rows.labels, rows.scores), abs=1e-14)


def test_a_user_drawn_twice_counts_as_two_users_with_the_same_rows():
    rows = scored(np.random.default_rng(0), n_users=5)
    weights = np.array([2, 0, 1, 1, 1])
    kept = np.concatenate([np.flatnonzero(rows.users == user) for user in (0, 0, 2, 3, 4)])
    copies = np.repeat(np.arange(5), 5)

    drawn = rows.weighted(weights)

    labels, scores = rows.labels[kept], rows.scores[kept]
    assert drawn["auc"] == pytest.approx(metrics.auc_score(labels, scores), abs=1e-14)
    assert drawn["gauc"] == pytest.approx(metrics.gauc_score(labels, scores, copies), abs=1e-14)
    assert drawn["mse"] == pytest.approx(metrics.mse_loss(labels, scores), abs=1e-14)
    assert drawn["log_loss"] == pytest.approx(metrics.log_loss(labels, scores), abs=1e-14)
    assert drawn["pcoc"] == pytest.approx(metrics.pcoc(labels, scores), abs=1e-14)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    rows = scored(np.random.default_rng(0))

    first, again, other = (user_intervals(rows, np.random.default_rng(seed)) for seed in (7, 7, 8))

    assert first == again
    assert first["auc"] != other["auc"]


def test_an_interval_over_all_users_holds_the_measured_value():
    rows = scored(np.random.default_rng(0))
    measured = rows.weighted(np.ones(rows.n_users, dtype=np.int64))
    intervals = user_intervals(rows, np.random.default_rng(0))
    for metric in METRICS:
        assert intervals[metric].low < measured[metric] < intervals[metric].high


@pytest.mark.parametrize("n_users", [0, 1])
def test_fewer_than_two_users_have_no_interval(n_users):
    rows = scored(np.random.default_rng(0), n_users=n_users)
    assert all(
        math.isnan(interval.low) for interval in user_intervals(rows, np.random.default_rng(0)).values()
    )


def test_one_class_has_an_mse_interval_but_no_auc_interval():
    users = np.arange(20)
    rows = ScoredRows(users / 20, np.zeros(20), np.zeros(20, dtype=bool), users)

    intervals = user_intervals(rows, np.random.default_rng(0))

    assert math.isnan(intervals["auc"].low)
    assert math.isnan(intervals["pcoc"].high)
    assert 0 < intervals["mse"].low < intervals["mse"].high


def test_a_day_of_30000_rows_takes_well_under_a_second():
    rows = scored(np.random.default_rng(0), n_users=3000, n_each=10)
    started = time.process_time()
    user_intervals(rows, np.random.default_rng(0), n_replicates=200)
    assert time.process_time() - started < 1.0
