"""Which weights to remove next (Algorithm 1, line 5). In every mask True keeps a weight and False removes it.

Read literally, line 5 takes the quantile over removed weights too, whose zeros would stop the pruning after
one round: only survivors are ranked here.
"""

from typing import Literal

import torch

from lt4rec_core.errors import ConfigError
from lt4rec_core.model.masks import Mask, Weights, check_fits

Scope = Literal["layer", "global"]
"""Whether each layer ranks its own weights, or all layers compete in one ranking."""


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
    if not 0 < q < 1:
        raise ConfigError(
            f"q must lie strictly between 0 and 1, got {q}. "
            "It is a share of the surviving weights, not a percentage."
        )
    check_fits(mask, weights)
    if scope == "layer":
        pruned: Mask = {}
        for name, m in mask.items():
            pruned |= _prune_together(weights, {name: m}, q)
    else:
        pruned = _prune_together(weights, mask, q)
    check_fits(pruned, weights)
    return pruned


def _prune_together(weights: Weights, mask: Mask, q: float) -> Mask:
    """One ranking over all tensors of ``mask``."""
    keep = torch.cat([m.flatten() for m in mask.values()])  # (total,), a copy
    size = torch.cat([weights[name].detach().abs().flatten() for name in mask])  # (total,)

    survivors = keep.nonzero().squeeze(1)  # (n_survivors,)
    n_remove = int(q * len(survivors))
    keep[survivors[size[survivors].argsort(stable=True)[:n_remove]]] = False

    parts = keep.split([m.numel() for m in mask.values()])
    return {name: part.view_as(m) for (name, m), part in zip(mask.items(), parts, strict=True)}
