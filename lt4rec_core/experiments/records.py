"""What a race has settled, on disk: frozen settings, and one result per cell.

Both are published as models are: atomically, with a digest that is checked when they are read. A cell that is
there is finished; one that was interrupted is not there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from lt4rec_core.config import digest_of
from lt4rec_core.data.places import Place, listed, place, put_text_once
from lt4rec_core.errors import ModelStoreError
from lt4rec_core.experiments.fitting import FitSettings, Scores
from lt4rec_core.experiments.splits import RaceData
from lt4rec_core.experiments.tuning import Checkpoint, Tuned, TuningConfig
from lt4rec_core.training import modelfile


@dataclass(frozen=True)
class Frozen:
    """Settings that were fixed before any test day was looked at."""

    settings: FitSettings
    digest: str
    """Over settings, split, data and tuning budget."""
    valid_metrics: Mapping[str, float]
    """Of the chosen checkpoint, on the validation days."""
    tried: tuple[Checkpoint, ...] = ()
    """Everything that was tried; empty where another race did the tuning."""


@dataclass(frozen=True)
class Cell:
    """One row under one seed, scored on the test days."""

    variant: str
    seed: int
    race: str
    """Digest of data, split and label share."""
    frozen: str
    """Digest of the settings."""
    metrics: Mapping[str, float]
    densities: Mapping[str, float]
    scores: Scores
    """Per task one score for each test sample."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """As ``fitting.calibration`` gives it."""

    @property
    def pair(self) -> tuple[str, int]:
        """Cells of one pair met the same data and the same seed."""
        return (self.race, self.seed)


def race_digest(data: RaceData) -> str:
    """Names a race: its data, split and label share."""
    told = {"data": data.digest, "catalogue": data.catalogue.digest, "split": data.split}
    return digest_of({**told, "label_share": data.label_share, "label_seed": data.label_seed})


@dataclass(frozen=True)
class Records:
    """Everything one race has settled, under one folder."""

    root: Place
    race: str
    """As ``race_digest`` gives it."""

    def describe(self, data: RaceData) -> None:
        """Write down for readers, and for ``find``, what the race is."""
        told = {"race": self.race, "label_share": data.label_share, "label_seed": data.label_seed}
        told["split"] = json.loads(json.dumps(asdict(data.split), default=str))
        put_text_once(self.root / "race.json", json.dumps(told, indent=1) + "\n")

    @classmethod
    def find(cls, home: Place, label_share: float) -> "Records":
        """The records of a home's race at a share of labels, in the first draw of them.

        Raises:
            ModelStoreError: there is none, or more than one.
        """
        found = []
        for path in listed(place(home) / "experiments", "*/race.json"):
            told = json.loads(path.read_text(encoding="utf-8"))
            if (told["label_share"], told["label_seed"]) == (label_share, 0):
                found.append(cls(path.parent, told["race"]))
        if len(found) != 1:
            raise ModelStoreError(
                f"Settings are to be taken over from the race of {home} at a label share of {label_share:g}, "
                f"of which there are {len(found)}. Run that race first, or remove those of older data."
            )
        return found[0]

    def freeze(self, tuned: Tuned, base: FitSettings, tuning: TuningConfig) -> Frozen:
        """Fix a row's settings.

        Raises:
            ModelStoreError: test days were already scored with other settings of this row.
        """
        beside = {
            "chosen": _plain(asdict(tuned.chosen)),
            "tried": [_plain(asdict(c)) for c in tuned.checkpoints],
        }
        asked = self._asked(tuned.settings.variant, base, tuning)
        return self._publish({**asked, "settings": _plain(tuned.settings.to_mapping())}, beside)

    def adopt(self, frozen: Frozen, base: FitSettings, tuning: TuningConfig) -> Frozen:
        """Take over what was frozen in another race, of other data or another draw of labels.

        Raises:
            ModelStoreError: as ``freeze``.
        """
        asked = self._asked(frozen.settings.variant, base, tuning)
        settings = _plain(frozen.settings.to_mapping())
        beside = {"chosen": {"metrics": _plain(dict(frozen.valid_metrics))}, "tried": []}
        return self._publish({**asked, "settings": settings, "adopted": frozen.digest}, beside)

    def _publish(self, identity: dict[str, Any], beside: dict[str, Any]) -> Frozen:
        """Freeze, unless the test days were already looked at."""
        name, digest = identity["variant"], modelfile.model_digest({}, identity)
        scored = [path.parent.name for path in (self.root / "cells" / name).glob("*/*")]
        others = sorted({found for found in scored if found != digest[:16]})
        if others:
            raise ModelStoreError(
                f"The test days were already scored with other settings of {name!r} ({', '.join(others)}). "
                "Settings chosen after a look at the test days are not frozen: race in another folder. "
                f"Looked in {self.root}."
            )
        modelfile.publish(self._frozen_folder(name), {}, identity, beside)
        return self.frozen(name)

    def is_frozen(self, name: str, base: FitSettings, tuning: TuningConfig) -> bool:
        """Whether the row was tuned from this base with this budget."""
        manifest = modelfile.read_manifest(self._frozen_folder(name), f"the frozen settings of {name!r}")
        asked = self._asked(name, base, tuning)
        return manifest is not None and {k: manifest["identity"].get(k) for k in asked} == asked

    def has_frozen(self, name: str) -> bool:
        """Whether the row has settings, whichever budget chose them."""
        return (
            modelfile.read_manifest(self._frozen_folder(name), f"the frozen settings of {name!r}") is not None
        )

    def frozen(self, name: str) -> Frozen:
        """The row's settings.

        Raises:
            ModelStoreError: it has none yet, they were changed, or they belong to another race.
        """
        saved = modelfile.load(self._frozen_folder(name), f"the frozen settings of {name!r}")
        told = saved.manifest["identity"]
        if told["race"] != self.race:
            raise ModelStoreError(
                f"The frozen settings of {name!r} belong to race {told['race'][:16]}, this is "
                f"{self.race[:16]}: another split, other data or another label share. Tune the row again."
            )
        settings = FitSettings.from_mapping(told["settings"])
        tried = tuple(Checkpoint(**each) for each in saved.manifest["tried"])
        return Frozen(settings, saved.digest, saved.manifest["chosen"]["metrics"], tried)

    def _asked(self, name: str, base: FitSettings, tuning: TuningConfig) -> dict[str, Any]:
        budget = digest_of({"base": base.to_mapping(), "tuning": tuning})
        return {"kind": "frozen settings", "variant": name, "race": self.race, "budget": budget}

    def _frozen_folder(self, name: str) -> Place:
        return self.root / "frozen" / name

    def has_cell(self, frozen: Frozen, seed: int) -> bool:
        """Whether the cell is finished."""
        folder = self._cell_folder(frozen, seed)
        manifest = modelfile.read_manifest(folder, f"cell {folder.name} of {frozen.settings.variant!r}")
        return manifest is not None and manifest["identity"] == self._cell_identity(frozen, seed)

    def save_cell(
        self,
        frozen: Frozen,
        seed: int,
        scores: Scores,
        metrics: Mapping[str, float],
        beside: Mapping[str, Any],
    ) -> None:
        """Make a cell finished."""
        tensors = {f"p_{task}": torch.from_numpy(values) for task, values in scores.items()}
        identity = self._cell_identity(frozen, seed)
        told = {"metrics": dict(metrics), **beside}
        modelfile.publish(self._cell_folder(frozen, seed), tensors, identity, told)

    def cell(self, frozen: Frozen, seed: int) -> Cell:
        """A finished cell.

        Raises:
            ModelStoreError: it is not finished, or damaged.
        """
        name = frozen.settings.variant
        saved = modelfile.load(self._cell_folder(frozen, seed), f"cell {seed} of {name!r}")
        scores: dict[str, np.ndarray] = {
            key.removeprefix("p_"): value.numpy() for key, value in saved.tensors.items()
        }
        told = saved.manifest
        return Cell(
            variant=name,
            seed=seed,
            race=self.race,
            frozen=frozen.digest,
            metrics=told["metrics"],
            densities=told.get("densities", {}),
            scores=scores,
            calibration=told.get("calibration", {}),
        )

    def _cell_identity(self, frozen: Frozen, seed: int) -> dict[str, Any]:
        return {
            "kind": "cell", "variant": frozen.settings.variant, "seed": seed,
            "race": self.race, "frozen": frozen.digest,
        }  # fmt: skip

    def _cell_folder(self, frozen: Frozen, seed: int) -> Place:
        return self.root / "cells" / frozen.settings.variant / frozen.digest[:16] / str(seed)


def _plain(value: Any) -> Any:
    """As JSON gives it back: identities are compared with what was read."""
    return json.loads(json.dumps(value))
