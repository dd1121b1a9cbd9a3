"""What was known of user and video before an impression, as the numbers it was before it was put into bins.

The networks see buckets; trees can do better with the numbers themselves. Giving them both keeps the outside
baseline from being weak for want of what the pipeline knows.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.boosting import Known

KEPT = ("dt", "user_id", "video_id", "duration_ms")
"""The columns that ``load_samples`` must have kept beside."""

NUMERIC = frozenset({"bigint", "double", "boolean"})


def known_before(lake: Lake, users: SqlFile, videos: SqlFile) -> Known:
    """Look the columns of the two feature tables up that are numbers.

    Args:
        lake: of the samples; a thinned one has thinned features.
        users: the file of ``features.user_features``, whose columns are read.
        videos: of ``features.video_features``.
    """

    def of(samples: SampleSet) -> npt.NDArray[np.float32]:
        if samples.kept is None or any(name not in samples.kept.column_names for name in KEPT):
            raise TrainingError(
                f"What was known is looked up by day, user and video, which needs the columns "
                f"{', '.join(KEPT)} beside the tensors. Pass them as keep= to load_samples."
            )
        if not len(samples):
            return np.empty((0, 1 + sum(len(_numbers(file)) for file in (users, videos))), np.float32)
        return _look_up(lake, users, videos, samples.kept)

    return of


def _numbers(file: SqlFile) -> list[str]:
    return [column.name for column in file.columns if column.type.lower() in NUMERIC]


def _look_up(lake: Lake, users: SqlFile, videos: SqlFile, kept: pa.Table) -> npt.NDArray[np.float32]:
    days = pc.min_max(kept["dt"]).as_py()
    wanted = [f"u.{name}" for name in _numbers(users)] + [f"v.{name}" for name in _numbers(videos)]
    columns = ["r.duration_ms", *wanted]
    rows = kept.select(list(KEPT)).append_column("n", pa.array(np.arange(len(kept))))
    with lake.scratch() as con:
        con.register("rows", rows)
        tables = [lake.snapshot(file.table).select(con, days["min"], days["max"]) for file in (users, videos)]
        found = con.execute(
            f"select {', '.join(f'{c}::float as c{i}' for i, c in enumerate(columns))} from rows as r "
            f"left join ({tables[0]}) as u on r.dt = u.dt and r.user_id = u.user_id "
            f"left join ({tables[1]}) as v on r.dt = v.dt and r.video_id = v.video_id order by r.n"
        ).fetchnumpy()
    return np.stack([np.ma.filled(values.astype(np.float32), np.nan) for values in found.values()], axis=1)
