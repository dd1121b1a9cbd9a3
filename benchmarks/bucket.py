"""A home in a bucket beside one in a folder: requests and bytes of a day, CPU seconds, and memory of a scan.

The store is moto's S3 server on this machine, as the tests start it, so nothing here says how long a real
store takes to answer: requests and bytes are the same for any. Simulated days of 30,000 impressions with all
daily assets in one warm process; the first seven, with tickets, are not measured. A measured day is a run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.homes import SMALL_NETWORK
from benchmarks.measure import Figure, cpu_seconds, script

if TYPE_CHECKING:
    from lt4rec_core.data.places import Place

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
KINDS = ("GET", "HEAD", "LIST", "PUT")
TABLES = "group:source or group:samples or group:features or group:training"
SCAN = """
import sys
from datetime import date
from benchmarks.measure import _peak_mb
from lt4rec_core.data.lake import Lake
day = date.fromisoformat(sys.argv[2])
for batch in Lake(sys.argv[1]).open("training.samples", day, day):
    pass
print(_peak_mb())
"""


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """From the eighth day on, features read seven days. The smallest size leaves learning out."""
    n, n_warm, select = (300, 1, TABLES) if asked.quick else (30_000, 7, "*")
    n_days = min(asked.runs, 14 - n_warm)
    sys.path.append(str(SUPPORT))
    from buckets import Store  # type: ignore[import-not-found]

    from lt4rec_core.data.places import place

    with Store() as store, tempfile.TemporaryDirectory(prefix="lt4rec-benchmark-") as folder:
        os.environ.update(store.env, LT4REC_LOCAL=str(Path(folder) / "working"))
        found = {}
        homes: dict[str, Place] = {"folder": Path(folder) / "home", "bucket": place("s3://bench/home")}
        for where, home in homes.items():
            found[where], last = _days(home, n, select, n_warm, n_days, store)
        of = f"warm day, {n:,} impressions"
        for kind in KINDS:
            yield Figure(f"{of}: {kind}", "requests", [day[kind] for day in found["bucket"]])
        for way in ("sent", "read"):
            values = [day[f"bytes {way}"] / 1e6 for day in found["bucket"]]
            yield Figure(f"{of}: {way}", "MB", values)
        for where in homes:
            yield Figure(f"{of}: in a {where}", "CPU s", [day["cpu"] for day in found[where]])
        yield from _scans(homes, last, store, n)


def _days(
    home: "Place", n: int, select: str, n_warm: int, n_days: int, store: Any
) -> tuple[list[dict[str, float]], date]:
    """Requests, bytes and CPU seconds of each measured day."""
    import torch

    from lt4rec_assets.backfill import run_backfill
    from lt4rec_assets.settings import read_settings
    from lt4rec_core.data.places import put_text

    torch.set_num_threads(1)
    os.environ.pop("DAGSTER_HOME", None)  # Dagster's records belong to this home
    put_text(home / "lt4rec.toml", f"[source]\nimpressions_per_day = {n}\n{SMALL_NETWORK}")
    settings = read_settings({"LT4REC_HOME": str(home), "LT4REC_TICKET_DAYS": "2"})
    laps: list[dict[str, float]] = []
    started = cpu_seconds()

    def say(line: str) -> None:
        nonlocal started
        if line.startswith("["):  # said once a day, when it is done
            laps.append({**dict.fromkeys(KINDS, 0), **store.counts(), "cpu": cpu_seconds() - started})
            started = cpu_seconds()

    last = settings.start + timedelta(days=n_warm + n_days - 1)
    outcome = run_backfill(settings, settings.start, last, select, say=say)
    if not outcome.ok:
        raise AssertionError(f"not all is green: {outcome.failed or outcome.blocked}")
    return laps[n_warm:], last


def _scans(homes: "dict[str, Place]", day: date, store: Any, n: int) -> Iterator[Figure]:
    """What reading a day takes: of memory, all columns in order; of bytes, one column."""
    from lt4rec_core.data.lake import Lake
    from lt4rec_core.data.places import bytes_of

    for where, home in homes.items():
        command = [sys.executable, "-c", SCAN, str(home), str(day)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        name = f"reading a day of {n:,} samples in order, in a {where}"
        yield Figure(name, "MB peak", [float(done.stdout)])
    lake = Lake(homes["bucket"])
    snapshot = lake.snapshot("training.samples")
    files = [f"dt={day}/{path.name}" for path in snapshot.between(day, day)]
    whole = bytes_of(lake.folder("training.samples"), files)
    with _counted(store) as read, lake.scratch() as con:
        con.execute(f"select sum(watch_ratio) from ({snapshot.select(con, day, day)})").fetchall()
    yield Figure("one column of 'training.samples', of the day's file", "%", [100 * read[0] / whole])


@contextmanager
def _counted(store: Any) -> Iterator[list[float]]:
    store.counts()
    read: list[float] = []
    yield read
    read.append(store.counts()["bytes read"])


if __name__ == "__main__":
    script("bucket", __doc__, measure)
