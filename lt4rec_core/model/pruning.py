"""Which weights to remove next (Algorithm 1, line 5). In every mask True keeps a weight and False removes it.

Read literally, line 5 takes the quantile over removed weights too, whose zeros would stop the pruning after
one round: only survivors are ranked here.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.errors import ConfigError, MaskError
from lt4rec_core.model.masks import Mask, Weights, check_fits

Scope = Literal["layer", "global"]
"""Whether each layer ranks its own weights, or all layers compete in one ranking."""

NeuronMask = dict[str, Tensor]
"""Weight name to a bool vector (d_out,) over the layer's neurons; layers in order, first to last."""


def prune_smallest(weights: Weights, mask: Mask, q: float, scope: Scope = "layer") -> Mask:
    """Remove the share ``q`` of the weights that ``mask`` still keeps, smallest magnitudes first.

    Args:
        weights: trained values; ``weights[n].shape == mask[n].shape``.
        mask: the current mask, left unchanged. A removed weight never returns.
        q: share of the *survivors* to remove, in (0, 1).
        scope: ``layer`` ranks each layer by itself; ``global`` ranks all together, which removes more where
            weights are small (wide layers) and can empty one.

    Returns:
        A mask that keeps exactly ``survivors - int(q * survivors)`` weights (of each layer, or of all),
        however many magnitudes tie.

    Raises:
        MaskError: the mask does not fit, or a layer would keep nothing.
    """
    _check_share(q)
    check_fits(mask, weights)
    if scope == "layer":
        pruned: Mask = {}
        for name, m in mask.items():
            pruned |= _prune_together(weights, {name: m}, q)
    else:
        pruned = _prune_together(weights, mask, q)
    check_fits(pruned, weights)
    return pruned


def keep_all_neurons(weights: Weights) -> NeuronMask:
    """The neuron mask that removes nothing."""
    return {name: torch.ones(weight.shape[0], dtype=torch.bool) for name, weight in weights.items()}


def prune_neurons(weights: Weights, neurons: NeuronMask, q: float) -> NeuronMask:
    """Remove the share ``q`` of each layer's surviving neurons, smallest first (S-Neuron, paper section 3.1).

    A neuron's size is the L2 norm of the incoming weights that it still has: columns of neurons that were
    removed below do not count.

    Args:
        weights: trained values, layers in order, (d_out, d_in) each.
        neurons: which neurons are left, unchanged. A removed neuron never returns.
        q: share of the *surviving* neurons of each layer to remove, in (0, 1).

    Returns:
        A neuron mask that keeps exactly ``survivors - int(q * survivors)`` neurons of each layer.

    Raises:
        MaskError: a layer would keep no neuron, or the mask is of another network.
    """
    _check_share(q)
    pruned: NeuronMask = {}
    for name, seen in expand_neurons(neurons, weights).items():
        if name not in weights:
            continue
        size = (weights[name].detach() * seen).norm(dim=1)  # (d_out,)
        pruned |= _prune_together({name: size}, {name: neurons[name]}, q)
        if not pruned[name].any():
            raise MaskError(f"No neuron of {name!r} would be left of {len(size)}. Prune fewer or less often.")
    return pruned


def expand_neurons(neurons: Mapping[str, Tensor], weights: Weights) -> Mask:
    """The weight mask of a neuron mask.

    A removed neuron takes its incoming row, its bias and its outgoing column along.

    Args:
        neurons: weight name to (d_out,) bool, layers in order.
        weights: the trunk's weights, in the same order; only their shapes are read.

    Returns:
        ``trunk.<i>.weight`` to (d_out, d_in) and ``trunk.<i>.bias`` to (d_out,).

    Raises:
        MaskError: the layers or their widths differ.
    """
    wanted = {name: len(weight) for name, weight in weights.items()}
    found = {name: len(kept) for name, kept in neurons.items()}
    if found != wanted:
        raise MaskError(
            f"The neuron mask has the layers {found}, the network {wanted}. "
            "Was the ticket found with another network config?"
        )
    mask: Mask = {}
    below: Tensor | None = None
    for name, weight in weights.items():
        kept = neurons[name]
        columns = torch.ones(weight.shape[1], dtype=torch.bool) if below is None else below
        mask[name] = kept.unsqueeze(1) & columns  # (d_out, d_in)
        mask[name.removesuffix("weight") + "bias"] = kept.clone()
        below = kept
    return mask


def random_mask(like: Mask, generator: torch.Generator) -> Mask:
    """The control: as many weights per layer as ``like`` keeps, drawn at random.

    Each layer keeps exactly as many, so that only *which* weights are kept differs.
    """
    drawn: Mask = {}
    for name, m in like.items():
        kept = torch.zeros(m.numel(), dtype=torch.bool)
        kept[torch.randperm(m.numel(), generator=generator)[: int(m.sum())]] = True
        drawn[name] = kept.view_as(m)
    return drawn


def widen(mask: Mask, weights: Weights) -> Mask:
    """A mask of a network without views, for one with them: what is new at the end of a row is not seen.

    Raises:
        MaskError: the mask is wider than the network, or has other rows or layers.
    """
    wide: Mask = {}
    for name, m in mask.items():
        wide[name] = m
        missing = weights[name].shape[-1] - m.shape[-1] if name in weights else 0
        if missing > 0:
            wide[name] = torch.cat([m, m.new_zeros(len(m), missing)], dim=1)
    check_fits(wide, weights)
    return wide


def _check_share(q: float) -> None:
    if not 0 < q < 1:
        raise ConfigError(
            f"q must lie strictly between 0 and 1, got {q}. It is a share of the survivors, not a percentage."
        )


def _smallest(sizes: Tensor, n: int) -> Tensor:
    """Which are the ``n`` smallest of some sizes, of equal ones the first, as bools.

    Partitioned, not sorted: a sort of a trunk's weights takes as long as several steps of training.
    """
    values = sizes.numpy()
    if n == 0:
        return torch.zeros(len(values), dtype=torch.bool)
    largest = np.partition(values, n - 1)[n - 1]
    chosen = values < largest
    chosen[np.flatnonzero(values == largest)[: n - int(chosen.sum())]] = True
    return torch.from_numpy(chosen)


def _prune_together(weights: Weights, mask: Mask, q: float) -> Mask:
    """One ranking over all tensors of ``mask``."""
    keep = torch.cat([m.flatten() for m in mask.values()])  # (total,), a copy
    size = torch.cat([weights[name].detach().abs().flatten() for name in mask])  # (total,)

    survivors = keep.nonzero().squeeze(1)  # (n_survivors,)
    n_remove = int(q * len(survivors))
    keep[survivors[_smallest(size[survivors], n_remove)]] = False

    parts = keep.split([m.numel() for m in mask.values()])
    return {name: part.view_as(m) for (name, m), part in zip(mask.items(), parts, strict=True)}
