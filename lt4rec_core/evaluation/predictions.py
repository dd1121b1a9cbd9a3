"""The rows of ``evaluation.predictions``: samples and, beside each, what a model said of it."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from lt4rec_core.data.lake import arrow_schema
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.evaluation.metrics import Floats

COPIED = (
    "dt",
    "user_id",
    "video_id",
    "occurred_at",
    "page",
    "duration_ms",
    "is_new_user",
    "is_new_video",
    "is_click",
    "watch_ratio",
    "is_converted",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_long_view",
)
"""Columns of ``training.samples`` that predictions carry along: key, slices and labels."""


def predictions_table(
    declared: SqlFile, samples: pa.Table, scored: Iterable[tuple[str, Mapping[str, Floats], str]]
) -> pa.Table:
    """Put each model's scores beside the samples they are of; pCTCVR is pCTR x pCVR (paper, Eq. 1).

    Args:
        declared: ``evaluation.predictions``, for names, types and order of columns.
        samples: the ``COPIED`` columns, n rows ordered by key.
        scored: per model its name, ``p_<task>`` to (n,) scores, and its digest.

    Returns:
        One row per model and sample, models in alphabetical order, in the declared schema.
    """
    schema = arrow_schema(declared.columns)
    n = len(samples)
    parts = []
    for model, scores, digest in sorted(scored, key=lambda one: one[0]):
        columns: dict[str, pa.Array | pa.ChunkedArray] = {c: samples[c] for c in COPIED}
        columns |= {name: pa.array(values) for name, values in scores.items()}
        columns["p_ctcvr"] = pa.array(np.asarray(scores["p_ctr"]) * np.asarray(scores["p_cvr"]))
        columns["model"] = pa.array([model] * n, pa.string())
        columns["model_digest"] = pa.array([digest] * n, pa.string())
        absent = {f.name: pa.nulls(n, f.type) for f in schema if f.name not in columns}  # not among the tasks
        parts.append(pa.table({f.name: {**columns, **absent}[f.name] for f in schema}).cast(schema))
    return pa.concat_tables(parts)
