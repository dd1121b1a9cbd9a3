"""One model on disk: safetensors and a JSON manifest, published atomically; never a pickle.

A folder holds one model: ``manifest.json`` and the tensor file it names; a bucket's prefix does too, where
``modelobjects`` writes it. The tensor file is written first,
under a name made of its digest; replacing the manifest is the one step that makes the new model exist. Killed
before it, the old model stands; killed after it, the new one. What a killed writer leaves, the next sweeps.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file
from torch import Tensor

from lt4rec_core.config import digest_of
from lt4rec_core.data.disk import MAKE_ROOM, is_full
from lt4rec_core.data.lock import locked
from lt4rec_core.data.places import Place, RemotePath
from lt4rec_core.errors import ModelStoreError, StoreError
from lt4rec_core.training import modelobjects

MANIFEST = "manifest.json"
FORMAT = 2
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


def publish(
    folder: Place, tensors: Mapping[str, Tensor], identity: Mapping[str, Any], beside: Mapping[str, Any]
) -> str:
    """Write the tensor file, then replace the manifest, then sweep what no manifest names.

    Raises:
        ModelStoreError: the folder cannot be written.
    """
    plain = {name: value.detach().contiguous() for name, value in tensors.items()}
    digest = model_digest(plain, identity)
    named = f"model-{digest[:16]}.safetensors"
    manifest = {
        "format": FORMAT, "digest": digest, "tensors": named, "identity": dict(identity), **beside,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    try:
        if isinstance(folder, RemotePath):
            modelobjects.publish(folder, MANIFEST, plain, manifest)
            return digest
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            try:
                _sweep(folder, keep=_named_by_manifest(folder))
                save_file(plain, folder / f".{named}.tmp")
                _into_place(folder / f".{named}.tmp", folder / named)
                (folder / f".{MANIFEST}.tmp").write_text(json.dumps(manifest, indent=2) + "\n")
                _into_place(folder / f".{MANIFEST}.tmp", folder / MANIFEST)
                _sweep(folder, keep=named)
            finally:  # what could not be written to its end
                for path in folder.glob(".*.tmp"):
                    path.unlink()
    except StoreError as error:
        raise ModelStoreError(f"{folder} cannot be written: {error}") from error
    except (OSError, SafetensorError) as error:
        if is_full(error):
            raise ModelStoreError(f"the disk is full: {folder} cannot be written. {MAKE_ROOM}") from error
        raise ModelStoreError(f"Could not write into {folder}: {error}. Is the home writable?") from error
    return digest


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


def read_manifest(folder: Place, what: str) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none.

    Raises:
        ModelStoreError: it is damaged, or of another version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except StoreError as error:
        raise ModelStoreError(f"{what} cannot be read: {error}") from error
    except (OSError, ValueError) as error:
        raise ModelStoreError(f"{what} is damaged: {path} ({error}). {AGAIN}") from error
    wanted = {"format", "digest", "tensors", "identity"}
    if (
        not isinstance(manifest, dict)
        or not wanted <= set(manifest)
        or manifest["format"] != FORMAT
        or Path(str(manifest["tensors"])).name != manifest["tensors"]  # a file of this folder, nowhere else
    ):
        raise ModelStoreError(
            f"{what} is damaged or of another version: {path} lacks {sorted(wanted)} "
            f"or is not of format {FORMAT}. {AGAIN}"
        )
    return manifest


def load(folder: Place, what: str) -> Saved:
    """Read and check. A reader whose tensor file is replaced in between starts over.

    Raises:
        ModelStoreError: the model is not there, is damaged, or does not have the digest of its manifest.
    """
    for more_tries in range(20, -1, -1):
        manifest = read_manifest(folder, what)
        if manifest is None:
            raise ModelStoreError(f"{what} is not there. Looked in {folder}; materialise it first.")
        path = folder / manifest["tensors"]
        try:
            tensors = load_tensors(path.read_bytes())
        except FileNotFoundError as error:
            if more_tries:
                continue
            raise ModelStoreError(
                f"{what} is damaged: its manifest names {path.name}, which is not in {folder}. {AGAIN}"
            ) from error
        except StoreError as error:
            raise ModelStoreError(f"{what} cannot be read: {error}") from error
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
