import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import TrainingError
from lt4rec_core.experiments.logged import Logged, logged_outcomes, ndcg
from lt4rec_core.experiments.policies import ORACLE, RANDOM, Policy

POLICY = Policy("base_ctr", "base_cvr")
NAN = math.nan
LOGGED = Logged(
    users=np.array(["a", "a", "a", "b", "b", "b"]),
    lists=np.array([0, 0, 1, 2, 2, 2]),
    seconds=np.array([10.0, 20.0, 30.0, 10.0, 10.0, 10.0]),
    clicked=np.array([True, False, True, False, True, False]),
    watch_ratio=np.array([0.5, NAN, 1.0, NAN, 0.2, NAN]),
)
TRUTH = {"p_click": np.full(6, 0.5), "expected_watch_ratio": np.array([0.4, 0.6, 0.8, 0.2, 0.2, 0.2])}


def rows(ctr, cvr):
    return {"base_ctr": {"ctr": np.array(ctr)}, "base_cvr": {"cvr": np.array(cvr)}}


def test_ndcg_is_what_its_definition_counts():
    gains, scores = np.array([3.0, 0.0, 1.0]), np.array([1.0, 3.0, 2.0])

    (found,) = ndcg(gains, scores, np.zeros(3, dtype=int), 10)

    got = 0 / math.log2(2) + 1 / math.log2(3) + 3 / math.log2(4)
    assert found == pytest.approx(got / (3 / math.log2(2) + 1 / math.log2(3)))


def test_only_the_first_k_places_count_and_the_best_order_has_one():
    gains = np.array([3.0, 1.0, 2.0, 0.0])
    lists = np.array([0, 0, 1, 2])

    assert ndcg(gains, gains, lists, 1)[:2].tolist() == [1, 1]
    assert ndcg(gains, -gains, lists, 1)[0] == pytest.approx(1 / 3)
    assert math.isnan(ndcg(gains, gains, lists, 1)[2])  # nothing watched, no order is better


def test_gauc_counts_users_of_both_classes_by_their_impressions():
    found = logged_outcomes(LOGGED, rows([0.9, 0.1, 0.8, 0.5, 0.1, 0.5], [0.5] * 6), [POLICY], 0)

    # a: both clicks above the other one; b: the click below both others.
    assert found[POLICY.name]["gauc"].value == (3 * 1 + 3 * 0) / 6


def test_cvr_is_judged_by_labels_on_clicks_and_by_the_truth_on_the_rest():
    found = logged_outcomes(
        replace(LOGGED, **TRUTH), rows([0.5] * 6, [0.5, 0.5, 0.5, 0.0, 0.0, 0.0]), [POLICY], 0
    )[POLICY.name]

    assert found["cvr_mse"].value == pytest.approx((0 + 0.25 + 0.04) / 3)
    assert found["cvr_mse_true_clicked"].value == pytest.approx((0.01 + 0.09 + 0.04) / 3)
    assert found["cvr_mse_true_not_clicked"].value == pytest.approx((0.01 + 0.04 + 0.04) / 3)


def test_without_the_truth_there_is_neither_oracle_nor_selection_error():
    found = logged_outcomes(LOGGED, rows([0.5] * 6, [0.5] * 6), [POLICY], 0)

    assert set(found) == {POLICY.name, RANDOM}
    assert set(found[POLICY.name]) == {"ndcg_at_10", "gauc", "cvr_mse"}


def test_the_truth_errs_by_nothing_and_lots_are_the_same_for_the_same_seed():
    first, again = (
        logged_outcomes(replace(LOGGED, **TRUTH), rows([0.5] * 6, [0.5] * 6), [POLICY], 3) for _ in range(2)
    )

    assert first[ORACLE]["cvr_mse_true_not_clicked"].value == 0
    assert np.array_equal(first[RANDOM]["gauc"].numerator, again[RANDOM]["gauc"].numerator)


def test_samples_without_their_key_are_refused():
    with pytest.raises(TrainingError, match="duration_ms beside the tensors, found none"):
        Logged.of(SampleSet(torch.zeros(1, 1).int(), {}, {}))
