from dataclasses import replace

import pytest
import torch

from lt4rec_core.errors import ConfigError
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import generator_for
from lt4rec_core.training.losses import task_loss
from lt4rec_core.training.saliency import weight_saliency
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.tickets import PruneConfig, find_ticket

N = 64
ONE_BATCH = TrainingConfig(batch_size=N, unknown_dropout=0.0)
(CTR,) = get_tasks(["ctr"])


@pytest.fixture
def net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr",), small_network, generator_for(0))


@pytest.fixture
def mask(net):
    """Everything but the first input of the first layer."""
    kept = keep_all(net.trunk_weights())
    next(iter(kept.values()))[:, 0] = False
    return kept


def loss_of(net, samples, mask):
    """The mean loss of all samples, in one batch."""
    with torch.no_grad():
        fields = net.embed(net.lookup(samples.ids, samples.lists), "ctr")
        keep = {name: m.float() for name, m in mask.items()}
        return float(task_loss("bce", task_logits(net, "ctr", fields, keep), samples.labels["is_click"]))


def slope(net, samples, mask, name, place, by=1e-2):
    """How much the loss changes per share of a weight that is taken away, by central differences."""
    weight = net.trunk_weights()[name].detach()
    before, met = float(weight[place]), []
    for factor in (1 + by, 1 - by):
        weight[place] = before * factor
        met.append(loss_of(net, samples, mask))
    weight[place] = before
    return (met[0] - met[1]) / (2 * by)


def test_magnitude_is_the_size_of_the_weight(net, mask, make_samples):
    found = weight_saliency("magnitude", net, CTR, mask, make_samples(N), ONE_BATCH, generator_for(0))

    assert all(torch.equal(found[name], weight.abs()) for name, weight in net.trunk_weights().items())


@pytest.mark.parametrize(("kind", "power"), [("taylor", 1), ("fisher", 2)])
def test_gradients_tell_what_the_loss_would_lose_with_a_weight(net, mask, make_samples, kind, power):
    samples = make_samples(N)

    found = weight_saliency(kind, net, CTR, mask, samples, ONE_BATCH, generator_for(0))

    for name, values in found.items():
        for flat in values.flatten().topk(3).indices.tolist():
            place = divmod(flat, values.shape[1])
            expected = abs(slope(net, samples, mask, name, place)) ** power
            assert float(values[place]) == pytest.approx(expected, rel=0.05), (name, place)


def test_gradients_that_differ_in_sign_between_batches_do_not_cancel(net, mask, make_samples):
    samples = make_samples(2 * N)
    halves = replace(ONE_BATCH, batch_size=N)

    found = weight_saliency("taylor", net, CTR, mask, samples, halves, generator_for(0))
    whole = weight_saliency(
        "taylor", net, CTR, mask, samples, replace(ONE_BATCH, batch_size=2 * N), generator_for(0)
    )

    assert all((found[name] >= whole[name] - 1e-7).all() for name in found)
    assert any((found[name] > whole[name] + 1e-7).any() for name in found)


@pytest.mark.parametrize("kind", ["taylor", "fisher"])
def test_what_the_mask_removes_is_worth_nothing(net, mask, make_samples, kind):
    found = weight_saliency(kind, net, CTR, mask, make_samples(N), ONE_BATCH, generator_for(0))

    assert all((found[name][~m] == 0).all() for name, m in mask.items())
    assert all((values >= 0).all() for values in found.values())


def test_the_network_is_left_as_it_was(net, mask, make_samples):
    before = {name: value.clone() for name, value in net.trunk_weights().items()}

    weight_saliency("fisher", net, CTR, mask, make_samples(N), ONE_BATCH, generator_for(0))

    assert all(torch.equal(before[name], value) for name, value in net.trunk_weights().items())


def test_a_search_by_gradients_keeps_as_many_weights_and_other_ones(catalogue, small_network, make_samples):
    def search(saliency):
        return find_ticket(
            catalogue, CTR, make_samples(400), make_samples(200, seed=1), network=small_network,
            training=replace(ONE_BATCH, learning_rate=0.01), seed=0,
            pruning=PruneConfig(n_pruning=2, q=0.5, choose="last", saliency=saliency),
        )  # fmt: skip

    by_size, by_gradient = search("magnitude"), search("taylor")

    assert by_gradient.density == by_size.density
    assert by_gradient.digest != by_size.digest


def test_neurons_have_no_gradient_saliency():
    with pytest.raises(ConfigError, match="unit 'neuron' needs saliency 'magnitude', got 'taylor'"):
        PruneConfig(unit="neuron", saliency="taylor")
