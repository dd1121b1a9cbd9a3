from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from lt4rec_core.errors import TrainingError
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import Batch, generator_for, iterate_joint_batches
from lt4rec_core.training.optimizers import JOINT, make_optimizers
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.steps import joint_stepper, single_step, step_together
from lt4rec_core.training.trainer import train

CTR, CVR = get_tasks(["ctr", "cvr"])
JOINT_STEPS = TrainingConfig(batch_size=64, learning_rate=0.01, steps="joint", unknown_dropout=0.0)
DENSE = {"ctr": None, "cvr": None}


@pytest.fixture
def make_net(catalogue, small_network):
    def make(views=None):
        return SharedNet(catalogue, ("ctr", "cvr"), small_network, generator_for(3), views)

    return make


class Recorder:
    """In place of an Adam: keeps the gradients and moves nothing."""

    def __init__(self, parameters):
        self.parameters, self.seen = parameters, {}

    def step(self, gradients):
        self.seen = dict(zip(self.parameters, gradients, strict=True))


def gradients_of(net, samples, config):
    """What a joint step hands to its Adam; the network itself is left as it is."""
    net = deepcopy(net)
    optimizers = make_optimizers(net, config)
    optimizers.tasks[JOINT] = recorder = Recorder(optimizers.tasks[JOINT].parameters)
    batch = next(iter(iterate_joint_batches(samples, (CTR, CVR), 64, generator_for(0))))
    joint_stepper(net, optimizers, config, (CTR, CVR), DENSE, generator_for(0))(batch, 0)
    return recorder.seen


def plain_gradients(net, samples):
    """Per task the trunk's gradients of the mean loss over its samples, by autograd alone."""
    fields = net.embed(net.lookup(samples.ids, samples.lists))
    clicked = samples.labels["is_click"] == 1
    cross_entropy = F.binary_cross_entropy_with_logits
    ctr = cross_entropy(task_logits(net, "ctr", fields, None), samples.labels["is_click"])
    watched = samples.labels["watch_ratio"][clicked]
    cvr = cross_entropy(task_logits(net, "cvr", fields, None)[clicked], watched)
    weights = list(net.trunk.parameters())
    return [torch.autograd.grad(loss, weights, retain_graph=True) for loss in (ctr, cvr)]


def test_a_joint_step_follows_the_weighted_sum_of_both_losses(make_net, make_samples):
    net, samples = make_net(), make_samples(64)
    config = replace(JOINT_STEPS, task_weights=(("cvr", 3.0),))

    seen = gradients_of(net, samples, config)

    ctr, cvr = plain_gradients(net, samples)
    for (name, _), a, b in zip(net.trunk.named_parameters(), ctr, cvr, strict=True):
        assert torch.allclose(seen[f"trunk.{name}"], a + 3 * b, atol=1e-6)


def test_a_pcgrad_step_is_a_joint_step_where_gradients_agree(make_net, make_samples):
    net, samples = make_net(), make_samples(64)
    samples.labels["watch_ratio"][samples.labels["is_click"] == 1] = 1.0  # clicks are watched to the end
    samples.labels["is_click"][:] = 1.0
    samples.labels["watch_ratio"][:] = 1.0
    with torch.no_grad():
        net.logits["cvr"].weight.copy_(net.logits["ctr"].weight)  # the same task twice

    both = [gradients_of(net, samples, replace(JOINT_STEPS, steps=steps)) for steps in ("joint", "pcgrad")]

    assert all(torch.allclose(both[0][name], both[1][name], atol=1e-7) for name in both[0])


def test_a_pcgrad_step_of_opposite_tasks_moves_logit_layers_alone(make_net, make_samples):
    net, samples = make_net(), make_samples(64)
    samples.labels["is_click"][:] = 1.0
    samples.labels["watch_ratio"][:] = 1.0
    with torch.no_grad():
        net.logits["ctr"].weight.mul_(1e-4)
        net.logits["cvr"].weight.copy_(-net.logits["ctr"].weight)  # nearly 0.5 for both, pulling apart

    seen = gradients_of(net, samples, replace(JOINT_STEPS, steps="pcgrad"))

    scale = seen["logits.ctr.weight"].abs().max()
    trunk = [g.abs().max() for name, g in seen.items() if name.startswith("trunk")]
    assert max(trunk) < 1e-6 * scale
    assert scale > 0


@pytest.mark.parametrize("steps", ["joint", "pcgrad"])
def test_joint_steps_learn_both_tasks(make_net, make_samples, steps):
    net, samples, config = make_net(), make_samples(2000, seed=1), replace(JOINT_STEPS, steps=steps)
    optimizers = make_optimizers(net, config)
    first = train(net, optimizers, samples, (CTR, CVR), config, generator_for(0))

    later = train(net, optimizers, samples, (CTR, CVR), config, generator_for(1), epochs=3)

    assert all(later[task].loss < first[task].loss - 0.01 for task in ("ctr", "cvr"))
    assert later["ctr"].n == 3 * len(samples)


def test_joint_steps_refuse_masks_and_views(make_net, make_samples):
    for net, masks in ((make_net(), True), (make_net({"cvr": 2}), False)):
        mask = {"ctr": keep_all(net.trunk_weights())} if masks else None
        optimizers, samples = make_optimizers(net, JOINT_STEPS), make_samples(50)
        with pytest.raises(TrainingError, match="respects neither masks nor views"):
            train(net, optimizers, samples, (CTR, CVR), JOINT_STEPS, generator_for(0), masks=mask)


def test_a_view_moves_with_its_own_task_only(make_net, make_samples):
    net, config = make_net({"cvr": 2}), TrainingConfig(batch_size=32)
    optimizers, before = make_optimizers(net, config), net.views["cvr"].clone()

    train(net, optimizers, make_samples(200), (CTR,), config, generator_for(0))
    assert torch.equal(net.views["cvr"], before)

    train(net, optimizers, make_samples(200), (CVR,), config, generator_for(0))
    assert not torch.equal(net.views["cvr"], before)


def test_weighing_a_batch_by_zero_is_a_step_without_a_gradient(make_net, make_samples):
    net, config, samples = make_net(), TrainingConfig(), make_samples(20)
    before = {name: p.clone() for name, p in net.named_parameters()}
    batch = Batch("ctr", samples.ids, samples.lists, samples.labels["is_click"], torch.zeros(20))

    single_step(net, make_optimizers(net, config), config, (CTR, CVR), DENSE, batch, 0)

    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


TOGETHER = replace(JOINT_STEPS, steps="together")


def random_masks(net, share=0.5):
    g = generator_for(5)
    return {
        task: {n: torch.rand(w.shape, generator=g) < share for n, w in net.trunk_weights().items()}
        for task in net.tasks
    }


def test_a_step_together_hands_each_adam_its_own_gradient_and_the_embeddings_the_sum(make_net, make_samples):
    net, samples = make_net(), make_samples(64)
    optimizers = make_optimizers(net, TOGETHER)
    optimizers.tasks = {task: Recorder(adam.parameters) for task, adam in optimizers.tasks.items()}
    asked = []
    optimizers.embedding.step = lambda lookup, gradient: asked.append((lookup, gradient))
    batch = next(iter(iterate_joint_batches(samples, (CTR, CVR), 64, generator_for(0))))

    step_together(net, optimizers, TOGETHER, (CTR, CVR), DENSE, batch, 0)

    expected = dict(zip(("ctr", "cvr"), plain_gradients(net, samples), strict=True))
    for task in ("ctr", "cvr"):
        seen = [g for name, g in optimizers.tasks[task].seen.items() if name.startswith("trunk.")]
        assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(seen, expected[task], strict=True))
    ((lookup, gradient),) = asked
    fields = net.embed(lookup).requires_grad_()
    losses = [
        F.binary_cross_entropy_with_logits(task_logits(net, t, fields[p.rows], None), p.labels)
        for t, p in batch.parts.items()
    ]
    assert torch.allclose(gradient, torch.autograd.grad(sum(losses), fields)[0], atol=1e-8)


def test_together_no_task_moves_a_trunk_weight_outside_its_mask(make_net, make_samples):
    net, samples = make_net(), make_samples(300)
    masks = random_masks(net)
    nobodys = {name: ~(masks["ctr"][name] | masks["cvr"][name]) for name in masks["ctr"]}
    before = {name: weight.clone() for name, weight in net.trunk_weights().items()}
    config = replace(TOGETHER, batch_size=32)

    train(
        net, make_optimizers(net, config, masks), samples, (CTR, CVR), config, generator_for(0), masks=masks
    )

    for name, weight in net.trunk_weights().items():
        assert torch.equal(weight[nobodys[name]], before[name][nobodys[name]])
        assert not torch.equal(weight, before[name])


def test_together_a_task_without_samples_moves_nothing_of_its_own(make_net, make_samples):
    net, samples = make_net(), make_samples(100)
    samples.labels["watch_ratio"][:] = float("nan")
    masks = random_masks(net)
    cvrs = {name: masks["cvr"][name] & ~masks["ctr"][name] for name in masks["cvr"]}
    before = {name: weight.clone() for name, weight in net.trunk_weights().items()}

    train(net, make_optimizers(net, TOGETHER), samples, (CTR, CVR), TOGETHER, generator_for(0), masks=masks)

    assert all(torch.equal(w[cvrs[n]], before[n][cvrs[n]]) for n, w in net.trunk_weights().items())


def test_one_task_alone_is_trained_together_as_it_is_alternating(make_net, make_samples):
    samples, trained = make_samples(64), []
    for steps in ("together", "alternating"):
        net, config = make_net(), replace(TOGETHER, steps=steps)
        train(net, make_optimizers(net, config), samples, (CTR,), config, generator_for(0))
        trained.append(net)

    first, second = (dict(net.named_parameters()) | dict(net.named_buffers()) for net in trained)
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_together_refuses_views(make_net, make_samples):
    net = make_net(views={"cvr": 2})

    with pytest.raises(TrainingError, match="views of one task alone"):
        train(net, make_optimizers(net, TOGETHER), make_samples(64), (CTR, CVR), TOGETHER, generator_for(0))
