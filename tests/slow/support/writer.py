"""A process of its own that publishes days over and over: ``python writer.py HOME NUMBER ROUNDS``.

Each writer has days of its own in both tables, and adds to one day that all share in the third. What it
writes tells who wrote it and in which round, so that a reader can say whether a day is whole.
"""

import sys
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import working_folder
from lt4rec_core.data.sqlfile import SqlFile, read_sql_file

FIRST = date(2026, 1, 5)
TABLES = ("samples.clicks", "features.user_features")
HISTORY = "quality.history"
DAYS_PER_WRITER = 2
HEADER = """\
-- {name}.
-- grain: one row
-- key: row
-- columns:
--   dt date day
--   writer integer who wrote it
--   round integer in which round
--   row integer number of the row within its day
"""


def declarations(folder: Path) -> list[SqlFile]:
    """The tables, as a project would declare them."""
    files = []
    for name in (*TABLES, HISTORY):
        group, table = name.split(".")
        path = folder / group / f"{table}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(HEADER.format(name=name))
        files.append(read_sql_file(path))
    return files


def days_of(writer: int) -> list[date]:
    """The days that this writer alone publishes."""
    return [FIRST + timedelta(days=DAYS_PER_WRITER * writer + i) for i in range(DAYS_PER_WRITER)]


def n_rows(writer: int, round_: int) -> int:
    """Each round's day has another length, so that a mixture of two rounds cannot pass for either."""
    return 200 + 10 * round_ + writer


def rows(day: date, writer: int, round_: int, numbers: Iterable[int]) -> pa.Table:
    """Rows of one day."""
    row = pa.array(numbers, pa.int32())
    same = {
        name: pa.array([value] * len(row), pa.int32())
        for name, value in (("writer", writer), ("round", round_))
    }
    return pa.table({"dt": pa.array([day] * len(row), pa.date32()), **same, "row": row})


def main(home: str, number: str, rounds: str) -> None:
    """Publish this writer's days, once a round, and add a row to the shared history each time."""
    writer, lake = int(number), Lake(home)
    lake.create(declarations(working_folder(lake.home).parent / "sql"))
    for round_ in range(int(rounds)):
        for day in days_of(writer):
            for table in TABLES:
                new = rows(day, writer, round_, range(n_rows(writer, round_)))
                lake.publish(lake.stage(table, day, new.to_reader(max_chunksize=50)))
        lake.append(HISTORY, FIRST, rows(FIRST, writer, round_, [round_]))


if __name__ == "__main__":
    main(*sys.argv[1:])
