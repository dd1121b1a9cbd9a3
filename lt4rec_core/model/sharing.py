"""Sparse sharing: every task sees the one trunk through its own mask."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from lt4rec_core.model.network import SharedNet


def task_logits(net: SharedNet, task: str, fields: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
    """Score a batch for one task (Algorithm 1, lines 14, 18, 19): sNET ⊙ mask, then its logit layer.

    Computed with functions: nothing is patched, so nothing has to be restored, and the gradient of a weight
    outside the mask is exactly zero.

    Args:
        net: the shared network.
        task: one of ``net.tasks``.
        fields: field vectors (b, f, d) as ``net.embed`` gives them.
        mask: per trunk weight a bool or 0/1 float tensor of its shape; None is dense.

    Returns:
        Logits (b,).
    """
    return trunk_logits(net, task, net.interact(fields), mask)


def trunk_logits(net: SharedNet, task: str, inputs: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
    """As ``task_logits``, from the trunk's input (b, d_in): tasks that score one batch share it."""
    hidden = inputs
    for name, layer in zip(net.trunk_weights(), net.trunk, strict=True):
        assert isinstance(layer, nn.Linear)
        weight = layer.weight if mask is None else layer.weight * mask[name]
        hidden = F.relu(F.linear(hidden, weight, layer.bias))  # (b, d_out)
    return net.logits[task](hidden).squeeze(1)
