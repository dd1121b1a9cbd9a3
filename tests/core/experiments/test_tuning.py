from dataclasses import replace

import pytest

from lt4rec_core.errors import ConfigError, TrainingError
from lt4rec_core.experiments.fitting import fit, judge
from lt4rec_core.experiments.tuning import (
    Checkpoint,
    TuningConfig,
    choose_checkpoint,
    ticket_training,
    trials,
    tune,
)
from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore

BUDGET = TuningConfig(n_trials=2, max_epochs=2, boosting_max_iter=(5,))


def checkpoints(*pairs):
    return [Checkpoint(i, 1, {"ctr_auc": auc, "cvr_mse": mse}) for i, (auc, mse) in enumerate(pairs)]


def test_the_best_cvr_is_chosen_among_those_whose_ctr_is_near_its_best():
    found = checkpoints((0.7000, 0.080), (0.7495, 0.100), (0.7500, 0.101), (0.7489, 0.090))

    assert choose_checkpoint(found).trial == 1
    assert choose_checkpoint(found, tolerance=0.01).trial == 3


def test_a_row_of_one_task_is_judged_by_it_alone():
    assert choose_checkpoint([Checkpoint(i, 1, {"ctr_auc": v}) for i, v in enumerate((0.6, 0.8))]).trial == 1
    assert choose_checkpoint([Checkpoint(i, 1, {"cvr_mse": v}) for i, v in enumerate((0.6, 0.8))]).trial == 0


def test_a_checkpoint_without_a_metric_is_not_chosen():
    nan = float("nan")
    assert choose_checkpoint(checkpoints((0.7, 0.1), (nan, 0.01), (0.7, nan))).trial == 0
    with pytest.raises(TrainingError, match="None of 1 checkpoints"):
        choose_checkpoint(checkpoints((nan, 0.1)))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_has_the_same_budget_and_the_same_draws_on_common_axes(base, name):
    tuning = TuningConfig(n_trials=5)
    own, other = trials(VARIANTS[name], base, tuning), trials(VARIANTS["base_cvr"], base, tuning)

    assert len(own) == 5
    for axis in ("learning_rate", "embedding_learning_rate", "adagrad_initial", "cvr_loss", "batch_size"):
        assert [getattr(t.training, axis) for t in own] == [getattr(t.training, axis) for t in other]
    assert len({t.training.learning_rate for t in own}) == 5


def test_trials_start_from_the_base_and_keep_what_defines_the_row(base):
    tried = trials(VARIANTS["s_weight_gradientconflict_damp"], base, TuningConfig(n_trials=4))

    assert tried[0].training.learning_rate == base.training.learning_rate
    assert {t.training.conflict for t in tried} == {"damp_ctr"}
    assert len({t.training.conflict_strength for t in tried}) == 4
    assert {t.training.task_weights for t in tried} == {()}


def test_only_rows_defined_by_task_balance_weigh_tasks(base):
    def weighs(variant):
        return any(t.training.task_weights for t in trials(variant, base, BUDGET))

    weighing = {name for name, variant in VARIANTS.items() if weighs(variant)}

    assert weighing == {"s_weight_taskbalance", "s_weight_tuning"}


def test_tuning_gives_the_settings_of_its_best_checkpoint_and_looks_at_no_test_day(make_data, base, tmp_path):
    data, store = make_data(), ModelStore(tmp_path)

    tuned = tune("hard_sharing", base, BUDGET, data, store)

    assert [(c.trial, c.epoch) for c in tuned.checkpoints] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert tuned.chosen == choose_checkpoint(tuned.checkpoints)
    refitted = fit(tuned.settings, data, data.train, BUDGET.seed, store)
    assert judge(data.valid, refitted.predict(data.valid)) == tuned.chosen.metrics
    assert not set(data.asked) & set(data.split.test)


def test_tickets_are_searched_with_the_tasks_tuned_settings(base):
    ctr = replace(base, training=TrainingConfig(learning_rate=0.02))

    assert ticket_training({"base_ctr": ctr}) == {"ctr": ctr.training}


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="n_trials"):
        TuningConfig(n_trials=0)


def test_scarce_cvr_samples_may_be_met_more_often_by_every_row_that_has_them(base):
    budget = TuningConfig(n_trials=6, cvr_repeats=(1, 2, 4, 8))

    def repeats(name):
        return [s.training.repeats_of("cvr") for s in trials(VARIANTS[name], base, budget)]

    assert repeats("base_cvr") == repeats("hard_sharing") == repeats("s_weight")
    assert repeats("base_cvr")[0] == 1
    assert len(set(repeats("base_cvr"))) > 1
    assert set(repeats("base_ctr")) == {1}


FEW = TuningConfig(n_trials=6, cvr_batch_size=(16, 8, 32), from_single_tasks=True)


@pytest.fixture
def tuned_base(base):
    """With what the single-task rows were frozen with."""
    ctr = TrainingConfig(
        batch_size=512, learning_rate=0.02, embedding_learning_rate=0.03, adagrad_initial=0.01
    )
    cvr = TrainingConfig(learning_rate=0.5, cvr_loss="mse", task_batch_sizes=(("cvr", 8),))
    return replace(base, ticket_training={"ctr": ctr, "cvr": cvr})


def test_few_cvr_samples_are_met_in_smaller_batches_by_every_row_that_has_them(base, tuned_base):
    def sizes(name, start):
        return [s.training.batch_size_of("cvr") for s in trials(VARIANTS[name], start, FEW)]

    assert sizes("base_cvr", base)[0] == 16
    assert set(sizes("base_cvr", base)) == {8, 16, 32}
    assert sizes("base_cvr", base)[1:6] == sizes("hard_sharing", tuned_base)[1:]
    assert all(not t.training.task_batch_sizes for t in trials(VARIANTS["base_ctr"], base, FEW))


def test_rows_of_two_tasks_may_start_where_the_single_tasks_ended(tuned_base):
    tried = [t.training for t in trials(VARIANTS["hard_sharing"], tuned_base, FEW)]

    assert {(t.learning_rate, t.embedding_learning_rate, t.adagrad_initial) for t in tried} == {
        (0.02, 0.03, 0.01)
    }
    assert {t.batch_size for t in tried} == {512}
    assert (tried[0].cvr_loss, tried[0].batch_size_of("cvr")) == ("mse", 8)
    assert {t.cvr_loss for t in tried} == {"mse", "soft_bce"}


def test_single_tasks_have_twice_the_trials_where_others_start_from_them(base, tuned_base):
    assert len(trials(VARIANTS["base_cvr"], base, FEW)) == 12
    assert len(trials(VARIANTS["s_weight"], tuned_base, FEW)) == 6


def test_where_a_step_is_one_batch_for_both_tasks_its_size_is_tried_instead(tuned_base):
    tried = [t.training for t in trials(VARIANTS["mmoe"], tuned_base, FEW)]

    assert tried[0].batch_size == 512
    assert len({t.batch_size for t in tried}) > 1
    assert not any(t.task_batch_sizes for t in tried)
    assert {t.learning_rate for t in tried} == {0.02}
