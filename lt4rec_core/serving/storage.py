"""What a ranker keeps of a network, as tensors: nothing that a mask removes, no embedding row never seen.

All tasks share one list of weights, those that any of them keeps; each task's mask is a string of bits over
the whole trunk. Two tickets of 20 % need between 20 and 36 % of one dense trunk, and two bits per weight.

Hard sharing has a trunk for each task instead: each is stored whole, under ``own/``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.masks import Mask, Masks
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.towers import HardSharingNet
from lt4rec_core.serving.compact import Layer, layers_of


def pack_trunk(net: SharedNet, masks: Masks) -> dict[str, Tensor]:
    """The trunk as flat tensors.

    Args:
        net: the shared network, or one of hard sharing.
        masks: per task; None (or no entry) is dense.

    Returns:
        ``trunk/values`` (kept by any task, layer by layer), ``trunk/biases``, per masked task
        ``trunk/mask/<task>`` (bits over all weights) and, where neurons were removed,
        ``trunk/bias_mask/<task>``; per task ``logits/<task>`` (its weights, then its bias). Of hard sharing
        ``trunk/own/<task>/values`` and ``/biases`` in place of the first two.

    Raises:
        ModelStoreError: a weight that a task sees is NaN or infinite.
    """
    if isinstance(net, HardSharingNet):
        return _pack_own(net)
    tensors, kept = {}, None
    for task in net.tasks:
        mask = masks.get(task)
        layers_of(net.trunk, net.logits[task], mask)  # type: ignore[arg-type]  # refuses NaN, by layer
        flat = _bits(net, mask, "weight")
        kept = flat if kept is None else kept | flat
        if mask is not None:
            tensors[f"trunk/mask/{task}"] = torch.from_numpy(np.packbits(flat))
            if any(name.endswith("bias") for name in mask):
                tensors[f"trunk/bias_mask/{task}"] = torch.from_numpy(np.packbits(_bits(net, mask, "bias")))
        tensors[f"logits/{task}"] = _logit(net, task)
    weights = torch.cat([weight.detach().flatten() for weight in net.trunk_weights().values()])
    tensors["trunk/values"] = weights[torch.from_numpy(kept)]
    biases: list[Tensor] = [layer.bias for layer in net.trunk]  # type: ignore[misc]
    tensors["trunk/biases"] = torch.cat([bias.detach() for bias in biases])
    return tensors


def _pack_own(net: HardSharingNet) -> dict[str, Tensor]:
    tensors = {}
    for task in net.tasks:
        trunk: Any = net.trunks[task]
        layers_of(trunk, net.logits[task], None)  # type: ignore[arg-type]  # refuses NaN, by layer
        tensors[f"trunk/own/{task}/values"] = torch.cat([one.weight.detach().flatten() for one in trunk])
        tensors[f"trunk/own/{task}/biases"] = torch.cat([one.bias.detach() for one in trunk])
        tensors[f"logits/{task}"] = _logit(net, task)
    return tensors


def _logit(net: SharedNet, task: str) -> Tensor:
    logit: Any = net.logits[task]
    return torch.cat([logit.weight.detach().flatten(), logit.bias.detach()])


def _bits(net: SharedNet, mask: Mask | None, kind: str) -> np.ndarray:
    """What a mask keeps of all weights, or all biases, of the trunk, as one flat bool vector."""
    parts = []
    for i, layer in enumerate(net.trunk):
        name, size = f"trunk.{i}.{kind}", getattr(layer, kind).numel()
        kept = None if mask is None else mask.get(name)
        parts.append(np.ones(size, dtype=bool) if kept is None else kept.bool().flatten().numpy())
    return np.concatenate(parts)


def unpack_trunk(
    tensors: Mapping[str, Tensor], widths: Sequence[int], tasks: Sequence[str]
) -> dict[str, list[Layer]]:
    """Each task's layers, full size, from what ``pack_trunk`` gave.

    Args:
        tensors: at least those.
        widths: inputs of the trunk, then the widths of its layers.
        tasks: whose.

    Raises:
        ModelStoreError: parts are missing or do not fit the widths, or a weight is NaN or infinite.
    """
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    n_weights, n_biases = sum(m * n for m, n in shapes), sum(widths[1:])
    try:
        keep = {task: _unpacked(tensors.get(f"trunk/mask/{task}"), n_weights) for task in tasks}
        keep_bias = {task: _unpacked(tensors.get(f"trunk/bias_mask/{task}"), n_biases) for task in tasks}
        is_shared = "trunk/values" in tensors
        shared = np.zeros(n_weights, dtype=np.float32)
        if is_shared:
            shared[np.logical_or.reduce(list(keep.values()))] = tensors["trunk/values"].numpy()
        heads = {}
        for task in tasks:
            all_weights = shared if is_shared else tensors[f"trunk/own/{task}/values"].numpy()
            biases = tensors["trunk/biases" if is_shared else f"trunk/own/{task}/biases"].numpy()
            flat = np.where(keep[task], all_weights, 0).astype(np.float32)
            bias = np.where(keep_bias[task], biases, 0).astype(np.float32)
            layers, at, at_bias = [], 0, 0
            for m, n in shapes:
                layers.append(Layer(flat[at : at + m * n].reshape(m, n), bias[at_bias : at_bias + m]))
                at, at_bias = at + m * n, at_bias + m
            logit = tensors[f"logits/{task}"].numpy()
            layers.append(Layer(logit[:-1].reshape(1, widths[-1]), logit[-1:], relu=False))
            heads[task] = layers
    except (KeyError, ValueError) as error:
        raise ModelStoreError(
            f"The ranker's trunk does not fit together: {error}. It should have the widths {list(widths)} "
            f"and the tasks {', '.join(tasks)}. Export it again."
        ) from error
    return heads


def _unpacked(bits: Tensor | None, n: int) -> np.ndarray:
    if bits is None:
        return np.ones(n, dtype=bool)
    if len(bits) != -(-n // 8):
        raise ValueError(f"a mask has {len(bits)} bytes for {n} weights")
    return np.unpackbits(bits.numpy(), count=n).astype(bool)


def n_bytes(tensors: Mapping[str, Tensor], *prefixes: str) -> int:
    """Bytes of the tensors whose names begin with one of these."""
    return sum(t.numel() * t.element_size() for name, t in tensors.items() if name.startswith(prefixes))
