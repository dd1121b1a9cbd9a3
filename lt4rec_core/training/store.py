"""Models and tickets on disk: safetensors and a JSON manifest, published atomically; never a pickle.

A folder holds one model: ``manifest.json`` and the tensor file it names. The tensor file is written first,
under a name made of its digest; replacing the manifest is the one step that makes the new model exist. Killed
before it, the old model stands; killed after it, the new one. What a killed writer leaves, the next sweeps.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from lt4rec_core.config import digest_of
from lt4rec_core.errors import MissingParentError, ModelStoreError
from lt4rec_core.model.masks import Mask, Weights, check_fits
from lt4rec_core.training.tickets import Round, Ticket, TicketKey

MANIFEST = "manifest.json"
FORMAT = 1
"""Raised when a manifest changes its meaning."""
AGAIN = "Materialise it again."


@dataclass(frozen=True)
class Saved:
    """A model or ticket as read from disk, its digest checked."""

    tensors: dict[str, Tensor]
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """Over tensors, identity and parent."""
        return self.manifest["digest"]


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """A sha256 over names, types, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def model_digest(tensors: Mapping[str, Tensor], identity: Mapping[str, Any]) -> str:
    """The digest of a model: its tensors and what it is (settings, tickets, day, parent)."""
    return digest_of({"tensors": tensors_digest(tensors), "identity": dict(identity)})


@dataclass
class ModelStore:
    """All models and tickets of one home, under ``$LT4REC_HOME/models``."""

    home: Path
    warm: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The last state of each chain, kept in memory by ``daily``; equal to the one on disk by digest."""

    @property
    def root(self) -> Path:
        """Where everything lies."""
        return Path(self.home) / "models"

    def folder(self, kind: str, chain: str, day: date) -> Path:
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
        return _publish(self.folder(kind, chain, day), tensors, identity, beside)

    def load(self, kind: str, chain: str, day: date) -> Saved:
        """A day's model.

        Raises:
            ModelStoreError: it is not there, damaged, or not what its digest says.
        """
        return _load(self.folder(kind, chain, day), f"the {kind} model of {day}")

    def manifest(self, kind: str, chain: str, day: date) -> dict[str, Any] | None:
        """A day's manifest without its tensors; None where there is no model."""
        return _read_manifest(self.folder(kind, chain, day), f"the {kind} model of {day}")

    def days(self, kind: str, chain: str) -> list[date]:
        """The days a chain has models for, ascending."""
        folder = self.root / kind / chain[:16]
        found = (p.parent.name for p in folder.glob(f"*/{MANIFEST}"))
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

    def save_ticket(self, key: TicketKey, ticket: Ticket, beside: Mapping[str, Any] | None = None) -> str:
        """Keep a task's ticket; returns its digest (of the mask)."""
        described = {
            "kind": "ticket", "task": ticket.task, "metric": ticket.metric, "best_i": ticket.best_i,
            "mask_digest": ticket.digest, "key": key.digest, "rounds": [asdict(r) for r in ticket.rounds],
        }  # fmt: skip
        settings = json.loads(json.dumps(asdict(key), default=str))
        beside = {"settings": settings, **(beside or {})}
        _publish(self.ticket_folder(key, ticket.task), ticket.mask, described, beside)
        return ticket.digest

    def ticket_folder(self, key: TicketKey, task: str) -> Path:
        """Where a task's ticket lies."""
        return self.root / "ticket" / key.digest[:16] / task

    def has_ticket(self, key: TicketKey, task: str) -> bool:
        """Whether the task's ticket was found under these settings."""
        return (self.ticket_folder(key, task) / MANIFEST).exists()

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
        saved = _load(self.ticket_folder(key, task), what)
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
        return Ticket(task=task, metric=told["metric"], best_i=told["best_i"], rounds=rounds, mask=mask)


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def _publish(
    folder: Path, tensors: Mapping[str, Tensor], identity: Mapping[str, Any], beside: Mapping[str, Any]
) -> str:
    """Write the tensor file, then replace the manifest, then sweep what no manifest names."""
    plain = {name: value.detach().contiguous() for name, value in tensors.items()}
    digest = model_digest(plain, identity)
    named = f"model-{digest[:16]}.safetensors"
    manifest = {
        "format": FORMAT, "digest": digest, "tensors": named, "identity": dict(identity), **beside,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _sweep(folder, keep=_named_by_manifest(folder))
            save_file(plain, folder / f".{named}.tmp")
            _into_place(folder / f".{named}.tmp", folder / named)
            (folder / f".{MANIFEST}.tmp").write_text(json.dumps(manifest, indent=2) + "\n")
            _into_place(folder / f".{MANIFEST}.tmp", folder / MANIFEST)
            _sweep(folder, keep=named)
    except OSError as error:
        raise ModelStoreError(f"Could not write into {folder}: {error}. Is the home writable?") from error
    return digest


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time. The system drops the lock of a writer that dies."""
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _into_place(temporary: Path, final: Path) -> None:
    """Rename once the bytes are on disk, and put the rename on disk too."""
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, final)
    directory = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sweep(folder: Path, keep: str | None) -> None:
    """Remove tensor files but ``keep``, and half-written ones.

    Only under the lock: then whoever wrote them is dead.
    """
    for path in (*folder.glob("model-*.safetensors"), *folder.glob(".*.tmp")):
        if path.name != keep:
            path.unlink()


def _named_by_manifest(folder: Path) -> str | None:
    """The tensor file of the model that stands; None where none does (or its manifest is damaged)."""
    try:
        return json.loads((folder / MANIFEST).read_text())["tensors"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_manifest(folder: Path, what: str) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelStoreError(f"{what} is damaged: {path} ({error}). {AGAIN}") from error
    wanted = {"format", "digest", "tensors", "identity"}
    if not isinstance(manifest, dict) or not wanted <= set(manifest) or manifest["format"] != FORMAT:
        raise ModelStoreError(
            f"{what} is damaged or of another version: {path} lacks {sorted(wanted)} "
            f"or is not of format {FORMAT}. {AGAIN}"
        )
    return manifest


def _load(folder: Path, what: str) -> Saved:
    """Read and check. A reader whose tensor file is replaced in between starts over."""
    for more_tries in range(20, -1, -1):
        manifest = _read_manifest(folder, what)
        if manifest is None:
            raise ModelStoreError(f"{what} is not there. Looked in {folder}; materialise it first.")
        path = folder / manifest["tensors"]
        try:
            tensors = load(path.read_bytes())
        except FileNotFoundError as error:
            if more_tries:
                continue
            raise ModelStoreError(
                f"{what} is damaged: its manifest names {path.name}, which is not in {folder}. {AGAIN}"
            ) from error
        except (OSError, SafetensorError) as error:
            raise ModelStoreError(f"{what} is damaged: {path} ({error}). {AGAIN}") from error
        found = model_digest(tensors, manifest["identity"])
        if found != manifest["digest"]:
            raise ModelStoreError(
                f"{what} is not what its manifest says: digest {found[:16]}, "
                f"expected {manifest['digest'][:16]}. {path} was changed or damaged. {AGAIN}"
            )
        return Saved(tensors, manifest)
    raise AssertionError("unreachable")
