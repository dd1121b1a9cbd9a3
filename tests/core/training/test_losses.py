import math

import pytest
import torch

from lt4rec_core.training.losses import balance, task_loss


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
