"""One model in a bucket: tensors under a name that no other upload has, then the manifest that names them.

A folder's writers lock it; a bucket's cannot. So the manifest is put in the place of exactly the one that was
there before the tensors were sent, and whoever was slower sends his own anew. Killed before it, the old model
stands; killed after it, the new one.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors.torch import save_file
from torch import Tensor

from lt4rec_core.data import objects
from lt4rec_core.data.places import RemotePath, working_folder
from lt4rec_core.data.staging import scratch_name
from lt4rec_core.errors import ModelStoreError

ATTEMPTS = 10
LEFT_BEHIND = timedelta(days=2)
"""Tensors that no manifest names are another writer's on their way, until they are as old as this."""


def publish(
    folder: RemotePath, pointer: str, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]
) -> None:
    """Send the tensors, then put the manifest, then remove what it replaced.

    Args:
        folder: the model's prefix.
        pointer: the manifest's name.
        tensors: to be stored.
        manifest: without the name of the tensors, which is ``tensors``.

    Raises:
        ModelStoreError: other writers were faster each time.
        OSError: the store, or the working folder, refuses.
    """
    draft = working_folder(folder) / "staging" / f"{scratch_name()}.safetensors"
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(dict(tensors), draft)
        for _ in range(ATTEMPTS):
            if _try(folder, pointer, draft, manifest):
                return
    finally:
        draft.unlink(missing_ok=True)
    raise ModelStoreError(
        f"{folder} was written by others {ATTEMPTS} times while this model was on its way. "
        "Is another run making the same model?"
    )


def _try(folder: RemotePath, pointer: str, draft: Path, manifest: Mapping[str, Any]) -> bool:
    replaced, e_tag = _standing(folder / pointer)
    tensors = folder / f"model-{manifest['digest'][:16]}-{uuid4().hex[:8]}.safetensors"
    objects.write(tensors.bucket, tensors.key, draft)
    text = json.dumps({**manifest, "tensors": tensors.name}, indent=2) + "\n"
    if not objects.write_over(folder.bucket, f"{folder.key}/{pointer}", text.encode(), e_tag):
        if _standing(folder / pointer)[0] == tensors.name:  # put, but the answer was lost on its way
            return True
        tensors.unlink()
        return False
    with suppress(OSError):  # the model is there, whatever is left beside it
        _sweep(folder, replaced, keep=tensors.name)
    return True


def _standing(pointer: RemotePath) -> tuple[str | None, str | None]:
    """Which tensors the manifest names, and its entity tag; None where there is no manifest, or no name."""
    try:
        data, e_tag = objects.read(pointer.bucket, pointer.key)
    except FileNotFoundError:
        return None, None
    try:
        return str(json.loads(data)["tensors"]), e_tag
    except (ValueError, KeyError, TypeError):
        return None, e_tag


def _sweep(folder: RemotePath, replaced: str | None, keep: str) -> None:
    """Remove the tensors of the model that was replaced, and those that a killed writer left long ago."""
    for found in objects.below(folder.bucket, folder.key):
        name = found.key.rpartition("/")[2]
        is_old = datetime.now(UTC) - found.modified > LEFT_BEHIND
        if name.endswith(".safetensors") and name != keep and (is_old or name == replaced):
            objects.remove(folder.bucket, found.key)
