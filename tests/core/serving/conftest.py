"""Layers of one task, drawn at random, and what they give when they are simply computed."""

import numpy as np
import pytest

from lt4rec_core.serving.compact import Layer


def draw_layers(widths=(100, 40, 24), density=0.2, seed=0):
    """Hidden layers of these widths and a logit layer, of which the hidden ones keep a share of weights."""
    g = np.random.default_rng(seed)
    layers = []
    for n_in, n_out in zip(widths, (*widths[1:], 1), strict=True):
        kept = g.random((n_out, n_in)) < (density if n_out > 1 else 1)
        weight = (kept * g.standard_normal((n_out, n_in))).astype(np.float32)
        layers.append(Layer(weight, g.standard_normal(n_out).astype(np.float32), relu=n_out > 1))
    return layers


def plain(layers, x):
    """The layers as their definition has them, in double precision: (b, d_in) to (b, d_out)."""
    h = x.astype(np.float64)
    for layer in layers:
        h = h @ layer.weight.astype(np.float64).T + layer.bias
        h = np.maximum(h, 0) if layer.relu else h
    return h


@pytest.fixture
def layers():
    return draw_layers()
