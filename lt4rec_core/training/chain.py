"""What a chain of daily models is: the settings that decide it, and the digest that names it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.config import as_mapping, check, digest_of
from lt4rec_core.model.masks import Mask
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.tickets import Ticket


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Everything that decides what a chain's models are, beside the samples.

    A change of any of it starts a new chain.
    """

    kind: Literal["snet", "baseline"]
    """One shared network through tickets, or one dense network per task."""

    catalogue: FeatureCatalogue
    tasks: tuple[Task, ...]
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    tickets: Mapping[str, Ticket] = field(default_factory=dict)
    """Task name to its ticket; a task without one trains the dense trunk. None for ``baseline``."""

    restart: Literal["reinitialise", "rewind"] = "reinitialise"
    """As the tickets were searched for: sNET starts from its own draw, or from the tickets' first values."""

    seed: int = 0

    def __post_init__(self) -> None:
        check(self.kind in ("snet", "baseline"), f"kind must be 'snet' or 'baseline', got {self.kind!r}.")
        check(bool(self.tasks), "A chain needs at least one task. Look at LT4REC_TASKS.")
        check(
            self.kind == "snet" or not self.tickets,
            "The baseline is dense and takes no tickets; give them to the snet chain.",
        )
        strangers = sorted(set(self.tickets) - {task.name for task in self.tasks})
        check(not strangers, f"There are tickets of tasks that the chain does not have: {strangers}.")

    @property
    def settings(self) -> dict[str, Any]:
        """What the digest covers, in words: it stands in every manifest of the chain."""
        shared = self.kind == "snet"
        return {
            "kind": self.kind,
            "catalogue": self.catalogue.digest,
            "tasks": [as_mapping(task) for task in self.tasks],
            "network": as_mapping(self.network),
            "training": as_mapping(self.training),
            "tickets": {name: ticket.digest for name, ticket in sorted(self.tickets.items())},
            "restart": self.restart if shared else "reinitialise",
            "seed": self.seed,
        }

    @cached_property
    def digest(self) -> str:
        """Names the chain, and the folder its models lie in."""
        return digest_of(self.settings)

    @property
    def members(self) -> dict[str, tuple[Task, ...]]:
        """The networks of the chain, and the tasks of each: one for all, or one each."""
        if self.kind == "snet":
            return {"shared": self.tasks}
        return {task.name: (task,) for task in self.tasks}

    @property
    def masks(self) -> dict[str, Mask | None]:
        """Per task its mask, None where it is dense."""
        return {t.name: self.tickets[t.name].mask if t.name in self.tickets else None for t in self.tasks}
