from datetime import date, timedelta

import pytest

from lt4rec_assets.partitions import Partitions
from lt4rec_core.errors import ConfigError

FIRST = date(2022, 4, 25)


def partitions(end=None, n_window=2, time_zone="Asia/Shanghai"):
    window = [FIRST + timedelta(days=i) for i in range(n_window)]
    return Partitions.of(start=FIRST, end=end, time_zone=time_zone, tasks=("ctr", "cvr"), window=window)


def test_the_end_is_inclusive():
    days = partitions(end=date(2022, 4, 27)).daily.get_partition_keys()

    assert days == ["2022-04-25", "2022-04-26", "2022-04-27"]


def test_evaluation_starts_on_the_second_day():
    assert partitions(end=date(2022, 4, 27)).from_second_day.get_partition_keys()[0] == "2022-04-26"


def test_without_an_end_the_calendar_reaches_yesterday():
    last = date.fromisoformat(partitions(time_zone="UTC").daily.get_partition_keys()[-1])

    assert timedelta(0) < date.today() - last <= timedelta(days=2)


def test_a_ticket_window_that_the_calendar_cuts_off_is_refused():
    with pytest.raises(
        ConfigError, match=r"ticket window ends on 2022-04-26, after LT4REC_END \(2022-04-25\)"
    ):
        partitions(end=FIRST)
