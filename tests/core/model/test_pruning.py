from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from lt4rec_core.errors import ConfigError, MaskError
from lt4rec_core.model.masks import density, keep_all, n_kept
from lt4rec_core.model.pruning import (
    expand_neurons,
    keep_all_neurons,
    prune_neurons,
    prune_smallest,
    random_mask,
    widen,
)


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_keeps_the_promised_number_even_when_all_weights_tie(q, scope):
    weights = {"fc": torch.ones(8, 5)}

    mask = prune_smallest(weights, keep_all(weights), q, scope)

    assert n_kept(mask) == 40 - int(q * 40)


def test_survivors_are_exact_in_every_round_under_ties():
    weights = {"fc": torch.tensor([1.0, -1.0]).repeat(500)}
    mask, expected = keep_all(weights), 1000

    for _ in range(6):
        mask = prune_smallest(weights, mask, 0.331)
        expected -= int(0.331 * expected)
        assert n_kept(mask) == expected


def test_removes_the_smallest_magnitudes_whatever_their_sign():
    weights = {"fc": torch.tensor([-3.0, 0.1, 2.0, -0.2])}

    mask = prune_smallest(weights, keep_all(weights), 0.5)

    assert mask["fc"].tolist() == [True, False, True, False]


def test_a_removed_weight_never_returns_even_if_it_has_grown():
    before = {"fc": torch.tensor([True, False, True, True])}

    mask = prune_smallest({"fc": torch.tensor([1.0, 100.0, 3.0, 2.0])}, before, 0.34)

    assert mask["fc"].tolist() == [False, False, True, True]
    assert before["fc"].tolist() == [True, False, True, True]


def test_four_rounds_of_the_default_share_leave_a_fifth():
    weights = {"fc": torch.randn(100, 100, generator=torch.Generator().manual_seed(0))}
    mask = keep_all(weights)

    for _ in range(4):
        mask = prune_smallest(weights, mask, 0.331)

    assert density(mask) == pytest.approx(0.669**4, abs=1e-3)


def test_agrees_with_torch_on_the_same_weights():
    layer = nn.Linear(30, 20)
    weights = {"fc": layer.weight.detach().clone()}
    mask = keep_all(weights)

    for _ in range(3):
        n_remove = int(0.3 * n_kept(mask))
        prune.l1_unstructured(layer, "weight", n_remove)  # torch, too, prunes among the survivors
        mask = prune_smallest(weights, mask, 0.3)
        assert torch.equal(mask["fc"], layer.weight_mask.bool())


def test_global_agrees_with_torch_on_the_same_weights():
    layers = {"a": nn.Linear(30, 20), "b": nn.Linear(20, 10)}
    weights = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    mask = keep_all(weights)

    prune.global_unstructured(
        [(layer, "weight") for layer in layers.values()], prune.L1Unstructured, amount=int(0.5 * 800)
    )
    mask = prune_smallest(weights, mask, 0.5, "global")

    for name, layer in layers.items():
        assert torch.equal(mask[name], layer.weight_mask.bool())


def test_per_layer_spares_a_layer_of_small_weights_that_global_ranking_empties():
    weights = {"wide": torch.full((10,), 0.01), "narrow": torch.ones(10)}

    kept = prune_smallest(weights, keep_all(weights), 0.5, "layer")

    assert {name: int(m.sum()) for name, m in kept.items()} == {"wide": 5, "narrow": 5}
    with pytest.raises(MaskError, match="'wide' keeps none"):
        prune_smallest(weights, keep_all(weights), 0.5, "global")


def test_a_mask_of_another_shape_is_refused():
    mask = keep_all({"fc": torch.ones(2)})

    with pytest.raises(MaskError, match=r"has shape \(2,\), its weight has \(3,\)"):
        prune_smallest({"fc": torch.ones(3)}, mask, 0.5)


@pytest.mark.parametrize("q", [0.0, 1.0, 33.1])
def test_a_share_outside_zero_and_one_is_refused(q):
    with pytest.raises(ConfigError, match="not a percentage"):
        prune_smallest({"fc": torch.ones(3)}, keep_all({"fc": torch.ones(3)}), q)


def trunk(*widths, seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = [(m, n) for n, m in pairwise(widths)]
    return {f"trunk.{i}.weight": torch.randn(shape, generator=g) for i, shape in enumerate(shapes)}


def test_a_removed_neuron_takes_its_row_its_bias_and_its_outgoing_column_along():
    weights = trunk(4, 3, 2)
    neurons = {
        "trunk.0.weight": torch.tensor([True, False, True]),
        "trunk.1.weight": torch.tensor([False, True]),
    }

    mask = expand_neurons(neurons, weights)

    assert mask["trunk.0.weight"].tolist() == [[True] * 4, [False] * 4, [True] * 4]
    assert mask["trunk.0.bias"].tolist() == [True, False, True]
    assert mask["trunk.1.weight"].tolist() == [[False] * 3, [True, False, True]]
    assert mask["trunk.1.bias"].tolist() == [False, True]


def test_the_neurons_of_the_smallest_incoming_norm_go_by_plain_counting():
    weights = trunk(6, 10, 8)
    neurons = keep_all_neurons(weights)

    for _ in range(3):
        expected = {}
        below = list(range(6))
        for name, kept in neurons.items():
            left = kept.nonzero().squeeze(1).tolist()
            size = {i: sum(weights[name][i, j].item() ** 2 for j in below) for i in left}
            gone = sorted(left, key=size.get)[: int(0.4 * len(left))]
            expected[name] = [i for i in left if i not in gone]
            below = left
        neurons = prune_neurons(weights, neurons, 0.4)
        assert {name: kept.nonzero().squeeze(1).tolist() for name, kept in neurons.items()} == expected


def test_neurons_that_tie_are_not_over_pruned_and_a_removed_one_never_returns():
    weights = {"trunk.0.weight": torch.ones(10, 4)}
    neurons = keep_all_neurons(weights)

    for left in (7, 5, 4):
        before = neurons
        neurons = prune_neurons(weights, neurons, 0.3)
        assert int(neurons["trunk.0.weight"].sum()) == left
        assert not (neurons["trunk.0.weight"] & ~before["trunk.0.weight"]).any()


def test_a_neuron_mask_of_another_network_is_refused():
    with pytest.raises(MaskError, match="another network config"):
        expand_neurons(keep_all_neurons(trunk(4, 3, 2)), trunk(4, 5, 2))


def test_a_random_mask_keeps_as_many_weights_of_each_layer_and_others():
    weights = trunk(30, 20, 10)
    ticket = prune_smallest(weights, keep_all(weights), 0.8)

    drawn = [random_mask(ticket, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]

    for mask in drawn:
        assert {n: int(m.sum()) for n, m in mask.items()} == {n: int(m.sum()) for n, m in ticket.items()}
    assert all(torch.equal(drawn[0][n], drawn[1][n]) for n in weights)
    assert not torch.equal(drawn[0]["trunk.0.weight"], drawn[2]["trunk.0.weight"])
    assert not torch.equal(drawn[0]["trunk.0.weight"], ticket["trunk.0.weight"])


def test_a_mask_widened_for_inputs_it_does_not_know_does_not_see_them():
    mask = keep_all(trunk(4, 3, 2))

    wide = widen(mask, trunk(6, 3, 2))

    assert wide["trunk.0.weight"].tolist() == [[True] * 4 + [False] * 2] * 3
    assert wide["trunk.1.weight"].all()
    with pytest.raises(MaskError):
        widen(mask, trunk(3, 3, 2))


@pytest.mark.parametrize("distinct", [2, 5, 10_000])
def test_the_smallest_are_those_that_a_stable_sort_puts_first(distinct):
    size = torch.randint(distinct, (300,), generator=torch.Generator().manual_seed(distinct)).float()
    weights, mask = {"w": size}, {"w": torch.arange(300) % 3 != 0}
    for share in (0.001, 0.2, 0.7):
        survivors = mask["w"].nonzero().squeeze(1)
        gone = survivors[size[survivors].argsort(stable=True)[: int(share * len(survivors))]]
        expected = mask["w"].clone()
        expected[gone] = False
        assert torch.equal(prune_smallest(weights, mask, share)["w"], expected)
