from datetime import datetime, timedelta

import pytest

SCREENED, IMPRESSIONS = "samples.screened_impressions", "samples.impressions"
# Noon of 25 April in Shanghai.
NOON = datetime(2022, 4, 25, 4)
DAY_LONG = timedelta(hours=24)


def reasons(platform, *rows):
    platform.log(*rows)
    platform.run(SCREENED)
    return [row["reject_reason"] for row in platform.rows(SCREENED)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, None),
        ({"user_id": None}, "unreadable"),
        ({"video_id": None}, "unreadable"),
        ({"is_click": None}, "unreadable"),
        ({"play_ms": None}, "unreadable"),
        ({"duration_ms": None}, "unreadable"),
        ({"occurred_at": None}, "unreadable"),
        ({"occurred_at": "infinity"}, "unreadable"),
        ({"occurred_at": "-infinity"}, "unreadable"),
        ({"duration_ms": 0}, "non_positive_duration"),
        ({"duration_ms": -1}, "non_positive_duration"),
        ({"play_ms": -1}, "negative_play"),
        ({"occurred_at": NOON + DAY_LONG}, None),
        ({"occurred_at": NOON - DAY_LONG}, None),
        ({"occurred_at": NOON + DAY_LONG + timedelta(microseconds=1)}, "wrong_day"),
        ({"occurred_at": NOON - DAY_LONG - timedelta(microseconds=1)}, "wrong_day"),
        ({"occurred_at": "290000-01-01"}, "wrong_day"),
        ({"occurred_at": "290000-01-01 (BC)"}, "wrong_day"),
        ({"play_ms": 10**9}, None),
        ({"play_ms": 2**63 - 1, "duration_ms": 2**63 - 1}, None),
        ({"page": None, "position": None}, None),
        ({"user_id": "", "video_id": "\x00'\"\n"}, None),
        # The first fault in the order of precedence is the one that is named.
        ({"occurred_at": "infinity", "duration_ms": 0, "play_ms": -1}, "unreadable"),
        ({"occurred_at": "1990-01-01", "duration_ms": 0, "play_ms": -1}, "non_positive_duration"),
        ({"occurred_at": "1990-01-01", "play_ms": -1}, "negative_play"),
    ],
)
def test_a_row_is_rejected_for_its_first_fault(platform, row, reason):
    assert reasons(platform, row) == [reason]


def test_of_duplicates_the_longest_play_stays(platform):
    platform.log({"play_ms": 5}, {"play_ms": 7}, {"play_ms": 6}, {"user_id": "other", "play_ms": 1})
    platform.run(SCREENED, IMPRESSIONS)

    kept = [(r["user_id"], r["play_ms"]) for r in platform.rows(IMPRESSIONS)]
    assert kept == [("other", 1), ("u", 7)]


def test_of_equal_plays_the_first_by_all_columns_stays(platform):
    platform.log({"page": "search"}, {"page": "feed", "is_click": True}, {"page": "feed", "is_click": False})
    platform.run(SCREENED, IMPRESSIONS)

    assert [(r["page"], r["is_click"]) for r in platform.rows(IMPRESSIONS)] == [("feed", False)]


def test_exact_copies_leave_one(platform):
    assert reasons(platform, {}, {}, {}).count("duplicate") == 2


def test_a_faulty_row_is_nobodys_duplicate_and_makes_none(platform):
    """The longest play of the three is negative in length: it must not stay, nor push out the sound one."""
    found = reasons(
        platform, {"play_ms": 9, "duration_ms": 0}, {"play_ms": 9, "duration_ms": 0}, {"play_ms": 1}
    )

    assert sorted(map(str, found)) == ["None", "non_positive_duration", "non_positive_duration"]


@pytest.mark.parametrize(
    "change", [{"user_id": "w"}, {"video_id": "w"}, {"occurred_at": NOON + timedelta(milliseconds=1)}]
)
def test_what_differs_in_user_video_or_time_is_no_duplicate(platform, change):
    assert reasons(platform, {}, change) == [None, None]


def test_the_same_key_on_two_days_is_no_duplicate(platform, days_after):
    midnight = datetime(2022, 4, 25, 16)
    platform.log({"occurred_at": midnight})
    platform.log({"occurred_at": midnight}, day=days_after(1))
    for day in (days_after(0), days_after(1)):
        platform.run(SCREENED, IMPRESSIONS, day=day)

    assert len(platform.rows(IMPRESSIONS)) == len(platform.rows(IMPRESSIONS, days_after(1))) == 1


def test_accepted_and_rejected_are_what_was_delivered(platform):
    platform.log({}, {}, {"play_ms": None}, {"duration_ms": 0}, {"video_id": "w"})
    platform.run(SCREENED, IMPRESSIONS)

    screened = platform.rows(SCREENED)
    accepted = [r for r in screened if r["reject_reason"] is None]
    assert len(screened) == 5
    assert len(accepted) == len(platform.rows(IMPRESSIONS)) == 2


def test_a_day_of_rejected_rows_leaves_an_empty_day(platform):
    platform.log({"duration_ms": 0})
    platform.run(SCREENED, IMPRESSIONS, "samples.clicks", "samples.conversions")

    assert platform.rows(IMPRESSIONS) == platform.rows("samples.conversions") == []


def test_clicks_are_the_clicked_impressions(platform):
    platform.log({"video_id": "a", "is_click": True, "play_ms": 7}, {"video_id": "b"})
    platform.run(SCREENED, IMPRESSIONS, "samples.clicks")

    assert [(r["video_id"], r["play_ms"]) for r in platform.rows("samples.clicks")] == [("a", 7)]


@pytest.mark.parametrize(
    ("play", "duration", "ratio", "converted"),
    [
        (0, 10, 0.0, False),
        (4, 10, 0.4, False),
        (5, 10, 0.5, True),
        (10, 10, 1.0, True),
        (11, 10, 1.0, True),
        (2**63 - 1, 1, 1.0, True),
    ],
)
def test_the_watch_ratio_is_the_share_played_and_at_most_one(platform, play, duration, ratio, converted):
    platform.log({"is_click": True, "play_ms": play, "duration_ms": duration})
    platform.run(SCREENED, IMPRESSIONS, "samples.clicks", "samples.conversions")

    (row,) = platform.rows("samples.conversions")
    assert (row["watch_ratio"], row["is_converted"]) == (ratio, converted)


def test_the_conversion_threshold_is_a_setting(platform):
    platform.log({"is_click": True, "play_ms": 4, "duration_ms": 10})
    platform.run(SCREENED, IMPRESSIONS, "samples.clicks")
    platform.run("samples.conversions", conversion_threshold=0.4)

    assert platform.rows("samples.conversions")[0]["is_converted"] is True
