from dataclasses import replace

import pytest

from lt4rec_core.experiments.ablation import CHANGES, ablate
from lt4rec_core.experiments.fitting import fit, judge

NO_CHANGE = {"nothing": lambda s: s}
TWICE = {"2 passes": lambda s: replace(s, epochs=2)}


@pytest.fixture
def race(make_race):
    return make_race(max_epochs=1, n_trials=1)


def test_a_change_is_judged_on_the_validation_days_against_the_row_itself(race):
    data, frozen = race.data, race.tune("base_ctr").settings

    (found,) = ablate(race, "base_ctr", (0, 1), TWICE)

    def auc(settings, seed):
        fitted = fit(settings, data, data.train, seed, race.tickets)
        return judge(data.valid, fitted.predict(data.valid))["ctr_auc"]

    before = [auc(frozen, seed) for seed in (0, 1)]
    after = [auc(replace(frozen, epochs=2), seed) for seed in (0, 1)]
    assert found.value == pytest.approx(sum(after) / 2)
    assert found.difference == pytest.approx((sum(after) - sum(before)) / 2)
    assert found.ci_low <= found.difference <= found.ci_high


def test_no_test_day_is_loaded(race):
    ablate(race, "base_ctr", (0, 1), TWICE)

    assert not set(race.data.asked) & set(race.data.split.test)


def test_what_changes_nothing_is_left_out(race):
    assert ablate(race, "base_ctr", (0, 1), NO_CHANGE) == []


def test_what_was_measured_is_not_measured_again(race, monkeypatch):
    first = ablate(race, "base_ctr", (0, 1), TWICE)

    monkeypatch.setattr("lt4rec_core.experiments.ablation.fit", None)

    assert ablate(race, "base_ctr", (0, 1), TWICE) == first


def test_a_row_of_two_tasks_has_both_metrics(race):
    found = ablate(race, "full_sharing", (0, 1), TWICE)

    assert {row.metric for row in found} == {"ctr_auc", "cvr_mse"}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_makes_settings_that_can_be_trained(base, change):
    changed = CHANGES[change](replace(base, epochs=3))

    assert changed != replace(base, epochs=3) or change == "Adagrad from 0"
