import math

import numpy as np
import pytest

from lt4rec_core.errors import TrainingError
from lt4rec_core.experiments.ratios import Ratio, by_metric, compare_policies


def ratio(shift=0.0, users=("a", "b", "a", "c")):
    return Ratio.of(users, np.array([1.0, 2.0, 3.0, 4.0]) + shift, [1, 1, 1, 2])


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    found = ratio()

    assert found.users.tolist() == ["a", "b", "c"]
    assert found.numerator.tolist() == [4, 2, 4]
    assert found.value == 10 / 5


def test_nothing_counted_is_no_value():
    assert math.isnan(Ratio.of(["a"], [0.0], [0.0]).value)


def test_a_user_who_is_drawn_twice_counts_twice():
    everyone = np.array(["a", "b", "c", "d"])
    draws = np.array([[1, 1, 1, 0], [2, 0, 0, 5], [0, 0, 0, 4]])

    found = ratio().replicates(everyone, draws)

    assert found[:2].tolist() == [10 / 5, 8 / 4]
    assert math.isnan(found[2])


def test_the_reference_differs_from_itself_by_nothing():
    measured = {"m": {"base": {0: ratio(), 1: ratio(1)}, "twin": {0: ratio(), 1: ratio(1)}}}

    for row in compare_policies(measured, "base"):
        assert (row.difference, row.ci_low, row.ci_high) == (0, 0, 0)
        assert (row.user_low, row.user_high) == (0, 0)
        assert row.p_value == 1
        assert row.value_low <= row.value <= row.value_high


def test_differences_are_paired_by_seed():
    # From seed to seed the values move by 4/5, between the policies always by 4 * 0.5 / 5.
    measured = {"m": {"base": {0: ratio(), 1: ratio(1)}, "better": {0: ratio(0.5), 1: ratio(1.5)}}}

    better = compare_policies(measured, "base")[1]

    assert better.difference == pytest.approx(0.4)
    assert better.relative == pytest.approx(0.4 / 2.4)
    assert (better.ci_low, better.ci_high) == (pytest.approx(0.4), pytest.approx(0.4))


def test_without_the_reference_there_is_no_difference():
    (row,) = compare_policies({"m": {"oracle": {0: ratio()}}}, "base")

    assert row.value == 2
    assert math.isnan(row.difference)
    assert math.isnan(row.user_low)


def test_other_seeds_cannot_be_compared():
    with pytest.raises(TrainingError, match=r"'x' was measured under the seeds \[1\]"):
        compare_policies({"m": {"base": {0: ratio()}, "x": {1: ratio()}}}, "base")


def test_what_is_found_by_seed_is_compared_by_metric():
    assert by_metric({3: {"p": {"m": ratio()}}})["m"]["p"][3].value == 2
