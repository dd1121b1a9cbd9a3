from collections import Counter

import pytest
import torch

from lt4rec_core.errors import TrainingError
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import (
    generator_for,
    iterate_batches,
    iterate_joint_batches,
    rows_of_task,
)

CTR, CVR, LIKE = get_tasks(["ctr", "cvr", "like"])


def batches(samples, tasks=(CTR, CVR), size=16, seed=0):
    return list(iterate_batches(samples, tasks, size, generator_for(seed, "test")))


def test_a_pass_gives_each_task_each_of_its_samples_once(make_samples):
    samples = make_samples(100)
    click = samples.labels["is_click"] == 1

    found = batches(samples)

    ctr = torch.cat([b.ids for b in found if b.task == "ctr"])
    cvr = torch.cat([b.ids for b in found if b.task == "cvr"])
    assert sorted(ctr.tolist()) == sorted(samples.ids.tolist())
    assert sorted(cvr.tolist()) == sorted(samples.ids[click].tolist())


def test_a_task_that_is_repeated_meets_each_of_its_samples_that_often_in_other_batches(make_samples):
    samples, (ctr, cvr) = make_samples(60), get_tasks(["ctr", "cvr"])
    samples.ids[:, 0] = torch.arange(60)

    found = list(iterate_batches(samples, (ctr, cvr), 8, generator_for(0), repeats={"cvr": 3}))

    met = Counter(row for batch in found if batch.task == "cvr" for row in batch.ids[:, 0].tolist())
    assert set(met.values()) == {3}
    assert len(met) == int((samples.labels["is_click"] == 1).sum())
    assert set(Counter(r for b in found if b.task == "ctr" for r in b.ids[:, 0].tolist()).values()) == {1}
    batches = {tuple(sorted(b.ids[:, 0].tolist())) for b in found if b.task == "cvr"}
    assert len(batches) == sum(b.task == "cvr" for b in found)


def test_a_task_with_a_batch_size_of_its_own_has_more_turns_over_the_same_samples(make_samples):
    samples = make_samples(60)
    samples.ids[:, 0] = torch.arange(60)

    found = list(iterate_batches(samples, (CTR, CVR), 32, generator_for(0), batch_sizes={"cvr": 4}))

    cvr = [batch.ids[:, 0].tolist() for batch in found if batch.task == "cvr"]
    assert all(len(rows) <= 4 for rows in cvr)
    watched = (samples.labels["is_click"] == 1).nonzero().squeeze(1).tolist()
    assert sorted(row for rows in cvr for row in rows) == watched
    assert [len(b.labels) for b in found if b.task == "ctr"].count(32) == 1


def test_labels_and_lists_stay_with_their_samples(make_samples):
    samples = make_samples(50)
    history, clicks = samples.lists["m_history"].tolist(), samples.labels["is_click"].tolist()
    whole = {(tuple(i), tuple(h), c) for i, h, c in zip(samples.ids.tolist(), history, clicks, strict=True)}

    for b in batches(samples, (CTR,)):
        rows = zip(b.ids.tolist(), b.lists["m_history"].tolist(), b.labels.tolist(), strict=True)
        assert {(tuple(i), tuple(h), c) for i, h, c in rows} <= whole


def test_turns_are_in_proportion_to_samples_and_mixed(make_samples):
    samples = make_samples(1000)
    n_clicks = int((samples.labels["is_click"] == 1).sum())

    turns = [b.task for b in batches(samples, size=10)]

    assert Counter(turns) == {"ctr": 100, "cvr": -(-n_clicks // 10)}
    assert "cvr" in turns[:20]
    assert "ctr" in turns[-20:]


def test_equal_seeds_give_equal_batches_and_others_others(make_samples):
    samples = make_samples(100)
    first, same, other = (batches(samples, seed=seed) for seed in (1, 1, 2))

    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, same, strict=True))
    assert not all(torch.equal(a.ids, b.ids) for a, b in zip(first, other, strict=True))


def test_samples_with_unknown_labels_are_nobodys(make_samples):
    samples = make_samples(10)
    samples.labels["is_click"][3] = float("nan")

    assert 3 not in rows_of_task(samples, CTR).tolist()


def test_a_click_without_watch_ratio_is_no_sample_of_cvr(make_samples):
    samples = make_samples(10)
    samples.labels["is_click"][:] = 1
    samples.labels["watch_ratio"][:] = 0.5
    samples.labels["watch_ratio"][2] = float("nan")

    assert rows_of_task(samples, CVR).tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]


def test_a_task_without_its_label_column_is_refused(make_samples):
    with pytest.raises(TrainingError, match="Task 'like' needs the label 'is_like', found is_click"):
        rows_of_task(make_samples(3), LIKE)


def test_each_purpose_has_a_stream_of_its_own():
    drawn = {int(torch.randint(2**60, (), generator=generator_for(1, name))) for name in ("a", "b", "a")}

    assert len(drawn) == 2


def test_joint_batches_meet_every_impression_once_with_all_its_labels(make_samples):
    samples = make_samples(100)
    ctr, cvr = get_tasks(["ctr", "cvr"])

    batches = list(iterate_joint_batches(samples, (ctr, cvr), 16, generator_for(0)))

    assert [len(batch.ids) for batch in batches] == [16] * 6 + [4]
    clicked = samples.labels["is_click"] == 1
    parts = [(batch.ids, batch.parts["cvr"]) for batch in batches if "cvr" in batch.parts]
    watched = torch.cat([part.labels for _, part in parts])
    assert torch.equal(watched.sort().values, samples.labels["watch_ratio"][clicked].sort().values)
    assert sum(len(batch.parts["ctr"].rows) for batch in batches) == 100
    for ids, part in parts:
        same = (samples.ids[:, None] == ids[part.rows]).all(-1)  # (n, m): which sample a row is
        assert all(
            label in samples.labels["watch_ratio"][same[:, i]].tolist()
            for i, label in enumerate(part.labels.tolist())
        )


def test_weights_of_samples_follow_them_into_their_batches(make_samples):
    samples, (ctr,) = make_samples(50), get_tasks(["ctr"])
    weights = {"ctr": samples.labels["is_click"] + 1}

    for batch in iterate_batches(samples, (ctr,), 8, generator_for(0), weights):
        assert torch.equal(batch.weights, batch.labels + 1)
    for batch in iterate_joint_batches(samples, (ctr,), 8, generator_for(0), weights):
        assert torch.equal(batch.parts["ctr"].weights, batch.parts["ctr"].labels + 1)
