import os
import subprocess
import sys
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from lt4rec_core.data.staging import (
    ROWS_PER_GROUP,
    content_of,
    is_abandoned,
    published_name,
    scratch_name,
    staged_name,
    write_parquet,
)

MONDAY = date(2022, 4, 25)


def test_row_groups_are_bounded_and_rows_keep_their_order(tmp_path):
    n = 2 * ROWS_PER_GROUP + 5
    table = pa.table({"n": pa.array(range(n), pa.int64())})

    written, digest = write_parquet(tmp_path / "x.parquet", table.to_reader(max_chunksize=1000), table.schema)

    file = pq.ParquetFile(tmp_path / "x.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert written == n == sum(sizes)
    assert max(sizes) <= ROWS_PER_GROUP
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read()["n"].to_pylist() == list(range(n))
    assert write_parquet(tmp_path / "y.parquet", table.to_reader(), table.schema) == (n, digest)


def test_no_rows_are_a_typed_file(tmp_path):
    table = pa.table({"n": pa.array([], pa.int64())})

    assert write_parquet(tmp_path / "x.parquet", table.to_reader(), table.schema)[0] == 0
    assert pq.read_schema(tmp_path / "x.parquet").equals(table.schema)


def test_only_what_repeats_has_a_dictionary(tmp_path):
    table = pa.table(
        {
            "dt": pa.array([MONDAY], pa.date32()),
            "user_id": ["u1"],
            "page": ["feed"],
            "play_ms": pa.array([1], pa.int64()),
            "watch_ratio": [0.5],
            "f_page": pa.array([1], pa.int32()),
            "m_tags": pa.array([[1]], pa.list_(pa.field("element", pa.int32()))),
        }
    )

    write_parquet(tmp_path / "x.parquet", table.to_reader(), table.schema)

    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    with_one = {c.path_in_schema for c in columns if c.has_dictionary_page}
    assert with_one == {"dt", "page", "f_page", "m_tags.list.element"}


def test_a_published_file_is_named_by_its_rows_and_no_two_names_are_the_same():
    digest = "0123456789abcdef" * 4
    name, other = published_name(digest), published_name(digest)

    assert name != other
    assert content_of(name) == content_of(other) == digest[:16]
    assert content_of(published_name("f" + digest)) == "f0123456789abcde"


def test_files_whose_names_do_not_tell_are_like_no_other():
    old, other = published_name(""), published_name("")

    assert content_of(old) == old != other
    assert content_of("part-00000-8a7d9af2-c000.snappy.parquet") == "part-00000-8a7d9af2-c000.snappy.parquet"


def test_files_of_a_living_process_are_not_abandoned(tmp_path):
    for name in (staged_name("samples.clicks", MONDAY), scratch_name()):
        path = tmp_path / name
        path.write_text("")
        os.utime(path, (0, 0))
        assert not is_abandoned(path)


def test_files_of_a_dead_process_are_abandoned_at_once(tmp_path):
    code = """
from datetime import date
from lt4rec_core.data.staging import scratch_name, staged_name
print(staged_name("samples.clicks", date(2022, 4, 25)), scratch_name())
"""
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert len(names) == 2
    for name in names:
        (tmp_path / name).write_text("")
        assert is_abandoned(tmp_path / name)


def test_a_pid_that_another_process_has_now_does_not_keep_a_file(tmp_path):
    mine = staged_name("samples.clicks", MONDAY).split(".")
    mine[4] = f"{os.getpid()}-12345"  # our pid, but started at another time
    path = tmp_path / ".".join(mine)
    path.write_text("")

    assert is_abandoned(path)


def test_a_file_of_another_machine_is_swept_only_when_old(tmp_path):
    parts = staged_name("samples.clicks", MONDAY).split(".")
    parts[3] = "0" * 12
    foreign = tmp_path / ".".join(parts)
    foreign.write_text("")
    assert not is_abandoned(foreign)

    three_days_ago = foreign.stat().st_mtime - 3 * 24 * 3600
    os.utime(foreign, (three_days_ago, three_days_ago))

    assert is_abandoned(foreign)
