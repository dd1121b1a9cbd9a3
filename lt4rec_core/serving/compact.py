"""A ticket made physically small: the trunk as one task needs it, without the neurons that do nothing.

A neuron without inputs always gives the ReLU of its bias: a constant, which the next layer's biases take
over. A neuron without outputs is not needed. What is left are the same logits, up to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from lt4rec_core.errors import ModelStoreError


@dataclass(frozen=True)
class Layer:
    """One layer of one task: ``weight @ x + bias``, then a ReLU unless it gives the logit."""

    weight: np.ndarray
    """(d_out, d_in) float32; zero where the mask removes."""
    bias: np.ndarray
    """(d_out,) float32."""
    relu: bool = True

    @property
    def n_in(self) -> int:
        """Inputs."""
        return self.weight.shape[1]

    @property
    def n_out(self) -> int:
        """Neurons."""
        return self.weight.shape[0]

    @property
    def n_weights(self) -> int:
        """Weights that are not zero: the multiply-adds of one sample."""
        return int(np.count_nonzero(self.weight))


def layers_of(trunk: Sequence[nn.Linear], logit: nn.Linear, mask: Mapping[str, Tensor] | None) -> list[Layer]:
    """The trunk and logit layer as one task sees them, full size.

    Args:
        trunk: the shared layers, first to last.
        logit: the task's own layer.
        mask: as ``model.sharing.masked_trunk`` takes it.

    Raises:
        ModelStoreError: a weight is NaN or infinite.
    """
    layers = []
    for i, layer in enumerate(trunk):
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if mask is not None:
            # Not multiplied: a masked NaN would stay one.
            weight = weight.where(mask[f"trunk.{i}.weight"].bool(), 0.0)
            if f"trunk.{i}.bias" in mask:
                bias = bias.where(mask[f"trunk.{i}.bias"].bool(), 0.0)
        layers.append(Layer(weight.numpy(), bias.numpy()))
    layers.append(Layer(logit.weight.detach().numpy(), logit.bias.detach().numpy(), relu=False))
    for i, one in enumerate(layers):
        n_bad = int((~np.isfinite(one.weight)).sum() + (~np.isfinite(one.bias)).sum())
        if n_bad:
            raise ModelStoreError(
                f"Layer {i} of {len(layers)} has {n_bad} weights that are NaN or infinite, so every score "
                "would be. Train the model again; look at the losses of its days."
            )
    return layers


def compact(layers: Sequence[Layer]) -> list[Layer]:
    """The same function with fewer neurons.

    Args:
        layers: hidden layers and, last, the one that gives the logit; its one neuron always stays.
    """
    return _drop_unused(_fold_constants(layers))


def _fold_constants(layers: Sequence[Layer]) -> list[Layer]:
    """From the inputs on: neurons without inputs leave, their constant goes into the next biases."""
    folded = [layers[0]]
    for layer in layers[1:]:
        below = folded[-1]
        lives = (below.weight != 0).any(axis=1)
        constant = np.where(lives, 0, np.maximum(below.bias, 0)).astype(np.float32)
        folded[-1] = Layer(below.weight[lives], below.bias[lives])
        bias = layer.bias.astype(np.float64) + layer.weight.astype(np.float64) @ constant
        folded.append(Layer(layer.weight[:, lives], bias.astype(np.float32), layer.relu))
    return folded


def _drop_unused(layers: Sequence[Layer]) -> list[Layer]:
    """From the logit back: neurons that nothing above reads leave."""
    kept = [layers[-1]]
    for layer in reversed(layers[:-1]):
        above = kept[0]
        read = (above.weight != 0).any(axis=0)
        kept[0] = Layer(np.ascontiguousarray(above.weight[:, read]), above.bias, above.relu)
        kept.insert(0, Layer(np.ascontiguousarray(layer.weight[read]), layer.bias[read], layer.relu))
    return kept
