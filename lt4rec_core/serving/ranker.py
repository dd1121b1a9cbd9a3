"""The ranker: a day's model and what was known after that day, made to order videos.

It stands alone: a folder with one tensor file and a manifest, no lake, no logs, no optimiser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.catalogue import Feature, FeatureCatalogue
from lt4rec_core.config import from_mapping
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.places import Place, place
from lt4rec_core.errors import ConfigError, ModelStoreError, ServingError
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.serving.compact import Layer, compact
from lt4rec_core.serving.context import encoder_for
from lt4rec_core.serving.entities import SIDES, Entities, own_ids, unknown_ids
from lt4rec_core.serving.scorer import Scorer, restore_front
from lt4rec_core.serving.storage import unpack_trunk
from lt4rec_core.serving.trunk import Kinds, Trunk, all_of
from lt4rec_core.training import modelfile
from lt4rec_core.training.tickets import initial_generator

AGAIN = "Materialise serving/ranker of its day again."


@dataclass(frozen=True)
class Ranked:
    """One video of a ranked list."""

    video_id: str
    score: float
    """pCTR^a * pCVR^b * video_length^c (paper, Eq. 3), lengths in seconds."""
    scores: dict[str, float]
    """Each task's prediction."""


def rank_score(
    p_ctr: np.ndarray, p_cvr: np.ndarray, seconds: np.ndarray, a: float = 1, b: float = 1, c: float = 1
) -> np.ndarray:
    """``pCTR^a * pCVR^b * video_length^c`` (paper, Eq. 3) of each candidate, whatever the shape."""
    score: np.ndarray = p_ctr**a * p_cvr**b * seconds**c
    return score


def best_first(scores: np.ndarray) -> np.ndarray:
    """Positions along the last axis, the largest score first; equal ones keep their order."""
    return np.argsort(-scores, axis=-1, kind="stable")


class Ranker:
    """Scores users and videos for all tasks in one pass, and ranks by Eq. 3."""

    def __init__(self, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> None:
        """Put together what ``export`` took apart; see ``load``.

        Raises:
            ModelStoreError: parts are missing or do not fit each other, a weight is not finite, or this
                machine draws other first values than the one that trained.
        """
        told = manifest["identity"]
        self.manifest = dict(manifest)
        self.catalogue = _catalogue(told)
        self.day = date.fromisoformat(told["day"])
        settings = told["settings"]
        network = from_mapping(NetworkConfig, settings["network"], where="the ranker's [network]")
        tasks = [task["name"] for task in settings["tasks"]]
        drawn_for = settings.get("member", "shared")
        generator = initial_generator(settings["seed"], settings["restart"], settings["kind"], drawn_for)
        # The front only: one neuron stands where training has the trunk. First values do not depend on it.
        front = SharedNet(self.catalogue, tasks, replace(network, hidden=(1,)), generator)
        if modelfile.tensors_digest({"shared": front.table}) != told["first_values"]:
            raise ModelStoreError(
                f"The ranker of {self.day} was trained from other first values of the embeddings than this "
                f"machine draws, so videos and users never seen would score otherwise. {AGAIN}"
            )
        restore_front(front, tensors["table/rows"], tensors["table/values"])
        widths = (front.n_shared_inputs, *network.hidden)
        self.widths = widths
        self.heads: dict[str, list[Layer]] = {
            task: compact(layers) for task, layers in unpack_trunk(tensors, widths, tasks).items()
        }
        self._check_finite()
        self.front = front
        """Looks up, pools and interacts, as in training; its own trunk is not used."""
        self._scorer = Scorer(self.catalogue, front, Trunk(self.heads, self._kinds(manifest.get("kernels"))))
        self.entities = {side: Entities.of_tensors(tensors, side) for side in SIDES}
        self._encode_context = encoder_for(self.catalogue, told["time_zone"])
        categorical = [f for f in self.catalogue.features if f.kind == "categorical"]
        self._places = {
            side: [i for i, f in enumerate(categorical) if f.side == side] for side in (*SIDES, "context")
        }
        self._own = {
            side: own_ids(
                [f for f in self.catalogue.side(side) if f.kind == "categorical"], self.catalogue, side
            )
            for side in SIDES
        }
        lengths = self.entities["video"].duration_ms
        known = lengths[lengths > 0]
        self._usual_ms = float(np.median(known)) if len(known) else 1000.0

    @classmethod
    def load(cls, path: str | Place, catalogue: FeatureCatalogue | None = None) -> "Ranker":
        """Read a ranker from its folder; its digest is checked.

        Args:
            path: the folder that holds ``manifest.json``; ``shelf.served_folder`` finds the one in use.
            catalogue: refuse a ranker of any other.

        Raises:
            ModelStoreError: it is not there, damaged, of another catalogue, or not what its manifest says.
        """
        saved = modelfile.load(place(path), f"the ranker in {path}")
        kind = saved.manifest["identity"].get("kind")
        if kind != "ranker":
            raise ModelStoreError(f"{path} holds a {kind or 'model'}, not a ranker. Look in models/ranker.")
        if catalogue is not None:
            found = saved.manifest["identity"]["settings"]["catalogue"]
            if found != catalogue.digest:
                raise ModelStoreError(
                    f"The ranker in {path} is of the feature catalogue {found[:16]}, wanted "
                    f"{catalogue.digest[:16]}: its bucket ids mean something else. {AGAIN}"
                )
        return cls(saved.tensors, saved.manifest)

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it predicts."""
        return self._scorer.tasks

    @property
    def kinds(self) -> Kinds:
        """How each task's layers run here."""
        return self._scorer.trunk.kinds

    def run_as(self, kinds: Kinds) -> None:
        """Run the layers otherwise; the scores stay."""
        self._scorer = Scorer(self.catalogue, self.front, Trunk(self.heads, kinds))

    def score(self, samples: SampleSet) -> dict[str, np.ndarray]:
        """As ``Scorer.score``: task name to float64 (n,), what the trainer's ``predict`` gives within 1e-5.

        Raises:
            ServingError: the samples are of another catalogue.
        """
        return self._scorer.score(samples)

    def rank(
        self, user_id: str, video_ids: Sequence[str], context: Mapping[str, Any] | None = None, *,
        a: float = 1, b: float = 1, c: float = 1, k: int = 20,
    ) -> list[Ranked]:  # fmt: skip
        """Order candidates by ``pCTR^a * pCVR^b * video_length^c`` (paper, Eq. 3), the largest first.

        A user or video the ranker does not know is scored as a new one; a video whose length nobody knows
        counts with the median length. Equal scores keep the order of the candidates.

        Args:
            user_id: who is to see them.
            video_ids: the candidates; without any the answer is empty.
            context: ``page``, ``occurred_at`` (a datetime, by default now), ``position`` and ``duration_ms``
                (per candidate, over the lengths the ranker knows).
            a: exponent of pCTR, not negative, as all three.
            b: exponent of pCVR.
            c: exponent of the length in seconds.
            k: how many to return at most.

        Raises:
            ServingError: the request cannot be read.
        """
        if k < 1 or not all(np.isfinite(e) and e >= 0 for e in (a, b, c)):
            raise ServingError(
                f"Exponents must be finite and not negative and k at least 1, got a={a}, b={b}, c={c}, k={k}."
            )
        scores, seconds = self.score_candidates(user_id, video_ids, context)
        if not len(video_ids):
            return []
        value = rank_score(scores["ctr"], scores["cvr"], seconds, a, b, c)
        best = best_first(value)[:k]
        return [
            Ranked(
                str(video_ids[i]),
                float(value[i]),
                {task: float(found[i]) for task, found in scores.items()},
            )
            for i in best
        ]

    def score_candidates(
        self, user_id: str, video_ids: Sequence[str], context: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Each task's prediction (n,) for each candidate, and the lengths (n,) in seconds; see ``rank``.

        Raises:
            ServingError: the context has another number of ``duration_ms`` than there are candidates.
        """
        context = dict(context or {})
        given = context.pop("duration_ms", None)
        names = [str(video) for video in video_ids]
        if given is not None and len(given) != len(names):
            raise ServingError(f"The context has {len(given)} duration_ms for {len(names)} candidates.")
        videos, users = self.entities["video"], self.entities["user"]
        rows = videos.rows(names)
        lengths = (
            [int(n) if n > 0 else None for n in videos.duration_ms[rows]] if given is None else list(given)
        )
        ids = np.empty((len(names), sum(map(len, self._places.values()))), dtype=np.int32)
        ids[:, self._places["context"]] = self._encode_context(context, lengths)
        ids[:, self._places["video"]] = self._ids("video", names, rows)
        user_row = users.rows([str(user_id)])
        ids[:, self._places["user"]] = self._ids("user", [str(user_id)], user_row)
        lists = {column: values[rows] for column, values in videos.lists.items()}
        lists |= {column: np.repeat(v[user_row], len(names), 0) for column, v in users.lists.items()}
        tensors = {column: torch.from_numpy(value) for column, value in lists.items()}
        scores = self.score(SampleSet(torch.from_numpy(ids), tensors, {}))
        seconds = np.array([self._usual_ms if n is None else n for n in lengths], dtype=np.float64) / 1000
        return scores, seconds

    def _ids(self, side: str, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """The entities' categorical features; an unknown one's own id is hashed as SQL would have."""
        ids = self.entities[side].ids[rows]
        for i in np.flatnonzero(rows < 0).tolist():
            unknown_ids([names[i]], self._own[side], ids[i : i + 1])
        return ids

    def _check_finite(self) -> None:
        for task, layers in self.heads.items():
            if not all(np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all() for layer in layers):
                raise ModelStoreError(
                    f"The ranker of {self.day} has weights of {task} that are NaN or infinite, so its scores "
                    f"would be. Look at the losses of its days, train them again, then: {AGAIN}"
                )

    def _kinds(self, stored: Any) -> Kinds:
        """What was chosen at export; dense where nothing fits, as without a choice."""
        fits = isinstance(stored, dict) and all(
            len(stored.get(task, ())) == len(layers) and set(stored[task]) <= {"dense", "sparse"}
            for task, layers in self.heads.items()
        )
        return stored if fits else all_of("dense", self.heads)


def _catalogue(told: Mapping[str, Any]) -> FeatureCatalogue:
    """The features that the manifest names, checked against the digest its settings carry."""
    try:
        catalogue = FeatureCatalogue(
            from_mapping(Feature, entry, where="the ranker's features") for entry in told["features"]
        )
    except (ConfigError, KeyError, TypeError) as error:
        raise ModelStoreError(f"The ranker's feature catalogue cannot be read: {error}. {AGAIN}") from error
    if catalogue.digest != told["settings"]["catalogue"]:
        raise ModelStoreError(
            f"The ranker's features give the catalogue {catalogue.digest[:16]}, its model was trained on "
            f"{told['settings']['catalogue'][:16]}. Were they edited by hand? {AGAIN}"
        )
    return catalogue
