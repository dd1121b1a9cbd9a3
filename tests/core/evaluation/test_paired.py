import math

import numpy as np
import pytest
from scipy import stats

from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.evaluation.paired import (
    Judged,
    holm,
    paired_difference,
    t_coverage,
    t_quantile,
    user_interval,
)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 24, 101])
def test_t_agrees_with_scipy(df):
    for t in (0.0, 0.1, 1.0, 2.776, 30.0):
        assert t_coverage(t, df) == pytest.approx(1 - 2 * stats.t.sf(t, df), abs=1e-12)
    for level in (0.5, 0.95, 0.999):
        assert t_quantile(level, df) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-9)


def test_the_p_value_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=6), rng.normal(size=6)

    found, known = paired_difference(a, b), stats.ttest_rel(a, b)

    assert found.p_value == pytest.approx(known.pvalue, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_at_least_93_of_100_intervals_hold_the_true_difference(n_seeds):
    # 4000 races: a true coverage of 0.95 shows up within 0.937 … 0.963 in all but one of a thousand.
    rng, covered = np.random.default_rng(n_seeds), 0
    for _ in range(4000):
        shared = rng.normal(scale=3, size=n_seeds)  # what both models owe to the seed
        found = paired_difference(0.2 + shared + rng.normal(size=n_seeds), shared + rng.normal(size=n_seeds))
        covered += found.low <= 0.2 <= found.high
    assert 0.93 <= covered / 4000 <= 0.97


def test_two_sets_of_seeds_of_one_model_differ_no_more_often_than_promised():
    rng = np.random.default_rng(0)
    significant = [paired_difference(*rng.normal(size=(2, 5))).p_value < 0.05 for _ in range(4000)]
    assert np.mean(significant) < 0.063


def test_fewer_than_two_pairs_have_a_mean_and_no_interval():
    one = paired_difference([2.0], [1.5])

    assert (one.mean, one.n) == (0.5, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.p_value)


def test_equal_models_do_not_differ_and_a_constant_difference_does():
    assert paired_difference([1.0, 2.0], [1.0, 2.0]).p_value == 1.0
    assert paired_difference([1.5, 2.5], [1.0, 2.0]).p_value == 0.0


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="under the same seeds"):
        paired_difference([1.0, 2.0], [1.0])


def test_holm_by_its_definition():
    # Sorted: 0.01 * 4, then max with 0.02 * 3, 0.03 * 2, 0.5 * 1.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])


def test_holm_does_not_count_what_was_not_compared():
    adjusted = holm([0.02, math.nan, 0.03])

    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])


def test_holm_keeps_the_chance_of_any_false_alarm_below_its_level():
    rng = np.random.default_rng(0)
    alarms = [min(holm(rng.random(20).tolist())) < 0.05 for _ in range(2000)]
    assert np.mean(alarms) < 0.065


def test_replicates_are_the_plain_metrics_of_the_drawn_rows():
    rng = np.random.default_rng(0)
    users = rng.integers(6, size=60)
    users[:6] = range(6)
    judged = Judged((rng.random(60) < 0.5).astype(float), users)
    scores, draws = rng.random(60), judged.draws(np.random.default_rng(1), 5)

    auc, mse = (judged.replicates(metric, scores, draws) for metric in ("auc", "mse"))

    for i, counts in enumerate(draws):
        rows = np.repeat(np.arange(60), counts[users])
        assert auc[i] == pytest.approx(auc_score(judged.labels[rows], scores[rows]), abs=1e-12)
        assert mse[i] == pytest.approx(mse_loss(judged.labels[rows], scores[rows]), abs=1e-12)
    assert draws.sum(1).tolist() == [6] * 5


def test_the_user_interval_is_of_the_mean_over_seeds():
    values = {1: np.linspace(0, 1, 101), 2: np.linspace(1, 2, 101)}
    reference = {1: np.zeros(101), 2: np.ones(101)}

    interval = user_interval(values, reference)

    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975))
