from datetime import date

import numpy as np
import pytest

from lt4rec_core.data.simulator.behaviour import Context, Truth, draw_watch_ratio, judge, tastes
from lt4rec_core.data.simulator.population import users_on, videos_on
from lt4rec_core.data.simulator.settings import SimulatorSettings

DAY = date(2026, 1, 8)
N = 60_000


def pairs(**changes):
    """Users, videos and pairs of them drawn evenly."""
    settings, rng = SimulatorSettings(**changes), np.random.default_rng(0)
    users, videos = users_on(settings, DAY), videos_on(settings, DAY)
    user, video = rng.integers(0, len(users.joined), N), rng.integers(0, len(videos.uploaded), N)
    return settings, DAY, users, videos, user, video


def context(page=0, position=1, hour=12.0):
    return Context(np.full(N, page), np.full(N, position), np.full(N, hour))


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_shared_taste_is_the_correlation_of_click_and_watch_taste(shared):
    click, watch = tastes(*pairs(shared_taste=shared))

    # A few thousand individuals leave some correlation by chance.
    assert np.corrcoef(click, watch)[0, 1] == pytest.approx(shared, abs=0.03)


def test_fully_shared_taste_is_one_taste():
    click, watch = tastes(*pairs(shared_taste=1.0))

    np.testing.assert_array_equal(click, watch)


def test_without_sharing_and_conflict_click_and_watch_have_nothing_in_common():
    truth = judge(*pairs(shared_taste=0.0, conflict=0.0), context())

    assert np.corrcoef(truth.p_click, truth.eta)[0, 1] == pytest.approx(0, abs=0.03)


def test_with_conflict_clickbait_has_more_clicks_and_shorter_watches():
    clicks, watches = {}, {}
    for conflict in (0.0, 0.5, 1.0):
        args = pairs(shared_taste=0.0, conflict=conflict)
        truth, bait = judge(*args, context()), args[3].clickbait[args[5]]
        most, least = bait > 1, bait < -1
        clicks[conflict] = truth.p_click[most].mean() - truth.p_click[least].mean()
        ratio = truth.expected_watch_ratio
        watches[conflict] = ratio[most].mean() - ratio[least].mean()

    assert abs(clicks[0.0]) < 0.03
    assert abs(watches[0.0]) < 0.03
    assert 0.1 < clicks[0.5] < clicks[1.0]
    assert -0.05 > watches[0.5] > watches[1.0]


def test_later_positions_are_clicked_less_and_watched_alike():
    args = pairs()
    first, tenth = judge(*args, context(position=1)), judge(*args, context(position=10))

    assert (tenth.p_click < first.p_click).all()
    np.testing.assert_array_equal(tenth.eta, first.eta)


def test_pages_and_hours_matter():
    args = pairs()
    judged = [
        judge(*args, context(page, 1, hour)).p_click.mean()
        for page, hour in [(0, 20), (1, 20), (2, 20), (0, 8)]
    ]

    assert len(set(judged)) == 4


def test_longer_videos_are_watched_to_a_smaller_share():
    args = pairs()
    duration = args[3].duration_ms[args[5]]
    ratio = judge(*args, context()).expected_watch_ratio

    assert ratio[duration < 30_000].mean() > ratio[duration > 180_000].mean() + 0.2


@pytest.mark.parametrize("eta", [-4.0, -1.0, 0.0, 1.0, 4.0])
def test_the_mean_of_drawn_watch_ratios_is_the_expected_one(eta):
    n = 200_000
    truth = Truth(np.ones(n), np.full(n, eta))

    drawn = np.minimum(draw_watch_ratio(truth, np.random.default_rng(0)), 1)

    assert drawn.min() >= 0
    assert abs(drawn.mean() - truth.expected_watch_ratio[0]) < 4 * drawn.std() / n**0.5
