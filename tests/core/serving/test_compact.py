import numpy as np
import pytest
import torch
from torch import nn

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.sharing import masked_trunk
from lt4rec_core.serving.compact import Layer, compact, layers_of
from tests.core.serving.conftest import draw_layers, plain

X = np.random.default_rng(5).standard_normal((50, 100)).astype(np.float32)


def test_compact_layers_give_the_same_logits():
    layers = draw_layers(density=0.05)  # many neurons have no input or no output

    small = compact(layers)

    assert sum(layer.n_out for layer in small) < sum(layer.n_out for layer in layers)
    np.testing.assert_allclose(plain(small, X), plain(layers, X), atol=1e-5)


def test_a_neuron_without_inputs_becomes_a_part_of_the_next_bias():
    first = Layer(np.float32([[0, 0], [1, 0]]), np.float32([3, 1]))
    last = Layer(np.float32([[10, 1]]), np.float32([5]), relu=False)

    small = compact([first, last])

    assert small[0].weight.tolist() == [[1, 0]]
    assert small[1].bias.tolist() == [5 + 10 * 3]


def test_a_neuron_without_inputs_and_a_negative_bias_gives_nothing():
    first = Layer(np.float32([[0, 0], [1, 0]]), np.float32([-3, 1]))
    last = Layer(np.float32([[10, 1]]), np.float32([5]), relu=False)

    assert compact([first, last])[1].bias.tolist() == [5]


def test_constants_fold_through_several_layers():
    # The first neuron is 2, so the second layer's first neuron is 4 * 2 + 1 = 9, without an input of its own.
    layers = [
        Layer(np.float32([[0], [1]]), np.float32([2, 0])),
        Layer(np.float32([[4, 0], [0, 1]]), np.float32([1, 0])),
        Layer(np.float32([[1, 1]]), np.float32([0]), relu=False),
    ]

    small = compact(layers)

    assert [layer.n_out for layer in small] == [1, 1, 1]
    assert small[2].bias.tolist() == [9]


def test_a_neuron_that_nothing_reads_is_dropped_and_so_is_what_only_it_reads():
    layers = [
        Layer(np.float32([[1], [1]]), np.float32([0, 0])),
        Layer(np.float32([[1, 0], [0, 1]]), np.float32([0, 0])),
        Layer(np.float32([[1, 0]]), np.float32([0]), relu=False),
    ]

    assert [layer.weight.shape for layer in compact(layers)] == [(1, 1), (1, 1), (1, 1)]


def test_a_logit_without_any_path_to_the_inputs_is_a_constant():
    layers = [
        Layer(np.float32([[1], [0]]), np.float32([0, 1])),
        Layer(np.float32([[0, 2]]), np.float32([5]), relu=False),
    ]

    small = compact(layers)

    assert plain(small, np.float32([[1], [-4]])).tolist() == [[7], [7]]


def linear(n_in, n_out, seed):
    layer = nn.Linear(n_in, n_out)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    return layer


@pytest.mark.parametrize("neurons", [False, True])
def test_the_layers_of_a_task_are_what_training_sees_through_its_mask(neurons):
    trunk, logit = [linear(6, 5, 0), linear(5, 4, 1)], linear(4, 1, 2)
    generator = torch.Generator().manual_seed(3)
    mask = {
        f"trunk.{i}.weight": torch.rand(p.weight.shape, generator=generator) < 0.6
        for i, p in enumerate(trunk)
    }
    if neurons:
        mask |= {f"trunk.{i}.bias": m.any(1) for i, m in enumerate(mask.values())}
        mask["trunk.0.bias"][0] = False
    x = torch.randn(9, 6, generator=generator)

    layers = layers_of(trunk, logit, mask)

    with torch.no_grad():
        hidden = masked_trunk({f"trunk.{i}": p for i, p in enumerate(trunk)}, x, mask)
        expected = logit(hidden).numpy()
    np.testing.assert_allclose(plain(layers, x.numpy()), expected, atol=1e-5)
    np.testing.assert_allclose(plain(compact(layers), x.numpy()), expected, atol=1e-5)


def test_a_weight_that_is_nan_is_refused_unless_the_mask_removes_it():
    trunk, logit = [linear(3, 2, 0)], linear(2, 1, 1)
    with torch.no_grad():
        trunk[0].weight[0, 0] = float("nan")
    keep = {"trunk.0.weight": torch.tensor([[False, True, True], [True, True, True]])}

    assert np.isfinite(layers_of(trunk, logit, keep)[0].weight).all()
    with pytest.raises(ModelStoreError, match="Layer 0 of 2 has 1 weights that are NaN"):
        layers_of(trunk, logit, None)
