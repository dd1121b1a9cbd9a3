"""A day of several workers while it is trained: what a checkpoint holds, and going on from one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from lt4rec_core.config import digest_of
from lt4rec_core.errors import ModelStoreError
from lt4rec_core.training import modelfile
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.parallel import Reached
from lt4rec_core.training.state import State, restore


@dataclass
class Attempt:
    """The state of a day under way, and how far each of its networks has come."""

    state: State
    identity: Mapping[str, Any]
    """Of the model that the day will publish."""
    reached: dict[str, Reached] = field(default_factory=dict)
    """By network of the chain. One that met all its samples has no further round."""

    def save(self, folder: Path) -> str:
        """Write a checkpoint as models are written: atomically, with a digest; returns the digest."""
        told = {name: {"rounds": r.rounds, "sums": r.sums} for name, r in self.reached.items()}
        return modelfile.publish(folder, self.state.tensors(), self.identity, {"reached": told})

    def go_on(self, chain: Chain, day: date, folder: Path) -> None:
        """Take a checkpoint's place in the day.

        Raises:
            ModelStoreError: it is damaged, or of another day, model or number of workers.
        """
        saved = modelfile.load(folder, f"the checkpoint of {day}")
        told = saved.manifest["identity"]
        if digest_of(told) != digest_of(self.identity):
            raise ModelStoreError(
                f"The checkpoint in {folder} is of {_described(told)}; wanted one of "
                f"{_described(self.identity)}, with these settings. Remove the folder: the day then begins "
                "anew."
            )
        self.state = restore(chain, saved, day)
        self.reached = {
            name: Reached(told["rounds"], {task: (float(s), int(n)) for task, (s, n) in told["sums"].items()})
            for name, told in saved.manifest["reached"].items()
        }


def _described(identity: Mapping[str, Any]) -> str:
    parent = str(identity.get("parent"))[:16]
    return f"{identity.get('day')} after model {parent} with {identity.get('workers')} workers"
