from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest

from lt4rec_core.data.simulator import impressions as module
from lt4rec_core.data.simulator.impressions import impressions_on, n_impressions
from lt4rec_core.data.simulator.population import users_on, videos_on
from lt4rec_core.data.simulator.settings import SimulatorSettings

THURSDAY, SATURDAY = date(2026, 1, 8), date(2026, 1, 10)
KEY = ["user_id", "video_id", "time_ms"]


def delivered(day=THURSDAY, **changes):
    settings = SimulatorSettings(**changes)
    return impressions_on(settings, day, users_on(settings, day), videos_on(settings, day))


def keys(table):
    return list(zip(*(table[name].to_pylist() for name in KEY), strict=True))


def test_a_week_has_seven_average_days_and_its_busiest_on_saturday():
    week = [n_impressions(SimulatorSettings(), date(2026, 1, 5 + i)) for i in range(7)]

    assert sum(week) == 7 * 30_000
    assert max(week) == week[5]


def test_a_day_has_exactly_its_impressions_in_chunks_of_any_size(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 999)

    log, truth = delivered(impressions_per_day=5_000, messy_share=0)

    assert log.num_rows == truth.num_rows == round(5_000 * 0.97)


def test_a_day_of_one_impression_works():
    log, truth = delivered(impressions_per_day=1, messy_share=0)

    assert log.num_rows == truth.num_rows == 1


def test_without_mess_every_row_is_as_it_should_be():
    log, truth = delivered(messy_share=0)

    assert keys(log) == keys(truth)
    assert len(set(keys(log))) == log.num_rows
    assert sum(column.null_count for column in log.columns) == 0
    assert pc.min(log["duration_ms"]).as_py() > 0
    assert pc.min(log["play_ms"]).as_py() >= 0


def test_every_row_of_a_messy_log_has_one_row_of_truth():
    log, truth = delivered(messy_share=0.2)
    true = keys(truth)

    assert len(set(true)) == len(true)
    assert set(keys(log)) == set(true)


def test_mess_comes_in_each_kind_and_in_the_share_asked_for():
    log, truth = delivered(messy_share=0.2)
    n = truth.num_rows
    found = {
        "twice": log.num_rows - n,
        "no duration": pc.sum(pc.equal(log["duration_ms"], 0)).as_py(),
        "negative": pc.sum(pc.less(log["play_ms"], 0)).as_py(),
        "lost": log["play_ms"].null_count,
    }

    np.testing.assert_allclose([v / n for v in found.values()], [0.11, 0.05, 0.02, 0.02], atol=0.006)


def test_a_row_sent_twice_never_plays_longer_the_second_time():
    log, truth = delivered(messy_share=0.5, impressions_per_day=3_000)
    plays = {}
    for key, play in zip(keys(log), log["play_ms"].to_pylist(), strict=True):
        plays.setdefault(key, []).append(play)
    twice = [p for p in plays.values() if len(p) == 2]

    assert len(twice) == log.num_rows - truth.num_rows > 0
    assert all(second <= first for first, second in twice)
    assert any(second < first for first, second in twice)


def test_sessions_stay_on_a_page_and_count_their_positions():
    log, _ = delivered(messy_share=0)
    position, user, page, time = (log[name].to_numpy() for name in ("position", "user_id", "page", "time_ms"))
    goes_on = position[1:] > 1

    assert position[0] == 1
    assert (position[1:][goes_on] == position[:-1][goes_on] + 1).all()
    for same in (user, page):
        assert (same[1:][goes_on] == same[:-1][goes_on]).all()
    assert (time[1:][goes_on] > time[:-1][goes_on]).all()


def test_evenings_are_busy_nights_are_not_and_weekends_rise_late():
    def by_hour(day):
        log, _ = delivered(day)
        return np.bincount(log["time_ms"].to_numpy() // 3_600_000 % 24, minlength=24) / log.num_rows

    workday, weekend = by_hour(THURSDAY), by_hour(SATURDAY)
    assert workday[20:22].sum() > 8 * workday[3:5].sum()
    assert weekend[7] < workday[7]
    assert weekend[10] > workday[10]


def test_engagement_needs_a_click_and_each_kind_occurs():
    log, _ = delivered(messy_share=0)
    clicked = log["is_click"].to_numpy()

    for name in ("is_like", "is_follow", "is_comment", "is_forward", "is_long_view"):
        happened = log[name].to_numpy()
        assert happened.any()
        assert not happened[~clicked].any()


def test_a_long_view_lasts_18_seconds_or_the_whole_video():
    log, _ = delivered(messy_share=0)
    click, play, duration = (log[name].to_numpy() for name in ("is_click", "play_ms", "duration_ms"))

    np.testing.assert_array_equal(
        log["is_long_view"].to_numpy(), click & (play >= np.minimum(duration, 18_000))
    )


@pytest.mark.parametrize("name", ["user_id", "video_id"])
def test_who_and_what_is_new_on_the_day_is_in_the_log(name):
    settings = SimulatorSettings()
    alive = {"user_id": users_on, "video_id": videos_on}[name](settings, THURSDAY)
    log, _ = delivered()

    assert pc.any(pc.is_in(log[name], alive.ids[-alive.n_new :])).as_py()
