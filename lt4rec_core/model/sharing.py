"""Sparse sharing: every task sees the one trunk through its own mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from lt4rec_core.model.network import SharedNet


def masked_trunk(layers: Mapping[str, nn.Linear], x: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
    """The trunk as one task sees it: sNET ⊙ mask, ReLU after every layer.

    Computed with functions: nothing is patched, so nothing has to be restored, and the gradient of a weight
    outside the mask is exactly zero.

    Args:
        layers: ``trunk.<i>`` to its layer, first to last.
        x: (b, d_in), what the interaction gives.
        mask: per trunk weight, and per trunk bias where neurons were removed, a bool or 0/1 float tensor of
            its shape; None is dense.

    Returns:
        (b, d_out) of the last layer.
    """
    for name, layer in layers.items():
        weight: Tensor = layer.weight
        bias: Tensor = layer.bias
        if mask is not None:
            weight = weight * mask[f"{name}.weight"]
            if f"{name}.bias" in mask:
                bias = bias * mask[f"{name}.bias"]
        x = F.relu(F.linear(x, weight, bias))
    return x


def task_logits(net: SharedNet, task: str, fields: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
    """Score a batch for one task (Algorithm 1, lines 14, 18, 19).

    Args:
        net: the shared network, or one of ``towers``, which share in other ways and take no mask.
        task: one of ``net.tasks``.
        fields: field vectors (b, f, d) as ``net.embed`` gives them for this task.
        mask: as ``masked_trunk`` takes it; None is dense.

    Returns:
        Logits (b,).
    """
    return net(task, fields, mask)


def trunk_logits(net: SharedNet, task: str, inputs: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
    """As ``task_logits``, from the trunk's input (b, d_in): tasks that score one batch share it."""
    return net.from_inputs(task, inputs, mask)
