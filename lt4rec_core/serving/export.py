"""From a day's model to its ranker on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from torch import Tensor

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.config import check
from lt4rec_core.serving.entities import SIDES, Entities
from lt4rec_core.serving.ranker import Ranker
from lt4rec_core.serving.shelf import KIND
from lt4rec_core.serving.storage import n_bytes, pack_trunk
from lt4rec_core.serving.trunk import Choice, choose
from lt4rec_core.training.chain import Chain
from lt4rec_core.training.daily import load_state
from lt4rec_core.training.store import ModelStore


@dataclass(frozen=True)
class Draft:
    """A ranker that is not yet published: what would be on disk, and the same ready to score."""

    tensors: dict[str, Tensor]
    identity: dict[str, Any]
    ranker: Ranker
    choice: Choice
    """How its layers run, and what was measured for it."""

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of its parts."""
        return {
            "trunk": n_bytes(self.tensors, "trunk/", "logits/"),
            "embeddings": n_bytes(self.tensors, "table/"),
            "features": n_bytes(self.tensors, *(f"{side}s/" for side in SIDES)),
        }


def draft(
    store: ModelStore,
    chain: Chain,
    day: date,
    entities: Mapping[str, Entities],
    time_zone: str,
) -> Draft:
    """Make the ranker of a day's shared network.

    Args:
        store: where models lie.
        chain: of kind ``snet``: one network for all tasks.
        day: whose model.
        entities: ``user`` and ``video``, as known after it.
        time_zone: in which hours and weekdays are counted.

    Raises:
        ConfigError: the chain has a network per task.
        ModelStoreError: the model is missing or damaged, or holds NaN.
    """
    check(
        chain.kind == "snet",
        f"A ranker serves all tasks with one network, which a chain of {chain.kind!r} lacks. Use snet's.",
    )
    state, digest = load_state(store, chain, day)
    moved = state.optimizers["shared"].embedding.state()
    tensors = {
        "table/rows": moved["rows"],
        "table/values": moved["values"],
        **pack_trunk(state.nets["shared"], chain.masks),
    }
    for side in SIDES:
        tensors |= entities[side].tensors(side)
    identity = {
        "kind": KIND,
        "chain": chain.digest,
        "day": day.isoformat(),
        "model": digest,
        "settings": chain.settings,
        "features": described(chain.catalogue),
        "first_values": state.first_values,
        "time_zone": time_zone,
    }
    ranker = Ranker(tensors, {"identity": identity})
    choice = choose(ranker.heads)
    ranker.run_as(choice.kinds)
    return Draft(tensors, identity, ranker, choice)


def publish(store: ModelStore, drafted: Draft, beside: Mapping[str, Any]) -> str:
    """Make a ranker exist, with what is said beside it, in one step; returns its digest."""
    told = {"kernels": {t: list(k) for t, k in drafted.choice.kinds.items()}, "micros": drafted.choice.micros}
    day = date.fromisoformat(drafted.identity["day"])
    return store.publish(
        KIND, drafted.identity["chain"], day, drafted.tensors, drafted.identity, {**told, **beside}
    )


def described(catalogue: FeatureCatalogue) -> list[dict[str, Any]]:
    """A catalogue as JSON has it; ``Ranker`` reads it back."""
    return [
        {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(feature).items()}
        for feature in catalogue.features
    ]
