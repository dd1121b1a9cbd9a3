"""A whole day of the lake, scored by a ranker."""

from datetime import date

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import load_samples
from lt4rec_core.serving.ranker import Ranker

SAMPLES = "training.samples"
KEY = ("dt", "user_id", "video_id", "occurred_at")


def score_day(ranker: Ranker, lake: Lake, day: date) -> pa.Table:
    """Score the samples of a day.

    Args:
        ranker: of the lake's feature catalogue.
        lake: where ``training.samples`` lies.
        day: which day; without samples the table is empty.

    Returns:
        The samples' key and, per task, ``p_<task>`` (double), ordered by key.

    Raises:
        LakeError: there is no such table.
        TrainingError: the samples lack columns of the ranker's catalogue.
    """
    columns = [f.column for f in ranker.catalogue.features]
    reader = lake.open(SAMPLES, day, day, [*KEY, *columns])
    samples = load_samples(reader, ranker.catalogue, keep=KEY)
    table: pa.Table = samples.kept
    for task, scores in ranker.score(samples).items():
        table = table.append_column(f"p_{task}", pa.array(scores))
    return table
