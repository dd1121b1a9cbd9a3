"""From a row of the table to its network and its masks."""

from collections.abc import Callable, Mapping

import torch

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.masks import Mask
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.pruning import random_mask, widen
from lt4rec_core.model.towers import EsmmNet, HardSharingNet, MmoeNet, PleNet
from lt4rec_core.model.variants import Variant

_NETS: dict[str, type[SharedNet]] = {
    "trunk": SharedNet,
    "trunks": HardSharingNet,
    "esmm": EsmmNet,
    "mmoe": MmoeNet,
    "ple": PleNet,
}


def build_network(
    variant: Variant, catalogue: FeatureCatalogue, base: NetworkConfig, generator: torch.Generator
) -> SharedNet:
    """The row's network with its first values.

    Raises:
        ConfigError: the row is no network.
    """
    if variant.sharing not in _NETS:
        raise ConfigError(f"{variant.name} is no network: fit it with model.boosting.")
    config, views = variant.network_config(base), dict(variant.views)
    return _NETS[variant.sharing](catalogue, variant.scores, config, generator, views)


def build_masks(
    variant: Variant,
    net: SharedNet,
    ticket: Callable[[str], Mask],
    generator: torch.Generator,
) -> Mapping[str, Mask]:
    """The row's masks, one per task; none where it is dense.

    Args:
        variant: the row.
        net: its network.
        ticket: a task's ticket, searched in that task's network alone.
        generator: draws random masks.

    Raises:
        MaskError: a ticket is of another network.
    """
    if variant.masks == "none":
        return {}
    if variant.masks == "random_same":
        return dict.fromkeys(variant.scores, random_mask(ticket("cvr"), generator))
    found = {task: ticket(task) for task in variant.scores}
    if variant.masks == "random_independent":
        found = {task: random_mask(mask, generator) for task, mask in found.items()}
    return {task: widen(mask, net.maskable(mask)) for task, mask in found.items()}
