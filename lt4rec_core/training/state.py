"""What a chain of daily models carries from day to day, in memory and as the tensors of a model file.

A model file leaves out what can be had again: embedding rows that no sample ever touched still have their
first values, which the chain's seed draws again, and Adam's moments outside a task's mask are zero. What
comes back is what was saved, bit for bit.
"""

from dataclasses import dataclass
from datetime import date

import torch
from torch import Tensor

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.modelfile import Saved, tensors_digest
from lt4rec_core.training.optimizers import Optimizers, make_optimizers
from lt4rec_core.training.precision import Precision
from lt4rec_core.training.tickets import initial_generator


@dataclass
class State:
    """The networks and optimisers of a chain by member, after some day."""

    nets: dict[str, SharedNet]
    optimizers: dict[str, Optimizers]

    first_values: str
    """Digest of the tables as first drawn: untouched rows are not saved, so they must be drawn alike."""

    precision: Precision = "fp32"
    """What the chain trains in, from its first day on."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything that tomorrow needs and the chain's seed does not give, flat."""
        flat: dict[str, Tensor] = {}
        for name, net in self.nets.items():
            flat |= {f"{name}/net/{key}": p.detach() for key, p in _dense(net).items()}
            flat |= {f"{name}/optimizer/{key}": v for key, v in self.optimizers[name].state().items()}
        return flat


def initial(chain: Chain, precision: Precision = "fp32") -> State:
    """First values: for sNET its own draw or the rewind point, for a baseline network its own draw.

    Raises:
        MaskError: a ticket is of another network.
    """
    nets, optimizers = {}, {}
    for name, tasks in chain.members.items():
        restart = chain.restart if chain.kind == "snet" else "reinitialise"
        generator = initial_generator(chain.seed, restart, chain.kind, name)
        nets[name] = SharedNet(chain.catalogue, [task.name for task in tasks], chain.network, generator)
        optimizers[name] = make_optimizers(nets[name], chain.training, chain.masks)
    return State(nets, optimizers, tensors_digest({name: net.table for name, net in nets.items()}), precision)


@torch.no_grad()
def restore(chain: Chain, saved: Saved, day: date) -> State:
    """The state that was saved, bit for bit.

    Raises:
        ModelStoreError: it is of another chain or network, or this machine draws other first values.
    """
    what, told = f"The {chain.kind} model of {day}", saved.manifest["identity"]
    if told.get("chain") != chain.digest:
        raise ModelStoreError(
            f"{what} belongs to chain {told.get('chain')}, wanted {chain.digest}. "
            "Was a folder copied by hand? Materialise the day again."
        )
    state = initial(chain, told.get("precision", "fp32"))
    if told.get("first_values") != state.first_values:
        raise ModelStoreError(
            f"{what} started from first values {str(told.get('first_values'))[:16]}, this machine draws "
            f"{state.first_values[:16]}. Another PyTorch or kind of processor draws others: go on where the "
            "chain was started, or start a new one here."
        )
    for name, net in state.nets.items():
        parameters, prefix = _dense(net), f"{name}/net/"
        found = {k.removeprefix(prefix): v for k, v in saved.tensors.items() if k.startswith(prefix)}
        if {k: v.shape for k, v in found.items()} != {k: p.shape for k, p in parameters.items()}:
            raise ModelStoreError(f"{what} holds another network than this chain's. Materialise it again.")
        for key, parameter in parameters.items():
            parameter.copy_(found[key])
        prefix = f"{name}/optimizer/"
        state.optimizers[name].load(
            {k.removeprefix(prefix): v for k, v in saved.tensors.items() if k.startswith(prefix)}
        )
    return state


def _dense(net: SharedNet) -> dict[str, Tensor]:
    """What is saved in full; the table's touched rows are its optimiser's to save."""
    return {name: p for name, p in net.named_parameters() if name != "table"}
