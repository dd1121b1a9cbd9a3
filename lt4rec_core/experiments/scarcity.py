"""Fewer CVR labels: which clicks keep theirs.

The paper's regime is a CVR one or two orders of magnitude scarcer than CTR. Dropping labels at random brings
any data there: the click stays a click for CTR, how long it was watched is forgotten.

A click keeps its label or not by a hash of its key, so that 3 % of the labels are among the 10 %, whatever
days are loaded together, and that SQL can drop the same ones (``keeps_label_sql``).
"""

import hashlib

import numpy as np
import pyarrow as pa
import torch

from lt4rec_core.config import check
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.tasks import CLICK_LABEL

KEY = ("user_id", "video_id", "occurred_at")
"""The columns that name a click; ``load_samples`` must have kept them."""

LABELS = ("watch_ratio", "is_converted")
"""What is forgotten of a click that loses its label."""

_SCALE = 1 << 24


def keep_labels(samples: SampleSet, share: float, seed: int) -> SampleSet:
    """The same samples, where only about the share ``share`` of the clicks has a CVR label.

    Args:
        samples: with the columns of ``KEY`` kept beside, unless ``share`` is 1.
        share: in (0, 1].
        seed: another one keeps other labels.

    Returns:
        Samples with NaN for what is forgotten; tensors that do not change are shared.

    Raises:
        TrainingError: the key columns were not kept.
    """
    check(0 < share <= 1, f"A share of labels lies in (0, 1], got {share}. It is no percentage.")
    if share == 1:
        return samples
    if samples.kept is None or any(name not in samples.kept.column_names for name in KEY):
        raise TrainingError(
            f"Labels are dropped by click, which needs the columns {', '.join(KEY)} beside the tensors. "
            "Pass them as keep= to load_samples."
        )
    clicked = np.flatnonzero(samples.labels[CLICK_LABEL].numpy() == 1)
    forgotten = clicked[~_keeps(samples.kept.select(list(KEY)).take(pa.array(clicked)), share, seed)]
    labels = dict(samples.labels)
    for name in LABELS:
        if name in labels:
            labels[name] = labels[name].index_fill(0, torch.from_numpy(forgotten), float("nan"))
    return SampleSet(samples.ids, samples.lists, labels, samples.kept)


def keeps_label_sql(share: float, seed: int) -> str:
    """The same choice as a condition on the key columns, in DuckDB.

    For statements over a day's clicks, such as one that thins ``samples.conversions``.
    """
    text = f"concat_ws('|', '{int(seed)}', user_id, video_id, epoch_us(occurred_at))"
    return f"('0x' || md5({text})[:6])::int < {_limit(share)}"


def _limit(share: float) -> int:
    return round(share * _SCALE)


def _keeps(key: pa.Table, share: float, seed: int) -> np.ndarray:
    """(n,) whether each click keeps its label: the first 24 bits of an md5, as a share of all."""
    microseconds = key["occurred_at"].cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
    rows = zip(key["user_id"].to_pylist(), key["video_id"].to_pylist(), microseconds, strict=True)
    limit = _limit(share)
    drawn = (hashlib.md5(f"{int(seed)}|{u}|{v}|{t}".encode(), usedforsecurity=False) for u, v, t in rows)
    return np.array([int.from_bytes(d.digest()[:3], "big") < limit for d in drawn], dtype=bool)
