"""One more day in a warm process, as `lt4rec backfill` runs it: its CPU seconds, and where they go.

All daily assets of simulated days of 30,000 impressions, recorded in a Dagster instance as usual. Training
and scoring are booked apart, and the network is tiny: their cost is the network's, not the pipeline's. The
first seven days, with imports, tickets and the first audits, are not measured. A measured day is a run.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path

from benchmarks.homes import SMALL_NETWORK, temporary_home
from benchmarks.measure import Figure, script
from benchmarks.stopwatch import Stopwatch

LEARNING = "training, tickets, scoring"
REST = "Dagster's steps, and whatever is not named here"
SIMULATED_DAYS = 14
TABLES = "group:source or group:samples or group:features or group:training"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """From the eighth day on, features read seven days. The smallest size leaves learning out."""
    n, n_warm, select = (300, 1, TABLES) if asked.quick else (30_000, 7, "*")
    with temporary_home(n, SMALL_NETWORK) as home:
        days, n_assets = _days(home, select, n_warm, min(asked.runs, SIMULATED_DAYS - n_warm))
    names = sorted({name for day in days for name in day}, key=lambda name: -sum(day[name] for day in days))
    of = f"warm day, {n:,} impressions"
    totals = [sum(day.values()) - day[LEARNING] for day in days]
    yield Figure(f"{of}, {n_assets} assets, learning aside", "CPU s", totals)
    for name in names:
        yield Figure(f"{of}: {name}", "CPU s", [day[name] for day in days])


def _days(home: Path, select: str, n_warm: int, n_days: int) -> tuple[list[dict[str, float]], int]:
    """CPU seconds by label of each measured day, and the number of assets a day has."""
    import torch

    from lt4rec_assets.backfill import run_backfill
    from lt4rec_assets.settings import read_settings

    torch.set_num_threads(1)
    os.environ.pop("DAGSTER_HOME", None)  # Dagster's records belong into this home
    settings = read_settings({"LT4REC_HOME": str(home), "LT4REC_TICKET_DAYS": "2"})
    watch = Stopwatch(REST)
    laps: list[dict[str, float]] = []

    def say(line: str) -> None:
        if line.startswith("["):  # said once a day, when it is done
            laps.append(watch.lap())

    last = settings.start + timedelta(days=n_warm + n_days - 1)
    with ExitStack() as stack:
        for patch in _patches(watch):
            stack.enter_context(patch)
        outcome = run_backfill(settings, settings.start, last, select, say=say)
    if not outcome.ok:
        raise AssertionError(f"not all is green: {outcome.failed or outcome.blocked}")
    return laps[n_warm:], sum(1 for _, partition in outcome.green if partition == last.isoformat())


def _patches(watch: Stopwatch) -> Iterator[AbstractContextManager[object]]:
    """What each label covers."""
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.runs import SqliteRunStorage

    import lt4rec_assets.tables
    from lt4rec_assets.learning import Learning
    from lt4rec_core.data.lake import Lake
    from lt4rec_core.evaluation import report
    from lt4rec_core.quality import audit
    from lt4rec_core.quality.engine import Engine
    from lt4rec_core.serving import entities, export, latency, promotion
    from lt4rec_core.training import daily, tickets

    yield watch.wrap(lt4rec_assets.tables, "run_sql", "SQL statements, staging")
    yield watch.wrap(Lake, "stage", "SQL statements, staging")
    yield watch.wrap(Lake, "publish", "Delta commits")
    yield watch.wrap(Lake, "_delta", "opening Delta tables")
    yield watch.wrap(Learning, "samples", "lake to tensors")
    yield watch.wrap(audit, "audit", "gates: SQL checks and pages")
    yield watch.wrap(Engine, "validate", "gates: Great Expectations")
    yield watch.wrap(report, "day_metrics", "intervals of the metrics")
    yield watch.wrap(daily, "train_day", LEARNING)
    yield watch.wrap(daily, "score_day", LEARNING)
    yield watch.wrap(tickets, "find_ticket", LEARNING)
    yield watch.wrap(entities, "read_entities", "ranker: features of everyone")
    yield watch.wrap(export, "draft", "ranker: making it")
    yield watch.wrap(promotion, "decide", "ranker: judging it")
    yield watch.wrap(latency, "measure", "ranker: its latencies, [serving] latency_seconds")
    for storage in (SqliteEventLogStorage, SqliteRunStorage):
        for name in dir(storage):
            if name.split("_")[0] in ("add", "fetch", "get", "handle", "has", "store", "update"):
                yield watch.wrap(storage, name, "Dagster's records in SQLite")


if __name__ == "__main__":
    script("warm_day", __doc__, measure)
