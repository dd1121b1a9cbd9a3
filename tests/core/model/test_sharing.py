import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits, trunk_logits


@pytest.fixture
def net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))


@pytest.fixture
def half(net):
    g = torch.Generator().manual_seed(1)
    return {name: torch.rand(w.shape, generator=g) < 0.5 for name, w in net.trunk_weights().items()}


def test_a_task_sees_the_trunk_times_its_mask(net, half):
    fields = torch.randn(6, 5, 4)

    x = net.interact(fields)
    for name, layer in zip(half, net.trunk, strict=True):
        pruned = layer.weight.detach().clone()
        pruned[~half[name]] = 0
        x = F.relu(x @ pruned.T + layer.bias)
    expected = functional_call(net.logits["cvr"], {}, (x,)).squeeze(1)

    assert torch.allclose(task_logits(net, "cvr", fields, half), expected, atol=1e-6)


def test_all_true_masks_share_the_whole_trunk(net):
    fields = torch.randn(6, 5, 4)

    dense = task_logits(net, "ctr", fields, None)

    assert torch.equal(task_logits(net, "ctr", fields, keep_all(net.trunk_weights())), dense)


def test_the_gradient_of_a_removed_weight_is_exactly_zero(net, half):
    task_logits(net, "ctr", torch.randn(6, 5, 4), half).sum().backward()

    for name, weight in net.trunk_weights().items():
        assert not weight.grad[~half[name]].any()
        assert weight.grad[half[name]].any()


def test_tasks_can_share_the_trunks_input(net, half):
    fields = torch.randn(6, 5, 4)
    inputs = net.interact(fields)

    for task in net.tasks:
        assert torch.equal(trunk_logits(net, task, inputs, half), task_logits(net, task, fields, half))
