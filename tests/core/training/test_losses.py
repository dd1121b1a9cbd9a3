import math

import pytest
import torch

from lt4rec_core.training.losses import balance, conflict_weights, project_conflicts, task_loss


def test_bce_is_the_mean_of_minus_the_log_likelihood():
    loss = task_loss("bce", torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.0]))

    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_mse_is_of_the_sigmoid():
    loss = task_loss("mse", torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.25]))

    assert loss.item() == pytest.approx((0.5**2 + 0.5**2) / 2)


@pytest.mark.parametrize("kind", ["mse", "soft_bce"])
def test_the_best_constant_for_soft_labels_is_their_mean(kind):
    labels = torch.tensor([0.1, 0.2, 0.9])
    logit = torch.zeros(3, requires_grad=True)
    mean = torch.logit(labels.mean())

    task_loss(kind, logit + mean, labels).backward()

    assert logit.grad.sum().item() == pytest.approx(0, abs=1e-7)


def test_balance_scales_one_tasks_term():
    assert balance(torch.tensor(2.0), 3.0).item() == 6.0
    assert balance(torch.tensor(2.0), 1.0).item() == 2.0


LABELS = {
    "is_click": torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]),
    "watch_ratio": torch.tensor([0.0, 0.05, 0.8, float("nan"), float("nan")]),
}


def test_raising_weighs_the_watch_loss_of_hardly_watched_clicks_and_no_other_tasks():
    weights = conflict_weights("raise_cvr", "cvr", LABELS, strength=3.0, below=0.1)

    assert weights.tolist() == pytest.approx([4.0, 2.5, 1.0, 1.0, 1.0])
    assert conflict_weights("raise_cvr", "ctr", LABELS, 3.0, 0.1) is None


def test_damping_weighs_the_click_loss_of_hardly_watched_clicks_and_no_other_tasks():
    weights = conflict_weights("damp_ctr", "ctr", LABELS, strength=1.0, below=0.1)

    assert weights.tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0])
    assert conflict_weights("damp_ctr", "cvr", LABELS, 1.0, 0.1) is None
    assert conflict_weights("none", "ctr", LABELS, 1.0, 0.1) is None


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_weights_multiply_the_samples_losses_and_not_the_number_of_samples(kind):
    logits, labels = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 0.0])
    each = [task_loss(kind, logits[i : i + 1], labels[i : i + 1]).item() for i in range(2)]

    loss = task_loss(kind, logits, labels, torch.tensor([3.0, 0.5]))

    assert loss.item() == pytest.approx((3 * each[0] + 0.5 * each[1]) / 2)


def project(*vectors):
    """Each vector split in two, as two parameters would."""
    gradients = [[torch.tensor(v[:1]), torch.tensor(v[1:])] for v in vectors]
    return [torch.cat(g).tolist() for g in project_conflicts(gradients, torch.Generator().manual_seed(0))]


def test_pcgrad_removes_from_each_gradient_its_part_against_the_other():
    first, second = project([1.0, 0.0], [-1.0, 1.0])

    assert first == pytest.approx([0.5, 0.5])  # (1, 0) less -1/2 of (-1, 1)
    assert second == pytest.approx([0.0, 1.0])  # (-1, 1) less -1 of (1, 0)


def test_pcgrad_leaves_gradients_that_agree_or_are_orthogonal():
    assert project([1.0, 1.0], [1.0, 0.0]) == [[1.0, 1.0], [1.0, 0.0]]
    assert project([1.0, 0.0], [0.0, 2.0]) == [[1.0, 0.0], [0.0, 2.0]]


def test_pcgrad_survives_a_task_without_a_gradient():
    assert project([1.0, 0.0], [0.0, 0.0]) == [[1.0, 0.0], [0.0, 0.0]]


def test_pcgrad_of_opposite_gradients_stands_still():
    assert project([2.0, -1.0], [-2.0, 1.0]) == [[0.0, 0.0], [0.0, 0.0]]
