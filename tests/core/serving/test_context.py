from datetime import UTC, datetime, timedelta, timezone

import pytest

from lt4rec_core.errors import ServingError
from lt4rec_core.serving.context import ContextEncoder, encoder_for, moment


@pytest.fixture
def encode(served):
    return ContextEncoder(served.catalogue, served.platform.source.time_zone)


def test_a_request_is_encoded_as_the_samples_of_training_are(served, encode):
    columns = [f.column for f in served.catalogue.side("context")]
    for row in served.platform.rows("training.samples", served.days[2])[:20]:
        context = {"page": row["page"], "occurred_at": row["occurred_at"], "position": None}

        ids = dict(zip(columns, encode(context, [row["duration_ms"]])[0].tolist(), strict=True))

        assert ids.pop("f_position") == 0
        assert ids == {c: row[c] for c in ids}


def test_hours_are_counted_where_the_platform_is(encode, served):
    # 20:30 UTC on a Monday is 4:30 on a Tuesday in Shanghai.
    ids = encode({"occurred_at": datetime(2022, 4, 25, 20, 30)}, [None])[0].tolist()

    page, position, duration, hour, weekday = ids
    assert (hour, weekday) == (4 + 1, 2)
    assert (page, position, duration) == (0, 0, 0)


def test_a_time_zone_is_heeded_and_no_time_is_now():
    east = timezone(timedelta(hours=8))

    assert moment({"occurred_at": datetime(2022, 4, 25, 4, tzinfo=east)}) == datetime(2022, 4, 24, 20)
    assert abs(moment({}) - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"pages": "feed"}, "says pages, which nothing reads"),
        ({"occurred_at": "2022-04-25"}, "occurred_at is '2022-04-25'"),
        ({"position": "first"}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(encode, context, message):
    with pytest.raises(ServingError, match=message):
        encode(context, [1000])


def test_what_was_asked_before_is_not_encoded_again(encode, monkeypatch):
    at = datetime(2022, 4, 25, 20, 30)
    first = encode({"page": "feed", "occurred_at": at}, [None, 70_000, 500])
    monkeypatch.setattr(encode, "_encode", None)

    again = encode({"page": "feed", "occurred_at": at + timedelta(minutes=14)}, [500, None])

    assert again.tolist() == [first[2].tolist(), first[0].tolist()]


def test_a_new_quarter_of_an_hour_is_encoded_anew(encode):
    hours = [
        encode({"occurred_at": datetime(2022, 4, 25, 20, minute)}, [None])[0][3] for minute in (0, 59)
    ] + [encode({"occurred_at": datetime(2022, 4, 25, 21, 0)}, [None])[0][3]]

    assert hours == [5, 5, 6]


def test_memory_is_bounded(encode, monkeypatch):
    monkeypatch.setattr("lt4rec_core.serving.context.REMEMBERED", 2)

    lengths = [1, 500, 1000, 70_000]
    one_by_one = [encode({"page": "feed"}, [n])[0].tolist() for n in lengths]

    assert len(encode._lengths) <= 3
    for _ in range(2):  # what is forgotten while others are asked for is no loss
        assert encode({"page": "feed"}, lengths).tolist() == one_by_one


def test_rankers_of_one_catalogue_and_time_zone_share_what_is_remembered(served):
    zone = served.platform.source.time_zone

    assert encoder_for(served.catalogue, zone) is encoder_for(served.catalogue, zone)
    assert encoder_for(served.catalogue, "UTC") is not encoder_for(served.catalogue, "Asia/Shanghai")
