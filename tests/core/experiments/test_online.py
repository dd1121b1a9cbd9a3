from datetime import date, timedelta

import numpy as np
import pytest

from lt4rec_core.data.simulator import draw_requests
from lt4rec_core.errors import ConfigError
from lt4rec_core.experiments.online import GRID, Day, OnlineConfig, outcomes, simulate, sweep
from lt4rec_core.experiments.policies import ORACLE, RANDOM, Policy

SMALL = {"n_users": 60, "new_users_per_day": 2, "n_videos": 50, "new_videos_per_day": 2}
DAY = date(2026, 1, 13)
M, K = 20, 5
POLICY, TWIN = Policy("base_ctr", "base_cvr"), Policy("base_ctr", "s_weight")


def noisy(requests, noise):
    """Predictions between the truth (0) and nothing."""
    g = np.random.default_rng(noise)
    blur = np.exp(noise * g.standard_normal(requests.p_click.shape))
    return {"ctr": requests.p_click * blur, "cvr": requests.expected_watch_ratio}


@pytest.fixture(scope="module")
def days():
    made = []
    for i in range(2):
        requests = draw_requests(DAY + timedelta(days=i), SMALL, 60, M)
        half = noisy(requests, 1)
        made.append(Day(requests, {"base_ctr": half, "base_cvr": half, "s_weight": half}))
    return made


def test_the_oracle_is_above_a_policy_that_errs_and_random_below(days):
    found = {
        name: metrics["expected_view_time"].value for name, metrics in simulate(days, [POLICY], K).items()
    }

    assert found[ORACLE] > 1.1 * found[POLICY.name] > 1.1**2 * found[RANDOM]


def test_the_oracles_choice_is_the_best_there_is_up_to_the_order_of_places(days):
    """Nothing that can be shown in one place is worth more than what the oracle shows there."""
    requests = days[0].requests
    worth = requests.p_click * requests.expected_watch_ratio * requests.duration_ms / 1000

    found = outcomes(worth, requests, 1)["expected_view_time"]

    assert found.numerator.sum() == pytest.approx(worth.max(axis=1).sum())


def test_two_policies_that_rank_alike_are_answered_exactly_alike(days):
    found = simulate(days, [POLICY, TWIN], K)

    for metric, ratio in found[POLICY.name].items():
        assert np.array_equal(ratio.numerator, found[TWIN.name][metric].numerator)
        assert np.array_equal(ratio.denominator, found[TWIN.name][metric].denominator)


def test_metrics_are_counted_as_they_are_defined(days):
    requests = days[0].requests
    shown = np.tile(np.arange(K), (len(requests), 1))
    seen = requests.react(shown)

    found = outcomes(-np.tile(np.arange(M), (len(requests), 1)), requests, K)

    seconds = np.take_along_axis(requests.duration_ms, shown, 1) / 1000
    assert found["ctr"].value == seen.clicked.mean()
    assert found["cvr"].value == pytest.approx(seen.watch_ratio[seen.clicked].mean())
    assert found["view_time"].value == pytest.approx((seen.watch_ratio * seconds).sum() / len(requests))


def test_days_add_up(days):
    both = simulate(days, [POLICY], K)[POLICY.name]["ctr"]
    each = [simulate([day], [POLICY], K)[POLICY.name]["ctr"] for day in days]

    assert both.denominator.sum() == sum(ratio.denominator.sum() for ratio in each) == 2 * 60 * K
    assert both.numerator.sum() == sum(ratio.numerator.sum() for ratio in each)


def test_the_sweep_holds_table_3_and_every_other_setting(days):
    found = sweep(days[:1], [POLICY], K, GRID[:3])

    assert len(found) == 2 * (3**3 - 1)  # policy and oracle; all exponents 0 rank nothing
    table = simulate(days[:1], [POLICY], K)
    assert found[POLICY.name, (1.0, 1.0, 1.0)]["ctr"] == table[POLICY.name]["ctr"].value
    assert found[ORACLE, (1.0, 0.0, 0.0)]["ctr"] > found[ORACLE, (0.0, 0.0, 1.0)]["ctr"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("n_requests", 0, "at least 1, got 0"), ("n_shown", 51, "more than the 50 candidates")],
)
def test_impossible_sizes_are_refused(field, value, message):
    with pytest.raises(ConfigError, match=message):
        OnlineConfig(**{field: value})
