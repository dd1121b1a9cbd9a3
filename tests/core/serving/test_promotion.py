from datetime import date

import numpy as np
import pytest
import torch

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.evaluation.uncertainty import ScoredRows
from lt4rec_core.serving.promotion import DayRows, decide, difference, review
from lt4rec_core.serving.settings import ServingConfig

N = 2000
G = np.random.default_rng(0)
USERS = np.arange(N) % 100
CLICKS = (G.random(N) < 0.5).astype(float)
WATCHED = np.where(CLICKS == 1, G.random(N), np.nan)
ROWS = DayRows(CLICKS, WATCHED, USERS)
YESTERDAY = date(2026, 1, 7)
CONSTANT = float(np.nanvar(WATCHED))


def scores(skill, seed=1):
    """Predictions between noise (0) and the labels themselves (1)."""
    noise = np.random.default_rng(seed).random(N)
    watched = np.nan_to_num(WATCHED, nan=0.5)
    return {"ctr": skill * CLICKS + (1 - skill) * noise, "cvr": skill * watched + (1 - skill) * 0.5}


def failed(decision):
    return [finding.rule for finding in decision.findings if not finding.holds]


def judge(models, in_use=None, constant=CONSTANT, **config):
    return decide(ServingConfig(**config), ROWS, models, constant, in_use, seed=1)


def test_good_models_go_into_use_on_the_first_day():
    decision = judge({"yesterday's model": scores(0.3), "the new model": scores(0.4)})

    assert decision.promoted
    assert decision.in_use is None
    assert decision.reason == "all 4 rules hold"


def test_a_model_below_the_auc_floor_is_kept_back_and_says_so():
    decision = judge(
        {"yesterday's model": scores(0.0), "the new model": scores(0.4)}, mse_below_constant=False
    )

    assert not decision.promoted
    assert failed(decision) == ["auc_floor"]
    assert "CTR AUC of yesterday's model is 0.4" in decision.reason or "is 0.5" in decision.reason


def test_a_model_no_better_than_the_constant_is_kept_back():
    worse = scores(0.4) | {"cvr": 1 - scores(0.4)["cvr"]}

    decision = judge({"the new model": worse})

    assert failed(decision) == ["mse_below_constant"]
    assert "the constant's" in decision.reason


def test_a_model_clearly_worse_than_the_one_in_use_is_kept_back():
    decision = judge({"the new model": scores(0.2)}, in_use=(YESTERDAY, scores(0.6)))

    assert failed(decision) == ["no_regression_ctr", "no_regression_cvr"]
    assert decision.in_use == YESTERDAY
    assert "of the ranker in use (of 2026-01-07) by -0." in decision.reason


def test_a_difference_within_the_interval_is_no_regression():
    same = scores(0.3)

    assert judge({"the new model": same}, in_use=(YESTERDAY, dict(same))).promoted
    jittered = {task: values + 1e-3 * np.random.default_rng(3).random(N) for task, values in same.items()}
    assert judge({"the new model": jittered}, in_use=(YESTERDAY, same), mse_below_constant=False).promoted


def test_the_ranker_in_use_is_not_compared_with_itself():
    measured = scores(0.3)

    decision = judge({"yesterday's model": measured, "the new model": scores(0.4)}, (YESTERDAY, measured))

    compared = [f.message for f in decision.findings if f.rule.startswith("no_regression")]
    assert len(compared) == 2
    assert all("of the new model differs" in message for message in compared)


def test_a_better_model_is_no_regression():
    assert judge({"the new model": scores(0.6)}, in_use=(YESTERDAY, scores(0.3))).promoted


def test_rules_can_be_switched_off():
    decision = judge(
        {"the new model": scores(0.0)}, in_use=(YESTERDAY, scores(0.9)),
        auc_floor=0.0, mse_below_constant=False, no_regression=False,
    )  # fmt: skip

    assert decision.promoted
    assert decision.findings == ()


def test_a_day_without_a_click_has_no_cvr_to_judge():
    rows = DayRows(np.zeros(N), np.full(N, np.nan), USERS)

    decision = decide(
        ServingConfig(auc_floor=0.0), rows, {"m": scores(0.1)}, 0.1, (YESTERDAY, scores(0.9)), 0
    )

    assert decision.promoted


def test_the_interval_covers_the_difference_of_the_values():
    ours = ScoredRows(scores(0.3)["ctr"], CLICKS, CLICKS == 1, USERS)
    theirs = ScoredRows(scores(0.25, seed=8)["ctr"], CLICKS, CLICKS == 1, USERS)
    ones = np.ones(100, dtype=np.int64)

    found = difference(ours, theirs, "auc", np.random.default_rng(0), 200)

    assert found.low < ours.weighted(ones)["auc"] - theirs.weighted(ones)["auc"] < found.high
    assert difference(ours, theirs, "auc", np.random.default_rng(0), 200) == found


def test_one_user_gives_no_interval():
    one = ScoredRows(np.zeros(3), np.zeros(3), np.zeros(3, bool), np.zeros(3, np.int64))

    assert np.isnan(difference(one, one, "mse", np.random.default_rng(0), 20).low)


def test_rows_are_taken_from_samples():
    labels = {"is_click": torch.tensor([1.0, 0.0, 1.0]), "watch_ratio": torch.tensor([0.5, torch.nan, 1.0])}
    rows = DayRows.of(SampleSet(torch.zeros(3, 1).int(), {}, labels), ["b", "a", "b"])

    assert rows.users.tolist() == [1, 0, 1]
    scored = rows.scored({"ctr": np.array([0.1, 0.2, 0.3]), "cvr": np.array([0.4, 0.5, 0.6])})
    assert scored["cvr"].scores.tolist() == [0.4, 0.6]
    assert scored["cvr"].labels.tolist() == [0.5, 1.0]
    assert scored["ctr"].labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("users", [[0, 0, 0]])
def test_a_single_user_promotes_by_the_floors_alone(users):
    rows = DayRows(np.array([1.0, 0, 1]), np.array([0.5, np.nan, 1]), np.array(users))
    good = {"ctr": np.array([0.9, 0.1, 0.8]), "cvr": np.array([0.5, 0.5, 0.9])}

    assert decide(ServingConfig(), rows, {"m": good}, 0.1, (YESTERDAY, good), 0).promoted


def look(*rankers, **config):
    return review(ServingConfig(**config), ROWS, iter(rankers), CONSTANT)


GOOD, BAD = scores(0.4), scores(0.0)


def test_a_ranker_that_holds_the_floors_stays_in_use_and_no_older_one_is_read():
    def unread():
        yield "new", GOOD
        raise AssertionError("the older ones need not be scored")

    found = review(ServingConfig(), ROWS, unread(), CONSTANT)

    assert found.in_use == ("new", GOOD)
    assert (found.withdrawn, found.spared) == ({}, "")


def test_rankers_below_a_floor_are_withdrawn_up_to_the_newest_good_one():
    found = look(("new", BAD), ("newer", BAD), ("old", GOOD), ("oldest", BAD))

    assert found.in_use == ("old", GOOD)
    assert list(found.withdrawn) == ["new", "newer"]
    assert "CTR AUC of the ranker new is 0." in found.withdrawn["new"]


def test_where_none_holds_the_floors_all_stay():
    found = look(("new", BAD), ("old", BAD))

    assert found.in_use == ("new", BAD)
    assert found.withdrawn == {}
    assert found.spared.startswith("none that stands holds the floors, so none is withdrawn: CTR AUC")


def test_without_a_ranker_nothing_is_in_use_and_nothing_withdrawn():
    assert look().in_use is None
    assert look().withdrawn == {}
