from datetime import date

import numpy as np
import pytest

from lt4rec_core.data.simulator import draw_requests
from lt4rec_core.errors import ConfigError
from lt4rec_core.experiments.policies import BEYOND, ORACLE, RANDOM, TABLE_3, Policy, all_scores, rows_of

SMALL = {"n_users": 60, "new_users_per_day": 2, "n_videos": 50, "new_videos_per_day": 2}


@pytest.fixture(scope="module")
def requests():
    return draw_requests(date(2026, 1, 13), SMALL, 20, 8)


def test_the_four_policies_are_called_as_in_the_paper():
    assert [policy.name for policy in TABLE_3] == [
        "base_ctr*base_cvr*length",
        "base_ctr*hard_cvr*length",
        "base_ctr*s_weight_cvr*length",
        "s_weight_ctr*s_weight_cvr*length",
    ]
    assert len({policy.name for policy in (*TABLE_3, *BEYOND)}) == len(TABLE_3) + len(BEYOND)


def test_each_row_is_needed_once():
    assert rows_of(TABLE_3) == ["base_ctr", "base_cvr", "hard_sharing", "s_weight"]


def test_a_policy_takes_pctr_and_pcvr_from_its_rows_by_eq_3():
    rows = {
        "base_ctr": {"ctr": np.array([0.5])},
        "s_weight": {"ctr": np.array([9.0]), "cvr": np.array([0.4])},
    }

    found = Policy("base_ctr", "s_weight").scores(rows, np.array([10.0]), (2, 1, 0.5))

    assert found == pytest.approx(0.5**2 * 0.4 * 10**0.5)


def test_the_oracle_ranks_by_the_truth_and_random_by_lot(requests):
    found = all_scores([], {}, requests)

    assert np.array_equal(found[RANDOM], requests.lots)
    seconds = requests.duration_ms / 1000
    assert np.array_equal(found[ORACLE], requests.p_click * requests.expected_watch_ratio * seconds)


@pytest.mark.parametrize(
    ("ctr", "cvr", "message"),
    [
        ("base_cvr", "base_cvr", "base_cvr gives no pCTR"),
        ("base_ctr", "mmoe", "mmoe gives no pCVR to rank with: it predicts ctr, cvr and cannot be exported"),
        ("base_ctr", "s_weight_multiview", "Name another row"),
        ("base_ctr", "s_wait", "Unknown variant: s_wait"),
    ],
)
def test_rows_that_cannot_rank_are_refused(ctr, cvr, message):
    with pytest.raises(ConfigError, match=message):
        Policy(ctr, cvr)
