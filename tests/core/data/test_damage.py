"""A file of the lake that was lost, cut or overwritten: whoever reads it is told which, and how it heals."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeError, QueryError

MONDAY, TUESDAY = date(2022, 4, 25), date(2022, 4, 26)
TABLE = """\
-- A table.
-- grain: one row
-- key: user_id
{inputs}-- columns:
--   dt date day
--   user_id varchar who
"""
CATALOGUE = FeatureCatalogue.from_toml(
    {
        "feature": [
            {"name": "user_id", "side": "user", "buckets": 9},
            {"name": "video_id", "side": "video", "buckets": 9},
            {"name": "page", "side": "context", "values": ["1"]},
        ]
    }
)
SELECT = "\nselect dt, user_id from samples.clicks order by user_id\n"
SOURCE = Source("tiny", Path(), "", "UTC", CATALOGUE, {})


def lost(path, whole):
    path.unlink()


def emptied(path, whole):
    path.write_bytes(b"")


def cut(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def overwritten(path, whole):
    path.write_bytes(b"this is no Parquet file. " * 99)


def garbled(path, whole):
    """The footer, which says where the columns lie."""
    path.write_bytes(whole[:-60] + bytes(b ^ 255 for b in whole[-60:-20]) + whole[-20:])


@pytest.fixture
def files(tmp_path):
    found = []
    for name, text in (
        ("clicks", TABLE.format(inputs="")),
        ("copies", TABLE.format(inputs="-- inputs: samples.clicks[0]\n") + SELECT),
    ):
        path = tmp_path / "sql" / "samples" / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        found.append(read_sql_file(path))
    return found


@pytest.fixture
def lake(tmp_path, files):
    lake = Lake(tmp_path / "home")
    lake.create(files)
    for day in (MONDAY, TUESDAY):
        put(lake, day)
    return lake


def put(lake, day):
    ids = [f"{i * 2654435761 % 2**32:08x}" for i in range(2_000)]
    rows = pa.table({"dt": pa.array([day] * len(ids), pa.date32()), "user_id": ids})
    lake.publish(lake.stage("samples.clicks", day, rows.to_reader()))


@pytest.fixture(params=[lost, emptied, cut, overwritten, garbled], ids=lambda damage: damage.__name__)
def damaged(request, lake):
    """The file of Monday, damaged in one of these ways."""
    (path,) = map(Path, lake.files("samples.clicks", MONDAY, MONDAY))
    request.param(path, path.read_bytes())
    return path


REMEDY = r"{path} is damaged: .*\. It holds 2022-04-25 of samples\.clicks: materialise that day again"


def test_reading_the_day_names_the_file_and_the_remedy(lake, damaged):
    with pytest.raises(LakeError, match=REMEDY.format(path=damaged)) as caught:
        lake.open("samples.clicks", MONDAY, TUESDAY).read_all()

    assert "\n" not in str(caught.value)
    assert lake.open("samples.clicks", TUESDAY, TUESDAY).read_all().num_rows == 2_000


def test_a_statement_that_reads_the_day_names_them_too_and_publishes_nothing(lake, files, damaged):
    with pytest.raises(LakeError, match=REMEDY.format(path=damaged)):
        run_sql(lake, SOURCE, files[1], MONDAY, {})

    assert list(lake.staging.iterdir()) == []
    assert run_sql(lake, SOURCE, files[1], TUESDAY, {}).n_rows == 2_000


def test_an_analyst_is_told_the_file(lake, damaged):
    with pytest.raises(QueryError, match=rf"{damaged.name}.* materialise (the|its) day"):
        query(connect(lake.home), "select max(user_id) from samples.clicks").fetchall()


def test_materialising_the_day_again_heals_it(lake, damaged):
    put(lake, MONDAY)

    assert lake.open("samples.clicks", MONDAY, TUESDAY).read_all().num_rows == 4_000
    assert query(connect(lake.home), "select count(user_id) from samples.clicks").fetchall() == [(4_000,)]


def test_a_file_with_other_rows_than_were_written_is_damaged_as_well(lake):
    mine, other = (Path(lake.files("samples.clicks", d, d)[0]) for d in (MONDAY, TUESDAY))
    assert lake.snapshot("samples.clicks").damage() is None
    rows = pa.table({"user_id": ["a"]})
    pq.write_table(rows, other)

    found = lake.snapshot("samples.clicks").damage()

    assert found is not None
    assert str(other) in found
    assert str(mine) not in found
    assert "it has 1 rows, not 2000" in found
