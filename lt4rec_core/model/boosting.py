"""Gradient boosting on what the network sees and the numbers behind it: an outside baseline, not weak."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lt4rec_core.catalogue import Feature, FeatureCatalogue
from lt4rec_core.config import check
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import Task

Known = Callable[[SampleSet], npt.NDArray[np.float32]]

MOST_CATEGORIES = 255
"""What scikit-learn's histogram trees take as one categorical feature."""


@dataclass(frozen=True, kw_only=True)
class BoostingConfig:
    """How the trees are grown."""

    learning_rate: float = 0.1
    max_iter: int = 200
    """Trees, one after the other."""
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 20
    l2_regularization: float = 0.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf"):
            check(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}.")
        check(self.l2_regularization >= 0, "l2_regularization must not be negative.")


class FeatureMatrix:
    """A sample set as the trees see it.

    Bins become numbers, bucket 0 a missing value; vocabularies and small hashes become categories; of a list
    its length is seen. Ids hashed to more buckets than a tree can take as categories are left out: what is
    known of user and video, their trailing rates above all, stands in the other columns. Features unknown
    when serving are left out. ``known`` adds columns of its own, such as the rates before they were binned.
    """

    def __init__(self, catalogue: FeatureCatalogue, known: Known | None = None) -> None:
        self.known = known
        categorical = [f for f in catalogue.features if f.kind == "categorical"]
        self.columns = [(i, f) for i, f in enumerate(categorical) if self._is_seen(catalogue, f)]
        self.lists = [f.column for f in catalogue.features if f.kind == "list" and f.known_when_serving]
        self.is_category = [not f.bins for _, f in self.columns] + [False] * len(self.lists)

    @staticmethod
    def _is_seen(catalogue: FeatureCatalogue, f: Feature) -> bool:
        return f.known_when_serving and (bool(f.bins) or catalogue.embeddings[f.embedding] <= MOST_CATEGORIES)

    def of(self, samples: SampleSet) -> npt.NDArray[np.float32]:
        """(n, n_columns)."""
        ids = samples.ids.numpy()
        parts = [ids[:, i].astype(np.float32) for i, _ in self.columns]
        for part, (_, feature) in zip(parts, self.columns, strict=True):
            if feature.bins:
                part[part == 0] = np.nan
        parts += [(samples.lists[name] != 0).sum(1).numpy().astype(np.float32) for name in self.lists]
        seen = np.stack(parts, axis=1)
        return seen if self.known is None else np.concatenate([seen, self.known(samples)], axis=1)


@dataclass
class Boosting:
    """One histogram gradient boosting per task: a classifier for CTR, a regressor for CVR."""

    catalogue: FeatureCatalogue
    config: BoostingConfig = field(default_factory=BoostingConfig)
    known: Known | None = None
    """Samples to further numbers, (n, k); NaN where there is none."""

    models: dict[str, Any] = field(default_factory=dict)

    def fit(self, samples: SampleSet, task: Task, rows: npt.NDArray[np.int64], seed: int) -> "Boosting":
        """Grow a task's trees on its samples, whose row numbers are ``rows``.

        Raises:
            ConfigError: scikit-learn is not installed.
        """
        try:
            from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        except ImportError as error:
            raise ConfigError(
                "Gradient boosting needs scikit-learn, which is not installed: pip install 'lt4rec[bench]'."
            ) from error
        matrix = FeatureMatrix(self.catalogue, self.known)
        seen = matrix.of(samples)[rows]
        labels = samples.labels[task.label].numpy()[rows]
        kind = HistGradientBoostingRegressor if task.metric == "mse" else HistGradientBoostingClassifier
        model = kind(
            learning_rate=self.config.learning_rate,
            max_iter=self.config.max_iter,
            max_leaf_nodes=self.config.max_leaf_nodes,
            min_samples_leaf=self.config.min_samples_leaf,
            l2_regularization=self.config.l2_regularization,
            categorical_features=matrix.is_category + [False] * (seen.shape[1] - len(matrix.is_category)),
            early_stopping=False,
            random_state=seed,
        )
        self.models[task.name] = model.fit(seen, labels)
        return self

    def predict(self, samples: SampleSet) -> dict[str, npt.NDArray[np.float64]]:
        """Task name to probability or expected label of each sample, (n,), in [0, 1]."""
        x, scores = FeatureMatrix(self.catalogue, self.known).of(samples), {}
        for task, model in self.models.items():
            raw = model.predict_proba(x)[:, 1] if hasattr(model, "predict_proba") else model.predict(x)
            scores[task] = np.clip(np.asarray(raw, dtype=np.float64), 0.0, 1.0)
        return scores
