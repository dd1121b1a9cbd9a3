from datetime import date, timedelta

import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.experiments.splits import Split

DAYS = [date(2022, 4, 8) + timedelta(days=i) for i in range(10)]


def test_by_default_the_last_two_days_test_and_the_one_before_validates():
    split = Split.by_day(DAYS)

    assert (split.train, split.valid, split.test) == (tuple(DAYS[:7]), (DAYS[7],), tuple(DAYS[8:]))
    assert split.ticket == split.train


def test_the_ticket_window_is_the_first_train_days():
    assert Split.by_day(DAYS, n_ticket=3).ticket == tuple(DAYS[:3])


def test_too_few_days_are_refused():
    with pytest.raises(ConfigError, match="at least 2 train days, got 4"):
        Split.by_day(DAYS[:4])


@pytest.mark.parametrize(
    ("train", "valid", "test"), [((0, 1), (1,), (2,)), ((0, 1), (3,), (2,)), ((0, 1), (), (2,))]
)
def test_days_out_of_order_or_in_two_roles_are_refused(train, valid, test):
    days = [tuple(DAYS[i] for i in part) for part in (train, valid, test)]
    with pytest.raises(ConfigError, match="each day once and in order"):
        Split(train=days[0], valid=days[1], test=days[2], ticket=days[0])


def test_a_ticket_window_outside_the_train_days_is_refused():
    with pytest.raises(ConfigError, match="ticket window"):
        Split(train=tuple(DAYS[:3]), valid=(DAYS[3],), test=(DAYS[4],), ticket=tuple(DAYS[2:4]))


def test_labels_are_scarce_where_they_train_and_whole_where_they_judge(make_data):
    whole, scarce = make_data(400), make_data(400, label_share=0.1)

    def n_labels(samples):
        return int((~samples.labels["watch_ratio"].isnan()).sum())

    for part in ("train", "refit", "ticket_train", "ticket_valid"):
        share = n_labels(getattr(scarce, part)) / n_labels(getattr(whole, part))
        assert 0.03 < share < 0.2
    assert n_labels(scarce.valid) == n_labels(whole.valid)
