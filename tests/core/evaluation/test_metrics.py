import math

import numpy as np
import pytest
import sklearn.metrics

from lt4rec_core.evaluation import metrics


def auc_by_counting_pairs(labels, scores, weights=None):
    weights = np.ones(len(labels)) if weights is None else weights
    won, pairs = 0.0, 0.0
    for i in np.flatnonzero(labels):
        for j in np.flatnonzero(np.logical_not(labels)):
            pairs += weights[i] * weights[j]
            won += weights[i] * weights[j] * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
    return won / pairs


@pytest.fixture(params=["all scores differ", "many ties"])
def rows(request):
    rng = np.random.default_rng(3)
    scores = rng.random(200)
    if request.param == "many ties":
        scores = np.round(scores, 1)
    labels = rng.random(200) < scores
    return labels, scores


def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    assert metrics.auc_score(*rows) == pytest.approx(auc_by_counting_pairs(*rows), abs=1e-14)


def test_auc_agrees_with_scikit_learn(rows):
    assert metrics.auc_score(*rows) == pytest.approx(sklearn.metrics.roc_auc_score(*rows), abs=1e-14)


def test_a_weight_of_k_equals_k_copies_of_the_row(rows):
    labels, scores = rows
    weights = np.random.default_rng(5).integers(0, 4, len(labels))

    copies = metrics.auc_score(np.repeat(labels, weights), np.repeat(scores, weights))

    assert metrics.auc_score(labels, scores, weights) == copies


def test_fractional_weights_weigh_the_pairs(rows):
    labels, scores = rows
    weights = np.random.default_rng(5).random(len(labels))
    expected = auc_by_counting_pairs(labels, scores, weights)
    assert metrics.auc_score(labels, scores, weights) == pytest.approx(expected, abs=1e-13)


def test_auc_does_not_depend_on_the_order_of_the_rows_in_a_single_bit(rows):
    labels, scores = rows
    shuffle = np.random.default_rng(1).permutation(len(labels))
    assert metrics.auc_score(labels[shuffle], scores[shuffle]) == metrics.auc_score(labels, scores)


def test_auc_of_equal_scores_is_one_half():
    assert metrics.auc_score([0, 1, 1], [0.3, 0.3, 0.3]) == 0.5


@pytest.mark.parametrize("labels", [[1, 1], [0, 0], []])
def test_auc_of_a_single_class_is_nan(labels):
    scores = [0.1, 0.2][: len(labels)]
    assert math.isnan(metrics.auc_score(labels, scores))
    assert math.isnan(metrics.auc_score(labels, scores, np.ones(len(labels))))


def test_auc_is_nan_when_the_weights_leave_one_class():
    assert math.isnan(metrics.auc_score([0, 1], [0.1, 0.2], [0, 1]))


def test_a_soft_label_has_no_auc():
    with pytest.raises(ValueError, match=r"labels that are 0 or 1, found 0\.4"):
        metrics.auc_score([0, 1, 0.4], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    "metric", [metrics.auc_score, metrics.mse_loss, metrics.log_loss, metrics.pcoc], ids=lambda m: m.__name__
)
def test_a_nan_score_makes_the_metric_nan(metric):
    assert math.isnan(metric([0, 1, 1], [0.1, math.nan, 0.9]))


def test_a_nan_score_makes_gauc_nan():
    assert math.isnan(metrics.gauc_score([0, 1, 1], [0.1, math.nan, 0.9], ["a", "a", "a"]))


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length, got 2 and 3"):
        metrics.mse_loss([0, 1], [0.1, 0.2, 0.3])


def test_gauc_weighs_each_user_by_impressions_and_leaves_out_users_of_one_class():
    users = ["a", "b", "a", "b", "a", "c"]
    labels = [0, 1, 1, 0, 0, 1]
    scores = [0.1, 0.2, 0.6, 0.9, 0.8, 0.5]
    # a: 3 rows, positive 0.6 beats 0.1 and loses to 0.8 -> 1/2; b: 2 rows -> 0; c has one class.
    assert metrics.gauc_score(labels, scores, users) == pytest.approx((3 * 0.5 + 2 * 0.0) / 5)


def test_gauc_equals_auc_computed_user_by_user(rows):
    labels, scores = rows
    users = np.random.default_rng(8).integers(0, 30, len(labels))
    total, weight = 0.0, 0
    for user in np.unique(users):
        mine = users == user
        if 0 < labels[mine].sum() < mine.sum():
            total += mine.sum() * auc_by_counting_pairs(labels[mine], scores[mine])
            weight += mine.sum()
    assert metrics.gauc_score(labels, scores, users) == pytest.approx(total / weight, abs=1e-13)


@pytest.mark.parametrize(("labels", "scores", "users"), [([1, 0], [0.1, 0.2], ["a", "b"]), ([], [], [])])
def test_gauc_is_nan_without_a_user_of_both_classes(labels, scores, users):
    assert math.isnan(metrics.gauc_score(labels, scores, users))


def test_mse_and_log_loss_agree_with_scikit_learn(rows):
    labels, scores = rows
    scores = np.clip(scores, 0.01, 0.99)
    assert metrics.mse_loss(labels, scores) == pytest.approx(
        sklearn.metrics.mean_squared_error(labels, scores)
    )
    assert metrics.log_loss(labels, scores) == pytest.approx(sklearn.metrics.log_loss(labels, scores))


def test_losses_take_soft_labels():
    assert metrics.mse_loss([0.5], [0.3]) == pytest.approx(0.04)
    assert metrics.log_loss([0.25], [0.5]) == pytest.approx(math.log(2))


def test_a_certain_and_wrong_prediction_has_a_large_but_finite_log_loss():
    assert metrics.log_loss([1], [0]) == pytest.approx(-math.log(1e-7))


def test_pcoc_is_predicted_over_observed():
    assert metrics.pcoc([1, 0, 1, 0], [0.9, 0.6, 0.9, 0.6]) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "metric", [metrics.mse_loss, metrics.log_loss, metrics.pcoc], ids=lambda m: m.__name__
)
def test_a_mean_of_no_rows_is_nan(metric):
    assert math.isnan(metric([], []))


def test_pcoc_is_nan_when_nothing_was_observed():
    assert math.isnan(metrics.pcoc([0, 0], [0.1, 0.2]))


def test_calibration_bins_hold_equally_many_rows_in_order_of_score():
    table = metrics.calibration_table([0, 1, 0, 1, 1], [0.5, 0.4, 0.1, 0.9, 0.2], n_bins=2)

    # Bins of 3 and 2: scores 0.1, 0.2, 0.4 with labels 0, 1, 1, then 0.5, 0.9 with labels 0, 1.
    np.testing.assert_allclose(table.predicted, [0.7 / 3, 0.7])
    np.testing.assert_allclose(table.actual, [2 / 3, 0.5])
    np.testing.assert_array_equal(table.n, [3, 2])


def test_calibration_of_fewer_rows_than_bins_has_one_bin_per_row():
    assert len(metrics.calibration_table([0, 1], [0.1, 0.2]).n) == 2
    assert len(metrics.calibration_table([], []).n) == 0
