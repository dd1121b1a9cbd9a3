from dataclasses import replace

import pytest
import torch

from lt4rec_core.errors import ConfigError, MaskError
from lt4rec_core.model.building import build_masks, build_network
from lt4rec_core.model.masks import check_fits, keep_all, n_kept
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.pruning import prune_smallest
from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.training.batches import generator_for
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.trainer import predict, train

CONFIG = TrainingConfig(batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1)
NETWORKS = [name for name, variant in VARIANTS.items() if variant.sharing != "trees"]


@pytest.fixture
def ticket_of(catalogue, small_network):
    """``ticket_of(variant)(task)``: a mask as a search in that task's own network would give it."""

    def of(variant):
        def ticket(task):
            config, views = variant.network_config(small_network), dict(variant.views)
            net = SharedNet(catalogue, (task,), config, generator_for(0, task), views)
            weights = net.trunk_weights()
            return prune_smallest(weights, keep_all(weights), {"ctr": 0.4, "cvr": 0.6}[task])

        return ticket

    return of


@pytest.fixture
def build(catalogue, small_network, ticket_of):
    def make(name):
        variant = VARIANTS[name]
        net = build_network(variant, catalogue, small_network, generator_for(1))
        return net, build_masks(variant, net, ticket_of(variant), generator_for(2))

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_every_row_is_trained_and_scored_by_the_one_loop(build, make_samples, name):
    variant, (net, masks), samples = VARIANTS[name], build(name), make_samples(400)
    click = samples.labels["is_click"]
    samples.labels["click_watch_ratio"] = torch.where(click == 1, samples.labels["watch_ratio"], 0.0)
    config, before = replace(CONFIG, **dict(variant.training)), predict(net, samples, variant.scores, masks)

    losses = train(
        net, make_optimizers(net, config), samples, variant.tasks, config, generator_for(0), masks=masks
    )

    after = predict(net, samples, variant.scores, masks)
    assert set(losses) == {task.name for task in variant.tasks}
    assert all((after[task] != before[task]).any() for task in variant.scores)
    assert all(((after[task] > 0) & (after[task] < 1)).all() for task in variant.scores)


def test_tickets_are_worn_as_they_were_found(build, ticket_of):
    _, masks = build("s_weight")

    for task in ("ctr", "cvr"):
        found = ticket_of(VARIANTS["s_weight"])(task)
        assert all(torch.equal(masks[task][name], m) for name, m in found.items())


def test_random_masks_are_as_dense_as_tickets_and_the_same_for_both_tasks_or_not(build, ticket_of):
    _, same = build("random_masks_same")
    _, independent = build("random_masks_independent")
    dense = {task: n_kept(ticket_of(VARIANTS["s_weight"])(task)) for task in ("ctr", "cvr")}

    assert {task: n_kept(m) for task, m in independent.items()} == dense
    assert n_kept(same["ctr"]) == dense["cvr"]
    assert all(torch.equal(same["ctr"][name], m) for name, m in same["cvr"].items())


def test_ctr_does_not_see_cvrs_view(build, make_samples):
    net, masks = build("s_weight_multiview")
    samples = make_samples(20)
    ctr, cvr = (predict(net, samples, (task,), masks)[task] for task in ("ctr", "cvr"))

    with torch.no_grad():
        net.views["cvr"].add_(1.0)

    assert net.views["cvr"].shape[1] == 8
    assert (predict(net, samples, ("ctr",), masks)["ctr"] == ctr).all()
    assert (predict(net, samples, ("cvr",), masks)["cvr"] != cvr).any()
    assert not masks["ctr"]["trunk.0.weight"][:, net.n_shared_inputs :].any()
    assert masks["cvr"]["trunk.0.weight"][:, net.n_shared_inputs :].any()


def test_the_bigger_net_is_twice_as_wide(build):
    net, masks = build("s_weight_biggernet")

    assert [layer.out_features for layer in net.trunk] == [32, 16]
    check_fits(masks["ctr"], net.trunk_weights())


def test_a_ticket_of_another_network_is_refused(catalogue, small_network, ticket_of):
    other = ticket_of(VARIANTS["s_weight_biggernet"])
    net = build_network(VARIANTS["s_weight"], catalogue, small_network, generator_for(1))

    with pytest.raises(MaskError, match="another network config"):
        build_masks(VARIANTS["s_weight"], net, other, generator_for(0))


def test_boosting_is_no_network(catalogue):
    with pytest.raises(ConfigError, match="no network"):
        build_network(VARIANTS["boosting_ctr"], catalogue, NetworkConfig(), generator_for(0))
