import numpy as np
import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.pruning import expand_neurons, keep_all_neurons
from lt4rec_core.serving.compact import layers_of
from lt4rec_core.serving.storage import n_bytes, pack_trunk, unpack_trunk


@pytest.fixture
def net(catalogue, small_network):
    net = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in net.trunk:
            layer.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    return net


def masks_of(net, density=0.3):
    g = torch.Generator().manual_seed(2)
    return {
        t: {n: torch.rand(w.shape, generator=g) < density for n, w in net.trunk_weights().items()}
        for t in net.tasks
    }


def widths_of(net):
    return (net.n_shared_inputs, *net.config.hidden)


@pytest.mark.parametrize("unit", ["weight", "neuron", "dense", "one dense"])
def test_each_task_comes_back_as_it_sees_the_network(net, unit):
    masks = masks_of(net)
    if unit == "neuron":
        for i, task in enumerate(masks):
            left = keep_all_neurons(net.trunk_weights())
            for kept in left.values():
                kept[i::3] = False
            masks[task] = expand_neurons(left, net.trunk_weights())
    elif unit != "weight":
        masks = {} if unit == "dense" else {"ctr": masks["ctr"]}

    heads = unpack_trunk(pack_trunk(net, masks), widths_of(net), net.tasks)

    for task, layers in heads.items():
        for found, expected in zip(
            layers, layers_of(net.trunk, net.logits[task], masks.get(task)), strict=True
        ):
            assert np.array_equal(found.weight, expected.weight)
            assert np.array_equal(found.bias, expected.bias)
            assert found.relu == expected.relu


def test_a_weight_is_stored_once_and_only_if_a_task_keeps_it(net):
    masks = masks_of(net)

    tensors = pack_trunk(net, masks)

    kept = sum(int((masks["ctr"][n] | masks["cvr"][n]).sum()) for n in masks["ctr"])
    n_weights = sum(w.numel() for w in net.trunk_weights().values())
    assert len(tensors["trunk/values"]) == kept
    assert n_bytes(tensors, "trunk/mask/") == 2 * -(-n_weights // 8)


def test_a_nan_that_a_task_sees_is_refused_and_one_that_no_task_sees_is_not(net):
    masks = masks_of(net)
    for mask in masks.values():
        mask["trunk.0.weight"][0, 0] = False
    with torch.no_grad():
        net.trunk[0].weight[0, 0] = float("nan")

    assert pack_trunk(net, masks)["trunk/values"].isfinite().all()
    masks["cvr"]["trunk.0.weight"][0, 0] = True
    with pytest.raises(ModelStoreError, match="NaN or infinite"):
        pack_trunk(net, masks)


@pytest.mark.parametrize("damage", ["values", "mask", "missing", "widths"])
def test_what_does_not_fit_together_is_refused(net, damage):
    tensors, widths = pack_trunk(net, masks_of(net)), widths_of(net)
    if damage == "values":
        tensors["trunk/values"] = tensors["trunk/values"][1:]
    elif damage == "mask":
        tensors["trunk/mask/ctr"] = tensors["trunk/mask/ctr"][1:]
    elif damage == "missing":
        del tensors["logits/cvr"]
    else:
        widths = (widths[0] + 8, *widths[1:])

    with pytest.raises(ModelStoreError, match="does not fit together"):
        unpack_trunk(tensors, widths, net.tasks)
