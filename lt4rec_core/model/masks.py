"""Which trunk weights a task keeps. In every mask True keeps a weight and False removes it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lt4rec_core.errors import MaskError

Mask = dict[str, Tensor]
"""Weight name to a bool tensor of that weight's shape."""

Masks = Mapping[str, Mask | None]
"""Task name to its mask; None (or no entry) is dense."""

Weights = Mapping[str, Tensor]
"""Weight name to its values."""


def keep_all(weights: Weights) -> Mask:
    """The mask that removes nothing."""
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}


def check_fits(mask: Mask, weights: Weights) -> None:
    """Refuse a mask of another network, of another type, or one that empties a layer.

    Raises:
        MaskError: names, shapes or types differ, or a layer keeps no weight.
    """
    if set(mask) != set(weights):
        raise MaskError(
            f"The mask covers {sorted(mask)}, the network has {sorted(weights)}. "
            "Was the ticket found with another network config?"
        )
    for name, m in mask.items():
        w = weights[name]
        if m.shape != w.shape:
            raise MaskError(
                f"mask for {name!r} has shape {tuple(m.shape)}, its weight has {tuple(w.shape)}. "
                "Was the ticket found with another network config or feature catalogue?"
            )
        if m.dtype != torch.bool:
            raise MaskError(f"mask for {name!r} must be bool, got {m.dtype}. True keeps a weight.")
        if not m.any():
            raise MaskError(
                f"mask for {name!r} keeps none of its {m.numel()} weights, so no signal passes the layer. "
                "Prune less, or rank per layer instead of globally."
            )


def density(mask: Mask) -> float:
    """Share of all weights that are kept, in [0, 1]."""
    return n_kept(mask) / sum(m.numel() for m in mask.values())


def n_kept(mask: Mask) -> int:
    """Number of weights that are kept."""
    return int(sum(int(m.sum()) for m in mask.values()))


def layer_densities(mask: Mask) -> dict[str, float]:
    """Share of weights kept, per layer."""
    return {name: int(m.sum()) / m.numel() for name, m in mask.items()}


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How two masks share one layer (paper, Fig. 3): counts of weights that sum to ``n``."""

    layer: str
    """The weight's name, or ``all``."""
    n: int
    """Weights in the layer."""
    shared: int
    """Kept by both (green in the figure)."""
    only_first: int
    """Kept by the first mask alone (yellow)."""
    only_second: int
    """Kept by the second mask alone (purple)."""

    @property
    def unused(self) -> int:
        """Kept by neither."""
        return self.n - self.shared - self.only_first - self.only_second

    @property
    def jaccard(self) -> float:
        """Shared over kept by either; 0 where neither keeps any."""
        either = self.shared + self.only_first + self.only_second
        return self.shared / either if either else 0.0

    @property
    def jaccard_by_chance(self) -> float:
        """What two masks of these densities would share if drawn independently (expected counts)."""
        first, second = (self.shared + self.only_first) / self.n, (self.shared + self.only_second) / self.n
        either = first + second - first * second
        return first * second / either if either else 0.0


def overlap(first: Mask, second: Mask) -> list[Overlap]:
    """Per layer, then over ``all``, how two masks of one network overlap.

    Raises:
        MaskError: the masks are of different networks.
    """
    check_fits(first, second)
    layers = []
    for name, a in first.items():
        b = second[name]
        counts = {
            "shared": int((a & b).sum()),
            "only_first": int((a & ~b).sum()),
            "only_second": int((~a & b).sum()),
        }
        layers.append(Overlap(layer=name, n=a.numel(), **counts))
    total = {
        key: sum(getattr(o, key) for o in layers) for key in ("n", "shared", "only_first", "only_second")
    }
    return [*layers, Overlap(layer="all", **total)]


def mask_digest(mask: Mask) -> str:
    """A sha256 of names, shapes and bits: equal masks have equal digests."""
    digest = hashlib.sha256()
    for name in sorted(mask):
        m = mask[name]
        digest.update(f"{name}{tuple(m.shape)}".encode())
        digest.update(m.contiguous().numpy().tobytes())
    return digest.hexdigest()
