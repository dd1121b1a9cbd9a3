import pytest

from lt4rec_core.data.loading import LABEL_COLUMNS
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import KNOWN_TASKS, get_tasks


def test_cvr_learns_the_continuous_watch_ratio_of_clicks_and_is_judged_by_mse():
    (cvr,) = get_tasks(["cvr"])

    assert (cvr.label, cvr.sample, cvr.metric) == ("watch_ratio", "clicked", "mse")
    assert not cvr.higher_is_better


def test_ctr_learns_from_every_impression_and_is_judged_by_auc():
    (ctr,) = get_tasks(["ctr"])

    assert (ctr.label, ctr.sample, ctr.metric) == ("is_click", "all", "auc")
    assert ctr.higher_is_better


def test_tasks_keep_the_order_they_are_named_in():
    assert [task.name for task in get_tasks(["like", "ctr"])] == ["like", "ctr"]


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"Unknown task: clik\. Known tasks are ctr, cvr, like"):
        get_tasks(["ctr", "clik"])


@pytest.mark.parametrize("names", [[], ["ctr", "ctr"]])
def test_no_task_or_a_task_named_twice_is_refused(names):
    with pytest.raises(ConfigError, match="named once each"):
        get_tasks(names)


def test_the_label_of_every_task_is_one_that_is_loaded():
    assert {task.label for task in KNOWN_TASKS.values()} <= set(LABEL_COLUMNS)
