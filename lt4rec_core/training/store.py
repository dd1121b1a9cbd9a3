"""Which models and tickets there are, and where they lie, under ``$LT4REC_HOME/models``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from torch import Tensor

from lt4rec_core.config import as_mapping
from lt4rec_core.data.lock import locked
from lt4rec_core.data.places import Place, lock_file, place
from lt4rec_core.errors import MissingParentError, ModelStoreError
from lt4rec_core.model.masks import Mask, Weights, check_fits
from lt4rec_core.training import modelfile
from lt4rec_core.training.tickets import Round, Ticket, TicketKey


@dataclass
class ModelStore:
    """All models and tickets of one home, under ``$LT4REC_HOME/models``."""

    home: Place
    warm: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The last state of each chain, kept in memory by ``daily``; equal to the one on disk by digest."""

    @property
    def root(self) -> Place:
        """Where everything lies."""
        return place(self.home) / "models"

    def folder(self, kind: str, chain: str, day: date) -> Place:
        """Where one day's model of a chain lies."""
        return self.root / kind / chain[:16] / day.isoformat()

    def publish(
        self, kind: str, chain: str, day: date, tensors: Mapping[str, Tensor], identity: Mapping[str, Any],
        beside: Mapping[str, Any],
    ) -> str:  # fmt: skip
        """Make a day's model exist, replacing an earlier one in one step.

        Args:
            kind: ``snet`` or ``baseline``.
            chain: the chain's digest.
            day: the last day it was trained on.
            tensors: weights and optimiser state.
            identity: what the digest covers beside the tensors: settings, tickets, day, parent.
            beside: what it does not: data versions, metrics.

        Returns:
            The model digest.
        """
        return modelfile.publish(self.folder(kind, chain, day), tensors, identity, beside)

    def load(self, kind: str, chain: str, day: date) -> modelfile.Saved:
        """A day's model.

        Raises:
            ModelStoreError: it is not there, damaged, or not what its digest says.
        """
        return modelfile.load(self.folder(kind, chain, day), f"the {kind} model of {day}")

    def manifest(self, kind: str, chain: str, day: date) -> dict[str, Any] | None:
        """A day's manifest without its tensors; None where there is no model."""
        return modelfile.read_manifest(self.folder(kind, chain, day), f"the {kind} model of {day}")

    def days(self, kind: str, chain: str) -> list[date]:
        """The days a chain has models for, ascending."""
        folder = self.root / kind / chain[:16]
        found = (p.parent.name for p in folder.glob(f"*/{modelfile.MANIFEST}"))
        return sorted(date.fromisoformat(name) for name in found)

    def require_parent(self, kind: str, chain: str, day: date) -> dict[str, Any]:
        """The manifest of the day before, or ``MissingParentError`` naming the gap."""
        manifest = self.manifest(kind, chain, _day_before(day))
        if manifest is None:
            days = self.days(kind, chain)
            have = f"this chain has models for {days[0]} to {days[-1]}" if days else "this chain has no model"
            raise MissingParentError(
                f"The {kind} model of {day} continues that of {_day_before(day)}, which is missing; {have}. "
                "Materialise the days in between first. "
                f"Looked in {self.folder(kind, chain, _day_before(day))}."
            )
        return manifest

    def cited_versions(self, since: date) -> dict[str, set[int]]:
        """Table -> Delta versions that the models of ``since`` and later days say they were trained on."""
        cited: dict[str, set[int]] = {}
        for path in self.root.glob(f"*/*/*/{modelfile.MANIFEST}"):
            manifest = modelfile.read_manifest(path.parent, f"the model in {path.parent}") or {}
            day = manifest.get("identity", {}).get("day")  # a ticket has none
            if day and date.fromisoformat(day) >= since:
                for table, version in manifest.get("data_versions", {}).items():
                    cited.setdefault(table, set()).add(int(version))
        return cited

    def save_ticket(self, key: TicketKey, ticket: Ticket, beside: Mapping[str, Any] | None = None) -> str:
        """Keep a task's ticket; returns its digest (of the mask)."""
        described = {
            "kind": "ticket", "task": ticket.task, "metric": ticket.metric, "best_i": ticket.best_i,
            "mask_digest": ticket.digest, "key": key.digest, "rounds": [as_mapping(r) for r in ticket.rounds],
        }  # fmt: skip
        if ticket.precision != "fp32":  # tickets from before there was a choice say nothing
            described["precision"] = ticket.precision
        settings = json.loads(json.dumps(as_mapping(key), default=str))
        beside = {"settings": settings, **(beside or {})}
        modelfile.publish(self.ticket_folder(key, ticket.task), ticket.mask, described, beside)
        return ticket.digest

    def ticket_folder(self, key: TicketKey, task: str) -> Place:
        """Where a task's ticket lies."""
        return self.root / "ticket" / key.digest[:16] / task

    @contextmanager
    def searching(self, key: TicketKey, task: str) -> Iterator[None]:
        """Hold this while searching a ticket: who asks for the same one at the same time waits for it.

        Searches that differ only in which of their rounds they choose are the same search.
        """
        search = replace(key, pruning=replace(key.pruning, choose="best"))
        folder = self.root / "ticket"
        folder.mkdir(parents=True, exist_ok=True)
        with locked(lock_file(folder, f"{search.digest[:16]}-{task}")):
            yield

    def has_ticket(self, key: TicketKey, task: str) -> bool:
        """Whether the task's ticket was found under these settings."""
        return (self.ticket_folder(key, task) / modelfile.MANIFEST).is_file()

    def load_ticket(self, key: TicketKey, task: str, weights: Weights | None = None) -> Ticket:
        """A task's ticket, unchanged since it was found.

        Args:
            key: the settings it was found with.
            task: whose.
            weights: the trunk it is for, to refuse a ticket of another network.

        Raises:
            ModelStoreError: missing, damaged, or found with other settings.
            MaskError: it does not fit ``weights``.
        """
        what = f"the ticket of task {task!r}"
        saved = modelfile.load(self.ticket_folder(key, task), what)
        told = saved.manifest["identity"]
        if told["key"] != key.digest or told["task"] != task:
            raise ModelStoreError(
                f"{what} was found for task {told['task']!r} under settings {told['key'][:16]}, "
                f"wanted {task!r} under {key.digest[:16]}. Was a folder copied by hand? "
                f"Look in {self.ticket_folder(key, task)}."
            )
        mask: Mask = {name: m for name, m in saved.tensors.items()}
        check_fits(mask, mask if weights is None else weights)
        rounds = tuple(Round(**r) for r in told["rounds"])
        return Ticket(
            task=task, metric=told["metric"], best_i=told["best_i"], rounds=rounds, mask=mask,
            precision=told.get("precision", "fp32"),
        )  # fmt: skip


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)
