from datetime import date, timedelta

import numpy as np
import pytest

from lt4rec_core.data.simulator.population import users_on, videos_on
from lt4rec_core.data.simulator.settings import SimulatorSettings

DAY = date(2026, 1, 8)
# Sizes that cohorts do not divide evenly.
SETTINGS = SimulatorSettings(n_users=103, new_users_per_day=10, n_videos=207, new_videos_per_day=20)


def by_id(alive, values):
    return dict(zip(alive.ids.to_pylist(), values, strict=True))


@pytest.mark.parametrize(("alive_on", "n", "n_new"), [(users_on, 103, 10), (videos_on, 207, 20)])
def test_each_day_as_many_leave_as_join(alive_on, n, n_new):
    today, tomorrow = (set(alive_on(SETTINGS, d).ids.to_pylist()) for d in (DAY, DAY + timedelta(days=1)))

    assert len(today) == len(tomorrow) == n
    assert len(tomorrow - today) == len(today - tomorrow) == n_new


def test_a_user_stays_the_same_from_day_to_day():
    today, tomorrow = users_on(SETTINGS, DAY), users_on(SETTINGS, DAY + timedelta(days=1))
    values = [
        by_id(
            users,
            zip(
                users.joined.tolist(),
                users.attributes["country"].tolist(),
                users.traits.sum((1, 2)),
                strict=True,
            ),
        )
        for users in (today, tomorrow)
    ]
    both = values[0].keys() & values[1].keys()

    assert len(both) == 93
    assert all(values[0][user] == values[1][user] for user in both)


def test_a_video_stays_the_same_from_day_to_day():
    today, tomorrow = videos_on(SETTINGS, DAY), videos_on(SETTINGS, DAY + timedelta(days=1))
    values = [
        by_id(
            videos,
            zip(videos.duration_ms.tolist(), videos.author.tolist(), videos.clickbait.tolist(), strict=True),
        )
        for videos in (today, tomorrow)
    ]
    both = values[0].keys() & values[1].keys()

    assert len(both) == 187
    assert all(values[0][video] == values[1][video] for video in both)


def test_the_newest_stand_last_and_joined_today():
    users, videos = users_on(SETTINGS, DAY), videos_on(SETTINGS, DAY)

    assert (users.joined[-10:] == DAY.toordinal()).all()
    assert (users.joined[:-10] < DAY.toordinal()).all()
    assert (videos.uploaded[-20:] == DAY.toordinal()).all()
    assert (videos.uploaded[:-20] < DAY.toordinal()).all()


def test_only_some_of_the_users_come_on_a_day_and_not_the_same_ones_the_next():
    today, tomorrow = users_on(SETTINGS, DAY), users_on(SETTINGS, DAY + timedelta(days=1))
    came = [by_id(users, users.weight > 0) for users in (today, tomorrow)]
    both = came[0].keys() & came[1].keys()

    assert 0.5 < np.mean(list(came[0].values())) < 0.95
    assert any(came[0][user] != came[1][user] for user in both)


def test_videos_fade_with_age():
    videos = videos_on(SimulatorSettings(), DAY)
    age = DAY.toordinal() - videos.uploaded

    assert videos.weight[age < 20].mean() > 1.5 * videos.weight[age >= 40].mean()


def test_a_sensational_title_is_a_sign_of_clickbait():
    videos = videos_on(SimulatorSettings(), DAY)
    plain, _, sensational = (videos.clickbait[videos.title_style == style].mean() for style in range(3))

    assert sensational > plain + 1
