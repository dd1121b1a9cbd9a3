"""A row of the race as a ranker: refitted with its frozen settings, kept, joined with a day's entities.

Cells keep scores of the test days, not weights. A fit is deterministic, so the weights of a cell can be had
again; here they are kept, since several days are ranked with them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from torch import Tensor

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.places import Place
from lt4rec_core.errors import ModelStoreError, ServingError
from lt4rec_core.experiments.fitting import Fitted
from lt4rec_core.experiments.race import Race
from lt4rec_core.experiments.records import Frozen
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.variants import VARIANTS, get_variants
from lt4rec_core.serving.entities import SIDES, Entities
from lt4rec_core.serving.export import described
from lt4rec_core.serving.ranker import Ranker
from lt4rec_core.serving.shelf import KIND
from lt4rec_core.serving.storage import pack_trunk
from lt4rec_core.training import modelfile
from lt4rec_core.training.tickets import initial_generator


@dataclass(frozen=True)
class Weights:
    """What a row learnt under one seed, as a ranker stores it: everything but users and videos."""

    tensors: dict[str, Tensor]
    identity: dict[str, Any]

    def ranker(self, entities: Mapping[str, Entities], day: date, time_zone: str) -> Ranker:
        """Join it with what is known of users and videos after a day.

        Args:
            entities: ``user`` and ``video``, as ``read_entities`` gives them.
            day: the day they are known after.
            time_zone: in which hours and weekdays are counted.
        """
        known = {name: t for side in SIDES for name, t in entities[side].tensors(side).items()}
        identity = {**self.identity, "kind": KIND, "day": day.isoformat(), "time_zone": time_zone}
        return Ranker({**self.tensors, **known}, {"identity": identity})


def can_be_ranked(name: str) -> bool:
    """Whether a row can be exported: no trees, no experts and gates, no view that only one task sees.

    Raises:
        ConfigError: no such row.
    """
    (variant,) = get_variants([name])
    return variant.sharing in ("trunk", "trunks", "esmm") and not variant.views


def weights_of(fitted: Fitted, catalogue: FeatureCatalogue, seed: int) -> Weights:
    """Take a fitted row apart as ``serving.export`` takes a day's model.

    Raises:
        ServingError: the row cannot be exported.
        ModelStoreError: a weight is NaN or infinite.
    """
    name = fitted.settings.variant
    net = fitted.model
    _refuse_what_cannot(name)
    assert isinstance(net, SharedNet)
    restart = fitted.settings.pruning.restart if VARIANTS[name].masks != "none" else "reinitialise"
    drawn = SharedNet(catalogue, net.tasks, net.config, initial_generator(seed, restart, "race", name))
    moved = (net.table != drawn.table).any(dim=1).nonzero().squeeze(1)
    tensors = {
        "table/rows": moved.int(),
        "table/values": net.table.detach()[moved],
        **pack_trunk(net, fitted.masks),
    }
    settings = {
        "kind": "race", "member": name, "catalogue": catalogue.digest, "network": asdict(net.config),
        "tasks": [{"name": task} for task in net.tasks], "restart": restart, "seed": seed,
    }  # fmt: skip
    identity = {
        "settings": settings,
        "features": described(catalogue),
        "first_values": modelfile.tensors_digest({"shared": drawn.table}),
    }
    return Weights(tensors, identity)


def fitted_weights(race: Race, name: str, seed: int) -> Weights:
    """A row's weights under one seed: those on disk, else fitted now with the frozen settings and kept.

    Args:
        race: whose frozen settings and days; a row that has none is tuned first.
        name: the row.
        seed: as of its cell.

    Raises:
        ServingError: the row cannot be exported; nothing is fitted for it.
        TrainingError, MaskError: as ``fit``.
    """
    _refuse_what_cannot(name)
    frozen = race.tune(name)
    folder = _folder(race, frozen, seed)
    told = {"kind": "fitted row", "variant": name, "seed": seed, "race": race.records.race}
    told["frozen"] = frozen.digest
    try:
        saved = modelfile.load(folder, f"the weights of {name!r} under seed {seed}")
    except ModelStoreError:  # not there, or damaged: a fit gives the same again
        saved = None
    if saved is None or {key: saved.manifest["identity"].get(key) for key in told} != told:
        weights = weights_of(race.fit(frozen, seed), race.data.catalogue, seed)
        modelfile.publish(folder, weights.tensors, {**weights.identity, **told}, {})
        saved = modelfile.load(folder, f"the weights of {name!r} under seed {seed}")
    return Weights(saved.tensors, saved.manifest["identity"])


def _refuse_what_cannot(name: str) -> None:
    if not can_be_ranked(name):
        raise ServingError(
            f"{name} cannot be exported as a ranker, which runs one trunk per task over shared inputs. "
            f"The row is {VARIANTS[name].description!r}. "
            f"Rows that can: {', '.join(row for row in VARIANTS if can_be_ranked(row))}."
        )


def _folder(race: Race, frozen: Frozen, seed: int) -> Place:
    return race.records.root / "fitted" / frozen.settings.variant / frozen.digest[:16] / str(seed)
