import math
from dataclasses import replace

import pytest
import torch

from lt4rec_core.model import backprop as module
from lt4rec_core.model.backprop import Backprop
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.towers import HardSharingNet
from lt4rec_core.training.losses import balance, loss_and_slope, task_loss


def make_net(catalogue, config, **changes):
    net = SharedNet(catalogue, ("ctr", "cvr"), replace(config, **changes), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():  # first values are small: products would not matter
            parameter.normal_(std=0.5, generator=generator)
    return net


def draw_masks(net, biases):
    weights = net.trunk_weights()
    names = dict(net.named_parameters())
    covered = [*weights, *(n.replace("weight", "bias") for n in weights)] if biases else list(weights)
    return {name: (torch.rand(names[name].shape) < 0.5).float() for name in covered}


def by_autograd(net, task, kind, lookup, labels, weights, weight, mask):
    fields = net.embed(lookup).requires_grad_()
    loss = task_loss(kind, task_logits(net, task, fields, mask), labels, weights)
    wanted = [fields, *net.task_parameters(task).values()]
    return loss.item(), *torch.autograd.grad(balance(loss, weight), wanted)


@pytest.fixture
def batch(make_samples):
    samples = make_samples(37)
    labels, weights = torch.rand(2, 37, generator=torch.Generator().manual_seed(2))
    return samples, labels, weights + 0.5


@pytest.mark.parametrize("interaction", ["dot", "none"])
@pytest.mark.parametrize("masked", ["dense", "weights", "neurons"])
@pytest.mark.parametrize(("kind", "weighted"), [("bce", False), ("soft_bce", True), ("mse", True)])
def test_its_gradients_are_those_of_autograd(
    catalogue, small_network, batch, interaction, masked, kind, weighted, monkeypatch
):
    monkeypatch.setattr(module, "CACHED", 100)  # a few rows at a time
    net = make_net(catalogue, small_network, interaction=interaction)
    samples, labels, weights = batch
    lookup, weights = net.lookup(samples.ids, samples.lists), weights if weighted else None
    mask = None if masked == "dense" else draw_masks(net, masked == "neurons")
    backprop = Backprop(net, {"ctr": None, "cvr": mask})

    for _ in range(2):  # the second time through the same buffers
        loss, for_fields, own = backprop.gradients(
            "cvr", lookup, lambda logits: loss_and_slope(kind, logits, labels, weights, 0.5)
        )

    expected_loss, *expected = by_autograd(net, "cvr", kind, lookup, labels, weights, 0.5, mask)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for found, wanted in zip([for_fields, *own], expected, strict=True):
        assert found.dtype == torch.float32
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_outside_a_mask_are_exactly_zero(catalogue, small_network, batch, dtype):
    net = make_net(catalogue, small_network)
    samples, labels, _ = batch
    mask = draw_masks(net, biases=False)

    _, _, own = Backprop(net, {"ctr": mask}, dtype).gradients(
        "ctr",
        net.lookup(samples.ids, samples.lists),
        lambda logits: loss_and_slope("bce", logits, labels, None, 1.0),
    )

    for name, gradient in zip(net.task_parameters("ctr"), own, strict=True):
        if name in mask:
            assert not gradient[mask[name] == 0].any()
            assert gradient[mask[name] == 1].any()


def test_bf16_rounds_products_to_eight_bits_and_no_worse(catalogue, small_network, batch):
    net = make_net(catalogue, small_network)
    samples, labels, _ = batch
    lookup = net.lookup(samples.ids, samples.lists)
    before = {name: value.clone() for name, value in net.named_parameters()}

    _, for_fields, own = Backprop(net, {}, torch.bfloat16).gradients(
        "ctr", lookup, lambda logits: loss_and_slope("bce", logits, labels, None, 1.0)
    )

    _, *expected = by_autograd(net, "ctr", "bce", lookup, labels, None, 1.0, None)
    for found, wanted in zip([for_fields, *own], expected, strict=True):
        assert not torch.equal(found, wanted)
        assert torch.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.99
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


def test_a_loss_that_is_not_finite_has_no_gradients(catalogue, small_network, batch):
    net = make_net(catalogue, small_network)
    samples, _, _ = batch
    loss, _, own = Backprop(net, {}).gradients(
        "ctr", net.lookup(samples.ids, samples.lists), lambda logits: (math.nan, logits)
    )
    assert math.isnan(loss)
    assert own == []


def test_it_takes_the_plain_network_alone(catalogue, small_network):
    generator = torch.Generator()
    assert Backprop.takes(make_net(catalogue, small_network))
    assert not Backprop.takes(make_net(catalogue, small_network, interaction="user_video"))
    assert not Backprop.takes(SharedNet(catalogue, ("ctr",), small_network, generator, {"ctr": 2}))
    assert not Backprop.takes(HardSharingNet(catalogue, ("ctr",), small_network, generator))
