from dataclasses import replace

import pytest

from lt4rec_core.config import from_mapping
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.settings import TrainingConfig


@pytest.mark.parametrize("kind", ["soft_bce", "mse"])
def test_cvrs_loss_is_a_setting_and_the_other_tasks_keep_theirs(kind):
    ctr, cvr = get_tasks(["ctr", "cvr"])
    config = TrainingConfig(cvr_loss=kind)

    assert (config.loss_of(ctr), config.loss_of(cvr)) == ("bce", kind)


def test_task_weights_may_be_a_table_and_do_not_depend_on_its_order():
    first = from_mapping(TrainingConfig, {"task_weights": {"cvr": 2, "ctr": 1}})

    assert first == TrainingConfig(task_weights=(("ctr", 1.0), ("cvr", 2.0)))
    assert first.weight_of("cvr") == 2.0
    assert first.weight_of("like") == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": "sideways"}, "steps must be one of"),
        ({"conflict": "both"}, "conflict must be one of"),
        ({"conflict": "damp_ctr", "conflict_strength": 1.5}, "turn the gradient round"),
        ({"conflict_below": 0.0}, "conflict_below is a watch ratio"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)


def test_repeats_are_read_from_a_table_and_do_nothing_in_joint_steps():
    config = from_mapping(TrainingConfig, {"task_repeats": {"cvr": 4}})

    assert config.repeats_of("cvr") == 4
    assert config.repeats_of("ctr") == 1
    assert config == TrainingConfig(task_repeats=(("cvr", 4),))
    assert replace(config, steps="joint").repeats_of("cvr") == 1


def test_a_task_is_met_at_least_once():
    with pytest.raises(ConfigError, match=r"task_repeats must be at least 1, got {'cvr': 0}"):
        TrainingConfig(task_repeats=(("cvr", 0),))
