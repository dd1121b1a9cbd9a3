import numpy as np
import pytest

from lt4rec_core.serving import sparse
from lt4rec_core.serving.compact import Layer
from lt4rec_core.serving.sparse import SparseLayers
from tests.core.serving.conftest import draw_layers, plain


def inputs(b, d=100, seed=9):
    return np.random.default_rng(seed).standard_normal((b, d)).astype(np.float32)


@pytest.mark.parametrize("b", [1, 15, 16, 17, 48, 49, 64, 65, 200])
def test_every_sample_of_a_batch_is_computed_whatever_its_size(b, layers):
    x = inputs(b)

    (found,) = SparseLayers([layers])(x)

    np.testing.assert_allclose(found, plain(layers, x), atol=1e-5)


def test_layers_wider_than_a_panel_are_summed_over_their_panels(monkeypatch, layers):
    x = inputs(70)
    monkeypatch.setattr(sparse, "PANEL", 7)

    (found,) = SparseLayers([layers])(x)

    np.testing.assert_allclose(found, plain(layers, x), atol=1e-5)


def test_heads_of_other_layers_begin_with_the_same_inputs(layers):
    other, x = draw_layers(widths=(100, 30), density=0.5, seed=4), inputs(33)

    found = SparseLayers([layers, other])(x)

    for out, head in zip(found, (layers, other), strict=True):
        np.testing.assert_allclose(out, plain(head, x), atol=1e-5)


def test_a_head_may_end_with_many_outputs(layers):
    x = inputs(20)

    (found,) = SparseLayers([layers[:2]])(x)

    assert found.shape == (20, 24)
    np.testing.assert_allclose(found, plain(layers[:2], x), atol=1e-5)


def test_a_row_without_weights_is_its_bias():
    layer = Layer(np.float32([[0, 0], [0, 2], [1, 1]]), np.float32([-1, 0.5, 3]))

    (found,) = SparseLayers([[layer]])(np.float32([[1, 10]]))

    assert found.tolist() == [[0, 20.5, 14]]


def test_layers_that_lost_every_neuron_leave_the_bias():
    empty, logit = Layer(np.zeros((0, 5), np.float32), np.zeros(0, np.float32)), Layer(
        np.zeros((1, 0), np.float32), np.float32([1.5]), relu=False
    )  # fmt: skip

    (found,) = SparseLayers([[empty, logit]])(inputs(3, 5))

    assert found.tolist() == [[1.5]] * 3


def test_no_sample_gives_no_output(layers):
    (found,) = SparseLayers([layers])(inputs(0))

    assert found.shape == (0, 1)


def test_inputs_that_fill_no_tile_arrive_too():
    weight = np.arange(1, 38, dtype=np.float32)[None]  # 37 inputs: two tiles of 16 and five more
    x = inputs(40, 37)

    (found,) = SparseLayers([[Layer(weight, np.float32([0]), relu=False)]])(x)

    np.testing.assert_allclose(found[:, 0], x.astype(np.float64) @ weight[0], rtol=1e-4, atol=1e-4)


def test_rows_are_listed_by_the_length_of_their_lists():
    weight = np.float32([[1, 2, 3, 4], [0, 0, 0, 5], [6, 0, 7, 0]])

    packed = sparse._Packed(weight, first=10)

    assert packed.rows.tolist() == [1, 2, 0]
    assert packed.starts.tolist() == [10, 12, 14, 18]  # one zero fills up the list of the second row
    assert packed.values.tolist() == [5, 0, 6, 7, 1, 2, 3, 4]
    assert packed.columns.tolist() == [3, 0, 0, 2, 0, 1, 2, 3]
