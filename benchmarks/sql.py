"""From the log to training.samples: the pipeline without and with its gates, one script by hand, and pandas.

Logs are Parquet files; seven days of history lie in the lake. Each contender makes the same day in a process
of its own, in turn, on one thread; their samples are compared row by row. The script and pandas do what the
pipeline does for tomorrow too (the day's clicks and counts), but keep neither the log nor what was rejected.
--rows takes other sizes, --folder keeps what was prepared, --without leaves contenders out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from benchmarks.measure import Figure, script

ROOT = Path(__file__).resolve().parent.parent
MOST_MEMORY = "below 3,000"
LARGE = 500_000
"""Impressions from which the targets hold: below, opening databases and planning cost more than rows."""

NAMES = {
    "statements": "statements and commits",
    "gated": "the same with 2 gates",
    "script": "one DuckDB script by hand",
    "pandas": "pandas",
}


def options(parser: argparse.ArgumentParser) -> None:
    """What this benchmark alone can be told."""
    parser.add_argument("--rows", type=int, nargs="+", help="impressions of the day")
    parser.add_argument("--folder", type=Path, help="where logs and history stay for the next time")
    parser.add_argument("--without", nargs="+", default=[], choices=NAMES)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Each size in a folder of its own."""
    sizes = asked.rows or ([300] if asked.quick else [30_000, *([2_000_000] if asked.large else [])])
    for n in sizes:
        kept = asked.folder and asked.folder / str(n)
        with nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="lt4rec-sql-") as folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            yield from _figures(Path(folder), n, min(asked.runs, 3) if n > 100_000 else asked.runs, asked)


def _figures(folder: Path, n: int, runs: int, asked: argparse.Namespace) -> Iterator[Figure]:
    from benchmarks.logs import prepare

    prepare(folder, n)
    whos = [who for who in NAMES if who not in asked.without]
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(runs):
        for who in whos:
            found[who].append(_in_a_process(who, folder))
    _require_equal_rows(folder, [who for who in whos if who in ("script", "pandas")])
    of, is_large = f"sql, {n:,} impressions", n >= LARGE
    for who in whos:
        yield Figure(f"{of}, {NAMES[who]}", "CPU s", [took["cpu"] for took in found[who]])
        yield Figure(f"{of}, {NAMES[who]}, wall", "s", [took["wall"] for took in found[who]])
        memory = MOST_MEMORY if who in ("statements", "gated") else ""
        yield Figure(f"{of}, {NAMES[who]}, peak memory", "MiB", [t["peak"] for t in found[who]], memory)
    for who, other, what, target in (
        ("statements", "script", "times the script's CPU", "at most 2"),
        ("pandas", "statements", "times faster than pandas", "at least 5"),
    ):
        if who in found and other in found:
            pairs = zip(found[who], found[other], strict=True)
            yield Figure(
                f"{of}, pipeline", what, [a["cpu"] / b["cpu"] for a, b in pairs], target if is_large else ""
            )
    if "gated" in found and "statements" in found:
        plain = median(took["cpu"] for took in found["statements"])
        added = [100 * (took["cpu"] / plain - 1) for took in found["gated"]]
        yield Figure(f"{of}, what gates add", "%", added, "at most 40" if is_large else "")


def _in_a_process(who: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.contenders", who, str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took


def _require_equal_rows(folder: Path, whos: list[str]) -> None:
    """All made the same samples, or the figures would be of different things."""
    from benchmarks.logs import DAYS_BEFORE, chain_of
    from lt4rec_core.data.duck import connect_scratch, path_literal

    chain = chain_of(folder)
    day, table = chain.day(DAYS_BEFORE), "training.samples"
    snapshot = chain.lake.snapshot(table)
    columns = ", ".join(f'"{name}"' for name in snapshot.schema.names)
    for who in whos:
        theirs = f"select {columns} from read_parquet({path_literal(folder / who / 'samples.parquet')})"
        with connect_scratch(2, "4GB", folder / "spill") as con:
            ours = snapshot.select(con, day, day)
            sql = f"select (select count(*) from (({ours}) except all ({theirs}))), count(*) from ({theirs})"
            differing, n = con.execute(sql).fetchall()[0]
            n_ours = con.execute(f"select count(*) from ({ours})").fetchall()[0][0]
        if differing or n != n_ours:
            raise AssertionError(f"{who} made {n} samples, the pipeline {n_ours}; {differing} differ")


if __name__ == "__main__":
    script("sql", __doc__, measure, more=options)
