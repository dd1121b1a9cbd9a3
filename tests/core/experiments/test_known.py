"""Two days of feature tables with one column each, and the samples that look them up."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import torch

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import TrainingError
from lt4rec_core.experiments.known import known_before

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
HEADER = """-- What is known of each {one}.
--
-- grain:   one {one} seen on the day
-- key:     {one}_id
-- columns:
--   dt        date     business day of the source
--   {one}_id  varchar  which
--   n         bigint   how many
--   rate      double   how often; NULL where unknown
--   f_rate    integer  the rate as a bucket
"""


@pytest.fixture
def files(tmp_path):
    found = []
    for one in ("user", "video"):
        path = tmp_path / "sql" / "features" / f"{one}_features.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER.format(one=one))
        found.append(read_sql_file(path))
    return found


@pytest.fixture
def lake(tmp_path, files):
    lake = Lake(tmp_path / "home")
    lake.create(files)
    for day, rate in ((MONDAY, 0.25), (TUESDAY, 0.5)):
        for file in files:
            one = file.key[0]
            rows = pa.table({
                "dt": pa.array([day], pa.date32()), one: ["a"], "n": pa.array([3], pa.int64()),
                "rate": pa.array([rate if one == "user_id" else None], pa.float64()),
                "f_rate": pa.array([1], pa.int32()),
            })  # fmt: skip
            lake.publish(lake.stage(file.table, day, rows.to_reader()))
    return lake


def samples_of(*rows):
    """Rows of (day, user, video, duration)."""
    names, types = ("dt", "user_id", "video_id", "duration_ms"), (pa.date32(), None, None, pa.int64())
    columns = [pa.array(list(c), t) for c, t in zip(zip(*rows, strict=True), types, strict=True)]
    ids = torch.zeros(len(rows), 1, dtype=torch.int32)
    return SampleSet(ids, {}, {}, pa.table(columns, names=list(names)))


def test_each_sample_finds_what_was_known_on_its_own_day_in_its_own_row(lake, files):
    samples = samples_of((TUESDAY, "a", "a", 900), (MONDAY, "a", "z", 800), (TUESDAY, "z", "a", 700))

    found = known_before(lake, *files)(samples)

    nan = np.nan
    np.testing.assert_array_equal(
        found,
        [[900, 3, 0.5, 3, nan], [800, 3, 0.25, nan, nan], [700, nan, nan, 3, nan]],
    )
    assert found.dtype == np.float32


def test_samples_that_do_not_say_their_day_and_ids_are_refused(lake, files):
    samples = SampleSet(torch.zeros(1, 1, dtype=torch.int32), {}, {})

    with pytest.raises(TrainingError, match="dt, user_id, video_id, duration_ms"):
        known_before(lake, *files)(samples)
