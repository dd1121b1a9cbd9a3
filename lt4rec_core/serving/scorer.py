"""Scores of all tasks in one pass: embeddings and interaction once, then each task's compact trunk."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import ModelStoreError, ServingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.serving.compact import Layer
from lt4rec_core.serving.trunk import Trunk
from lt4rec_core.training.trainer import set_missing

BATCH = 8192
"""Samples of one pass; more are scored in turn."""


class Scorer:
    """A network's front, as training has it, and the trunks made small."""

    def __init__(self, catalogue: FeatureCatalogue, front: SharedNet, trunk: Trunk) -> None:
        """Take them as they are.

        Args:
            catalogue: what the samples' ids mean.
            front: looks up, pools and interacts; its own trunk is not used.
            trunk: of all tasks.
        """
        self.front, self.trunk, self.tasks = front, trunk, trunk.tasks
        categorical = [f for f in catalogue.features if f.kind == "categorical"]
        self._buckets = torch.tensor([catalogue.embeddings[f.embedding] for f in categorical])

    @torch.inference_mode()
    def logits(self, ids: Tensor, lists: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Ids (b, n_categorical) and lists (b, K) to logits (b,); what serving cannot know is missing."""
        everywhere = torch.ones(len(ids), dtype=torch.bool)
        ids, known = set_missing(self.front, ids, dict(lists), everywhere)
        return self.trunk(self.front.interact(self.front.embed(self.front.lookup(ids, known))))

    def score(self, samples: SampleSet) -> dict[str, np.ndarray]:
        """Probability, or expected label, of each task for every sample.

        Returns:
            Task name to float64 (n,), in the order of ``samples``: what the trainer's ``predict`` gives,
            within 1e-5.

        Raises:
            ServingError: the samples are of another catalogue.
        """
        self._check(samples.ids, samples.lists)
        scores = {task: np.empty(len(samples)) for task in self.tasks}
        for start in range(0, len(samples), BATCH):
            part = slice(start, start + BATCH)
            lists = {name: values[part] for name, values in samples.lists.items()}
            for task, logits in self.logits(samples.ids[part], lists).items():
                scores[task][part] = torch.sigmoid(logits.double()).numpy()
        return scores

    def _check(self, ids: Tensor, lists: Mapping[str, Tensor]) -> None:
        layout = self.front.layout
        if ids.shape[1:] != (len(layout.columns),) or set(lists) != set(layout.lists):
            raise ServingError(
                f"Samples of {ids.shape[1:]} ids and the lists {sorted(lists)} are of another feature "
                f"catalogue: this ranker reads {len(layout.columns)} ids ({', '.join(layout.columns)}) "
                f"and the lists {sorted(layout.lists)}."
            )
        if len(ids) and (int(ids.min()) < 0 or bool((ids >= self._buckets).any())):
            raise ServingError(
                f"Samples hold bucket ids from {int(ids.min())} to {int(ids.max())}, beyond the buckets of "
                "this ranker's features. Were they built with another feature catalogue?"
            )


def restore_front(front: SharedNet, rows: Tensor, values: Tensor) -> None:
    """Put learnt embedding rows into a network that holds its first values.

    Raises:
        ModelStoreError: they do not fit the table, or a value is NaN or infinite.
    """
    n_rows, d = front.table.shape
    if values.shape != (len(rows), d) or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < n_rows):
        raise ModelStoreError(
            f"The ranker's embeddings do not fit: {tuple(values.shape)} values for {len(rows)} rows of a "
            f"table of {n_rows} by {d}. Export it again."
        )
    if not bool(values.isfinite().all()):
        raise ModelStoreError(
            "The ranker's embeddings hold NaN or infinite values, so scores would. "
            "Train the model again; look at the losses of its days."
        )
    with torch.no_grad():
        front.table.index_copy_(0, rows.long(), values)


def widths_of(heads: Mapping[str, Sequence[Layer]]) -> dict[str, str]:
    """For people: each task's layers as ``1280-102-51-26-1``."""
    return {
        task: "-".join(str(n) for n in (layers[0].n_in, *(layer.n_out for layer in layers)))
        for task, layers in heads.items()
    }


def multiply_adds(heads: Mapping[str, Sequence[Layer]]) -> int:
    """Multiply-adds of one sample through all tasks' layers, zeros left out."""
    return sum(layer.n_weights for layers in heads.values() for layer in layers)


def dense_multiply_adds(widths: Sequence[int], n_tasks: int) -> int:
    """The same through as many dense single-task trunks, logit layers included."""
    return n_tasks * (sum(n * m for n, m in pairwise(widths)) + widths[-1])
