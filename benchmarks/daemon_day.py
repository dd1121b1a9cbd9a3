"""One more day under the daemon, launched from the UI: CPU seconds of its runs, and of the servers meanwhile.

Each run is a process of its own, which imports everything anew. The days before are made by `lt4rec backfill`
in one process, whose CPU seconds are given as well: they show what the processes cost. Needs Linux.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from benchmarks.homes import SMALL_NETWORK, temporary_home
from benchmarks.measure import Figure, cpu_seconds, script
from benchmarks.server import Server, serving

TABLES = "group:source or group:samples or group:features or group:training"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """From the eighth day on, features read seven days. The smallest size leaves learning out."""
    n, n_before, n_chain, select = (300, 1, 2, TABLES) if asked.quick else (30_000, 7, 30, "*")
    of = f"daemon day, {n:,} impressions"
    with temporary_home(n, SMALL_NETWORK) as home:
        environment = _environment(home, n_before + asked.runs)
        _backfill(environment, 0, n_before, select)
        days: list[tuple[float, float, int]] = []
        with serving(home, environment) as server:
            assets = [a for a in server.daily_assets() if select == "*" or a.split("/")[0] in TABLES]
            for i in range(asked.runs):
                days.append(_day(server, assets, str(_day_of(n_before + i))))
    runs, servers, counts = zip(*days, strict=True)
    yield Figure(f"{of}, {len(assets)} assets, all its runs", "CPU s", runs, "below 40")
    yield Figure(f"{of}, its runs", "processes", counts)
    yield Figure(f"{of}, the servers meanwhile", "CPU s", servers)
    if asked.large or asked.quick:
        with temporary_home(n, SMALL_NETWORK) as home:
            cost, n_runs = _backfill(_environment(home, n_chain), 0, n_chain, select)
        yield Figure(f"backfill of {n_chain} days, {n:,} impressions, one process", "CPU s", [cost])
        yield Figure(f"backfill of {n_chain} days, {n:,} impressions, its runs", "runs", [n_runs])


def _day_of(number: int) -> date:
    from lt4rec_core.data.simulator import default_days

    return default_days()[0] + timedelta(days=number)


def _environment(home: Path, n_days: int) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("LT4REC_", "DAGSTER_"))}
    root = str(Path(__file__).resolve().parent.parent)
    return {
        **own,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, own.get("PYTHONPATH")))),
        "LT4REC_HOME": str(home),
        "LT4REC_START": str(_day_of(0)),
        "LT4REC_END": str(_day_of(n_days - 1)),
        "LT4REC_TICKET_DAYS": "2",
        "OMP_NUM_THREADS": "1",
    }


def _backfill(environment: dict[str, str], first: int, n: int, select: str) -> tuple[float, int]:
    """CPU seconds of `lt4rec backfill` over some days, its start-up included, and the runs it recorded."""
    command = [sys.executable, "-m", "lt4rec_assets.cli", "backfill"]
    days = ["--from", str(_day_of(first)), "--to", str(_day_of(first + n - 1))]
    started = cpu_seconds()
    subprocess.run(
        [*command, *days, "--select", select],
        env=environment,
        cwd=environment["LT4REC_HOME"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shards = Path(environment["LT4REC_HOME"]).rglob("history/runs/*.db")
    return cpu_seconds() - started, sum(1 for shard in shards if shard.stem != "index")


def _day(server: Server, assets: list[str], day: str) -> tuple[float, float, int]:
    """CPU seconds of a day's runs and of the servers until it was done, and the number of runs."""
    before = server.processes.look()
    n_runs = server.backfill(assets, [day])
    after = server.processes.look()
    used = {process: seconds - before.get(process, 0) for process, seconds in after.items()}
    in_runs = sum(seconds for process, seconds in used.items() if process not in before)
    return in_runs, sum(used.values()) - in_runs, n_runs


if __name__ == "__main__":
    script("daemon_day", __doc__, measure, runs=3)
