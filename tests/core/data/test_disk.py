"""A disk without room: a small real one where the test may mount it."""

import errno
import os
import subprocess
from contextlib import suppress
from datetime import date

import duckdb
import pyarrow as pa
import pytest
import torch
from deltalake.exceptions import CommitFailedError, DeltaError
from safetensors import SafetensorError

from lt4rec_core.data.disk import is_full
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import LakeConflictError, LakeError, ModelStoreError
from lt4rec_core.training import modelfile

MONDAY, TUESDAY = date(2022, 4, 25), date(2022, 4, 26)
PAGE = 4096
TABLE = """\
-- A table.
-- grain: one row
-- key: user_id
-- columns:
--   dt date day
--   user_id varchar who
"""


@pytest.fixture
def disk(tmp_path):
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk, leave_pages=0):
    """Take all room but some pages; removing the returned file gives it back."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * PAGE)
    os.truncate(filler, filler.stat().st_size - leave_pages * PAGE)
    return filler


@pytest.fixture
def lake(disk, tmp_path):
    """A lake on that disk, one day published."""
    path = tmp_path / "sql" / "samples" / "clicks.sql"
    path.parent.mkdir(parents=True)
    path.write_text(TABLE)
    lake = Lake(disk / "home")
    lake.create([read_sql_file(path)])
    lake.publish(lake.stage("samples.clicks", MONDAY, rows(MONDAY).to_reader()))
    return lake


def rows(day, n=5_000):
    ids = [f"{i * 2654435761 % 2**32:08x}" for i in range(n)]  # they hardly compress
    return pa.table({"dt": pa.array([day] * n, pa.date32()), "user_id": ids})


def users(lake):
    table = lake.open("samples.clicks", MONDAY, TUESDAY).read_all()
    return {day: table["dt"].to_pylist().count(day) for day in (MONDAY, TUESDAY)}


def left(lake):
    """Files of the lake that no version names, and staged ones."""
    named = {str(path) for path in lake.files("samples.clicks")}
    return [p.name for p in (*lake.root.rglob("*.parquet*"), *lake.staging.iterdir()) if str(p) not in named]


WHAT = r"the disk is full: .* cannot be written\. LT4REC_HOME is .*disk/home\. .*run the day again"


def test_a_day_that_cannot_be_staged_says_so_and_leaves_nothing(lake, disk):
    filler = fill(disk)

    with pytest.raises(LakeError, match=WHAT):
        lake.stage("samples.clicks", TUESDAY, rows(TUESDAY).to_reader())

    assert (users(lake), left(lake)) == ({MONDAY: 5_000, TUESDAY: 0}, [])
    filler.unlink()
    lake.publish(lake.stage("samples.clicks", TUESDAY, rows(TUESDAY).to_reader()))
    assert users(lake) == {MONDAY: 5_000, TUESDAY: 5_000}


@pytest.mark.parametrize("day", [MONDAY, TUESDAY])
def test_a_day_that_cannot_be_published_says_so_and_the_lake_stays_as_it_was(lake, disk, day):
    """The rows are there already, staged on the same disk: what has no room is their commit."""
    lake.publish(lake.stage("samples.clicks", day, rows(day, 4_000).to_reader()))
    was = users(lake)
    staged = lake.stage("samples.clicks", day, rows(day).to_reader())
    filler = fill(disk)

    with pytest.raises(LakeError, match=WHAT) as caught:
        lake.publish(staged)

    assert not isinstance(caught.value, LakeConflictError), "waiting would not make room"
    assert users(lake) == was
    assert not staged.path.exists()
    filler.unlink()
    lake.publish(lake.stage("samples.clicks", day, rows(day).to_reader()))
    assert users(lake) == {**was, day: 5_000}


def test_a_history_that_cannot_grow_says_so_and_loses_nothing(lake, disk):
    filler = fill(disk)

    with pytest.raises(LakeError, match=WHAT):
        lake.append("samples.clicks", MONDAY, rows(MONDAY))

    assert users(lake)[MONDAY] == 5_000
    filler.unlink()
    lake.append("samples.clicks", MONDAY, rows(MONDAY))
    assert users(lake)[MONDAY] == 10_000


def test_a_model_that_cannot_be_written_says_so_and_the_one_before_stands(disk):
    folder, old, new = disk / "model", {"w": torch.zeros(1000)}, {"w": torch.ones(50_000)}
    digest = modelfile.publish(folder, old, {"day": "1"}, {})
    filler = fill(disk, leave_pages=8)

    with pytest.raises(ModelStoreError, match=r"the disk is full: .*model cannot be written"):
        modelfile.publish(folder, new, {"day": "1"}, {})

    assert modelfile.load(folder, "the model").digest == digest
    assert not list(folder.glob(".*.tmp")), "half a model was left"
    filler.unlink()
    again = modelfile.publish(folder, new, {"day": "1"}, {})
    assert modelfile.load(folder, "the model").digest == again != digest


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        DeltaError("Generic LocalFileSystem error: No space left on device (os error 28)"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        duckdb.IOException("Could not write to spill file: No space left on device"),
        Exception("(sqlite3.OperationalError) database or disk is full"),
    ],
)
def test_a_full_disk_is_recognised_whoever_says_so(error):
    assert is_full(error)
    wrapped = LakeError("cannot be published")
    wrapped.__cause__ = error
    assert is_full(wrapped)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EACCES, "Permission denied"), CommitFailedError("another writer"), ValueError("full")],
)
def test_other_errors_are_no_full_disk(error):
    assert not is_full(error)
