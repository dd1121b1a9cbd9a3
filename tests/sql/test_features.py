from datetime import datetime, timedelta

import pytest

from lt4rec_core.catalogue import hash_bucket

STATS, USERS, VIDEOS = "features.user_daily_stats", "features.user_features", "features.video_features"


def clicked(video, play, duration=10_000, **more):
    return {"video_id": video, "is_click": True, "play_ms": play, "duration_ms": duration, **more}


def only(rows):
    (row,) = rows
    return row


def test_daily_stats_count_and_sum_whole_numbers(platform):
    platform.log(
        clicked("a", 2_500, is_like=True),
        clicked("b", 99_000, is_long_view=True),
        {"video_id": "c", "is_like": None},
        {"video_id": "d", "user_id": "idle"},
    )
    platform.run_all()

    idle, user = platform.rows(STATS)
    assert (user["n_impressions"], user["n_clicks"]) == (3, 2)
    assert (user["n_likes"], user["n_long_views"]) == (1, 1)
    assert (user["n_conversions"], user["n_completes"]) == (1, 1)
    assert (user["play_ms"], user["watch_ratio_millionths"]) == (12_500, 1_250_000)
    assert (idle["n_impressions"], idle["n_clicks"], idle["play_ms"], idle["watch_ratio_millionths"]) == (
        1,
        0,
        0,
        0,
    )


def test_the_surplus_compares_with_videos_about_as_long(platform):
    """Two short videos are watched to 0.2 and 0.6 (mean 0.4), the only long one to 0.1 (its own mean)."""
    platform.log(
        clicked("a", 2_000, user_id="little"),
        clicked("a", 6_000, user_id="much"),
        clicked("long", 10_000, 100_000, user_id="much"),
    )
    platform.run_all()

    surplus = {r["user_id"]: r["watch_surplus_millionths"] for r in platform.rows(STATS)}
    assert surplus == {"little": -200_000, "much": 200_000}


def test_video_stats_are_the_same_counted_by_video(platform):
    platform.log(clicked("a", 10_000, user_id="x"), {"video_id": "a", "user_id": "y"}, clicked("b", 0))
    platform.run_all()

    found = [
        (r["video_id"], r["n_impressions"], r["n_clicks"], r["n_completes"])
        for r in platform.rows("features.video_daily_stats")
    ]
    assert found == [("a", 2, 1, 1), ("b", 1, 1, 0)]


def test_hostile_lengths_do_not_overflow_the_sums(platform):
    most = 2**63 - 1
    platform.log(*(clicked(v, most, most) for v in "abc"))
    platform.run_all()

    assert only(platform.rows(STATS))["play_ms"] == most


def test_nothing_is_known_on_the_first_day(platform):
    platform.log(clicked("a", 10))
    platform.run_all()

    user = only(platform.rows(USERS))
    assert (user["n_impressions_7d"], user["click_rate_7d"], user["watch_ratio_7d"], user["is_new"]) == (
        0,
        None,
        None,
        True,
    )
    assert (user["f_user_impressions"], user["f_user_click_rate"], user["f_user_watch_ratio"]) == (1, 0, 0)
    assert user["m_clicked_videos"] == []


def test_rates_are_drawn_towards_everyones(platform, days_after):
    """All users: 5 impressions, 2 clicks (0.4), watched to 1 and 0.5 (0.75). This one: 2, 1 and 0.5."""
    platform.log(
        clicked("a", 5_000),
        {"video_id": "b"},
        clicked("a", 10_000, user_id="x"),
        {"video_id": "b", "user_id": "x"},
        {"video_id": "c", "user_id": "x"},
    )
    platform.run_all()
    platform.log({}, {"user_id": "new"}, day=days_after(1))
    platform.run_all(days_after(1))

    new, user = platform.rows(USERS, days_after(1))
    assert (user["n_impressions_7d"], user["n_clicks_7d"]) == (2, 1)
    assert user["click_rate_7d"] == pytest.approx((1 + 10 * 0.4) / (2 + 10))
    assert user["watch_ratio_7d"] == pytest.approx((0.5 + 10 * 0.75) / (1 + 10))
    assert user["complete_rate_7d"] == pytest.approx((0 + 10 * 0.5) / (1 + 10))
    assert user["watch_surplus_7d"] == pytest.approx(-0.25 / (1 + 10))
    assert user["is_new"] is False
    assert (user["f_user_impressions"], user["f_user_click_rate"], user["f_user_watch_ratio"]) == (3, 2, 3)
    assert (new["is_new"], new["f_user_click_rate"]) == (True, 0)


def test_a_user_who_never_clicked_has_no_watch_ratio(platform, days_after):
    platform.log({}, clicked("a", 10_000, user_id="x"))
    platform.run_all()
    platform.log({}, day=days_after(1))
    platform.run_all(days_after(1))

    user = only(platform.rows(USERS, days_after(1)))
    assert user["click_rate_7d"] == pytest.approx((0 + 10 * 0.5) / (1 + 10))
    assert user["watch_ratio_7d"] is None
    assert user["f_user_watch_ratio"] == 0


def test_the_window_is_the_seven_days_before(platform, days_after):
    for n in (0, 1, 7, 8):
        platform.log({"video_id": f"d{n}"}, day=days_after(n))
        platform.run_all(days_after(n))

    seen = {n: only(platform.rows(USERS, days_after(n)))["n_impressions_7d"] for n in (0, 1, 7, 8)}
    assert seen == {0: 0, 1: 1, 7: 2, 8: 2}


def test_the_history_holds_the_videos_clicked_last_the_latest_first(platform, days_after):
    early, late = datetime(2022, 4, 25, 4), datetime(2022, 4, 25, 5)
    platform.log(
        clicked("a", 1, occurred_at=early), clicked("b", 1, occurred_at=late), clicked("c", 1, user_id="x")
    )
    platform.run_all()
    platform.log(clicked("d", 1), day=days_after(1))
    platform.run_all(days_after(1))
    platform.log({}, day=days_after(2))
    platform.run_all(days_after(2))

    bucket = {v: hash_bucket(v, 1000) for v in "abd"}
    assert only(platform.rows(USERS, days_after(1)))["m_clicked_videos"] == [bucket["b"], bucket["a"]]
    # history_length is 2 here.
    assert only(platform.rows(USERS, days_after(2)))["m_clicked_videos"] == [bucket["d"], bucket["b"]]


def test_attributes_come_from_the_sources_tables(platform):
    platform.put("source.users", {"user_id": "u", "city": "Oslo"}, {"user_id": "absent", "city": "Rome"})
    platform.put("source.videos", {"video_id": "v", "tags": ["dogs", "snakes", "cats"]})
    platform.log({}, {"user_id": "unknown"})
    platform.run_all()

    assert [(r["user_id"], r["f_city"]) for r in platform.rows(USERS)] == [("u", 2), ("unknown", 0)]
    assert only(platform.rows(VIDEOS))["m_tags"] == [2, 3]


def test_a_sample_joins_what_was_known_with_what_came_of_it(platform):
    platform.put("source.users", {"user_id": "u", "city": "Oslo"})
    platform.put("source.videos", {"video_id": "v", "tags": ["cats"]})
    platform.log(
        # 15:30 UTC on Monday is 23:30 in Shanghai.
        clicked("v", 5_000, occurred_at=datetime(2022, 4, 25, 15, 30), is_like=True, position=3),
        {"video_id": "w", "page": "search", "position": None, "duration_ms": 60_000},
    )
    platform.run_all()

    first, second = platform.rows("training.samples")
    assert (first["f_user_id"], first["f_video_id"]) == (hash_bucket("u", 1000), hash_bucket("v", 1000))
    assert (first["f_city"], first["m_tags"], first["m_clicked_videos"]) == (2, [1], [])
    assert (first["f_page"], first["f_position"], first["f_duration"]) == (1, 2, 2)
    assert (first["f_hour"], first["f_weekday"]) == (24, 1)
    assert (first["is_click"], first["watch_ratio"], first["is_converted"], first["is_like"]) == (
        True,
        0.5,
        True,
        True,
    )
    assert (second["f_page"], second["f_position"], second["f_duration"]) == (2, 0, 3)
    assert (second["is_click"], second["watch_ratio"], second["is_converted"], second["is_like"]) == (
        False,
    ) + (None,) * 3
    assert (first["is_new_user"], first["is_new_video"]) == (True, True)


def test_every_impression_becomes_one_sample_in_the_order_of_the_key(platform):
    platform.log(*({"user_id": u, "video_id": v} for u in "ba" for v in ("y", "x", "\x00")))
    platform.run_all()

    keys = [(r["user_id"], r["video_id"]) for r in platform.rows("training.samples")]
    assert keys == sorted(keys)
    assert len(keys) == 6


def test_moving_a_days_labels_and_engagement_moves_none_of_its_features(platform, days_after):
    """After the labels of day 1 are turned round, only labels differ in what day 1 yields."""
    times = [datetime(2022, 4, 25, 4) + timedelta(minutes=i) for i in range(6)]
    shown = [{"user_id": u, "video_id": v} for u in ("u", "w") for v in ("a", "b", "c")]

    def deliver(day, turned):
        shift = day - days_after(0)
        platform.log(
            *(
                {
                    **row,
                    "occurred_at": at + shift,
                    "is_click": (i % 2 == 0) != turned,
                    "play_ms": 9_000 if turned else 1_000 * i,
                    "is_like": turned,
                    "is_follow": turned,
                    "is_comment": turned,
                    "is_forward": turned,
                    "is_long_view": turned,
                }
                for i, (row, at) in enumerate(zip(shown, times, strict=True))
            ),
            day=day,
        )
        platform.run_all(day)

    def outcome(day):
        samples = platform.rows("training.samples", day)
        features = [{k: v for k, v in r.items() if k.startswith(("f_", "m_", "is_new"))} for r in samples]
        labels = [(r["is_click"], r["watch_ratio"], r["is_like"]) for r in samples]
        return platform.rows(USERS, day), platform.rows(VIDEOS, day), features, labels

    deliver(days_after(0), turned=False)
    deliver(days_after(1), turned=False)
    before = outcome(days_after(1))
    deliver(days_after(1), turned=True)
    after = outcome(days_after(1))

    assert before[:3] == after[:3]
    assert before[3] != after[3]
    # And the features do move with the day before: the test above could fail.
    deliver(days_after(0), turned=True)
    platform.run_all(days_after(1))
    assert outcome(days_after(1))[:3] != after[:3]


def test_a_click_whose_watch_ratio_is_not_known_counts_as_a_click_and_not_as_watched_to_zero(
    platform, days_after
):
    platform.log(clicked("a", 9_000), clicked("b", 10_000))
    platform.run_all()
    known = next(r for r in platform.rows("samples.conversions") if r["video_id"] == "a")
    platform.put("samples.conversions", known)
    platform.run(STATS, "features.video_daily_stats")
    platform.log({"video_id": "a"}, {"video_id": "b"}, day=days_after(1))
    platform.run_all(day=days_after(1))

    user = only(platform.rows(USERS, days_after(1)))
    a, b = platform.rows(VIDEOS, days_after(1))

    assert (user["n_clicks_7d"], user["watch_ratio_7d"]) == (2, pytest.approx(0.9))
    assert (a["watch_ratio_7d"], b["n_clicks_7d"], b["watch_ratio_7d"]) == (pytest.approx(0.9), 1, None)
