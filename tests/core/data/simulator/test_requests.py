from datetime import date

import numpy as np
import pytest

from lt4rec_core.data.simulator import draw_requests
from lt4rec_core.errors import ConfigError

DAY = date(2026, 1, 13)
SMALL = {"n_users": 60, "new_users_per_day": 2, "n_videos": 50, "new_videos_per_day": 2}
N, M = 40, 12


@pytest.fixture(scope="module")
def requests():
    return draw_requests(DAY, SMALL, N, M)


def first(requests, k=5):
    """Show the first k candidates as they stand."""
    return np.tile(np.arange(k), (len(requests), 1))


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


def test_a_request_has_each_candidate_once(requests):
    assert [len(set(videos)) for videos in requests.video_ids] == [M] * N
    assert requests.duration_ms.shape == requests.lots.shape == (N, M)
    assert {at.date() for at in requests.occurred_at} == {DAY}


def test_what_is_shown_alike_is_answered_alike(requests):
    again = draw_requests(DAY, SMALL, N, M)

    assert again.user_ids == requests.user_ids
    assert same(requests.react(first(requests)), again.react(first(again)))


def test_the_first_requests_do_not_depend_on_how_many_follow(requests):
    few = draw_requests(DAY, SMALL, 7, M)

    assert few.video_ids == requests.video_ids[:7]
    reactions, all_reactions = few.react(first(few)), requests.react(first(requests))
    assert np.array_equal(reactions.watch_ratio, all_reactions.watch_ratio[:7])


def test_how_long_a_video_would_be_watched_does_not_depend_on_where_it_stands(requests):
    shown = first(requests)
    ahead, behind = requests.react(shown), requests.react(shown[:, ::-1])

    both = ahead.clicked & behind.clicked[:, ::-1]
    assert both.sum() > 20
    assert np.array_equal(ahead.watch_ratio[both], behind.watch_ratio[:, ::-1][both])
    assert np.array_equal(ahead.expected_watch_ratio, behind.expected_watch_ratio[:, ::-1])


def test_a_click_further_down_is_never_likelier_and_no_new_one_appears(requests):
    shown = first(requests)
    ahead = requests.react(shown[:, :1])  # in the first place
    behind = requests.react(shown[:, ::-1])  # in the fifth

    assert (behind.p_click[:, -1] < ahead.p_click[:, 0]).all()
    assert not (behind.clicked[:, -1] & ~ahead.clicked[:, 0]).any()


def test_the_first_place_has_the_probability_of_the_candidate(requests):
    shown = requests.react(first(requests, 1))

    assert np.allclose(shown.p_click[:, 0], requests.p_click[:, 0], rtol=1e-12)


def test_clicks_and_watches_happen_as_often_as_the_truth_says():
    many = draw_requests(DAY, SMALL, 3000, M)
    seen = many.react(first(many, M))

    error = np.sqrt((seen.p_click * (1 - seen.p_click)).sum())
    assert abs(seen.clicked.sum() - seen.p_click.sum()) < 4 * error
    missed = seen.watch_ratio[seen.clicked] - seen.expected_watch_ratio[seen.clicked]
    assert abs(missed.mean()) < 4 * missed.std() / np.sqrt(len(missed))
    assert not seen.watch_ratio[~seen.clicked].any()


def test_another_draw_gives_other_requests(requests):
    assert draw_requests(DAY, SMALL, N, M, draw=1).user_ids != requests.user_ids


@pytest.mark.parametrize(
    ("n", "m", "message"), [(0, 5, "At least 1 request"), (1, 51, "from 1 to 50 candidates")]
)
def test_impossible_sizes_are_refused(n, m, message):
    with pytest.raises(ConfigError, match=message):
        draw_requests(DAY, SMALL, n, m)
