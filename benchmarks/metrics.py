"""The metrics of one day: the exact values by SQL, and their intervals over users (200 replicates).

Two models' scores are drawn at random, so no two are equal and every rank must be sorted for. The constant
and the oracle are measured beside them. With --large also a day of 300,000 impressions.

Beside scikit-learn: AUC, MSE and calibration of one model's predictions by one sort in DuckDB, then GAUC, all
from the same Parquet file. A million predictions, with --large ten; --predictions takes another number.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from benchmarks.homes import Chain, temporary_home
from benchmarks.measure import Figure, measured, script

CLOSE = 1e-12
"""Largest relative difference of a value to scikit-learn's."""

METRICS, PREDICTIONS = "evaluation.daily_metrics", "evaluation.predictions"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Each size in a home of its own."""
    sizes = [(300, 1)] if asked.quick else [(30_000, asked.runs)]
    if asked.large:
        sizes.append((300_000, min(asked.runs, 3)))
    for n, runs in sizes:
        with temporary_home(n) as home:
            yield from _figures(Chain.of(home), n, runs)
    n = asked.predictions or (10_000 if asked.quick else 10_000_000 if asked.large else 1_000_000)
    with tempfile.TemporaryDirectory(prefix="lt4rec-metrics-") as folder:
        yield from _beside_sklearn(Path(folder) / "predictions.parquet", n, min(asked.runs, 3))


def options(parser: argparse.ArgumentParser) -> None:
    """What this benchmark alone can be told."""
    parser.add_argument("--predictions", type=int, help="how many to compare with scikit-learn on")


def _beside_sklearn(path: Path, n: int, runs: int) -> Iterator[Figure]:
    """Both in turn, on one thread."""
    from benchmarks.exact_metrics import in_duckdb, in_sklearn, largest_difference, write_predictions

    write_predictions(path, n)
    turns = [(in_duckdb(path, n), in_sklearn(path)) for _ in range(runs)]
    difference = max(largest_difference(ours[0], theirs[0]) for ours, theirs in turns)
    if difference > CLOSE:
        raise AssertionError(f"the values differ by {difference:.1e}, more than {CLOSE}")
    of, three = f"metrics, {n:,} predictions", "AUC, MSE and calibration"
    times = "times faster than scikit-learn"
    yield Figure(f"{of}, {three} in DuckDB", "CPU s", [ours[1].cpu for ours, _ in turns])
    yield Figure(f"{of}, {three} in scikit-learn", "CPU s", [theirs[1].cpu for _, theirs in turns])
    yield Figure(f"{of}, GAUC in DuckDB", "CPU s", [ours[2].cpu for ours, _ in turns])
    yield Figure(f"{of}, GAUC in scikit-learn, by its first users", "CPU s", [b[2] for _, b in turns])
    peaks = [max(ours[1].peak_mb, ours[2].peak_mb) for ours, _ in turns]
    yield Figure(f"{of}, DuckDB, peak memory", "MiB", peaks)
    yield Figure(f"{of}, {three}", times, [b[1].cpu / a[1].cpu for a, b in turns])
    together = [(b[1].cpu + b[2]) / (a[1].cpu + a[2].cpu) for a, b in turns]
    yield Figure(f"{of}, with GAUC", times, together, "at least 3")
    yield Figure(f"{of}, largest difference of a value", "", [max(difference, 1e-17)], "at most 1e-12")


def _figures(chain: Chain, n: int, runs: int) -> Iterator[Figure]:
    import pyarrow.parquet as pq

    from lt4rec_core.evaluation.report import day_metrics

    for number in (0, 1):
        for name in chain.tables:
            chain.lake.publish(chain.stage(name, chain.day(number))[0])
    day = chain.day(1)
    _score_at_random(chain, day)
    predictions = chain.lake.open(PREDICTIONS, day, day).read_all()
    truth = chain.lake.open("source.truth", day, day).read_all()
    sql, peaks, intervals = [], [], []
    for _ in range(runs):
        staged, span = chain.stage(METRICS, day)
        points = pq.read_table(staged.path)
        chain.lake.discard(staged)
        sql.append(span.cpu)
        peaks.append(span.peak_mb)
        with measured() as span:
            day_metrics(points, predictions, truth)
        intervals.append(span.cpu)
    yield Figure(f"metrics, {n:,} impressions, daily_metrics.sql", "CPU s", sql)
    yield Figure(f"metrics, {n:,} impressions, daily_metrics.sql, peak memory", "MiB", peaks)
    yield Figure(f"metrics, {n:,} impressions, intervals", "CPU s", intervals)


def _score_at_random(chain: Chain, day: date) -> None:
    """Publish predictions of the day whose scores know a little of the labels."""
    import numpy as np

    from lt4rec_core.evaluation.predictions import COPIED, predictions_table

    samples = chain.lake.open("training.samples", day, day, COPIED).read_all()
    random, click = np.random.default_rng(0), samples["is_click"].to_numpy()
    parts = []
    for model in ("snet", "baseline"):
        p_ctr = 1 / (1 + np.exp(0.8 - click - random.normal(size=len(samples))))
        parts.append((model, {"p_ctr": p_ctr, "p_cvr": random.random(len(samples))}, "random"))
    rows = predictions_table(chain.project.tables[PREDICTIONS], samples, parts)
    chain.lake.publish(chain.lake.stage(PREDICTIONS, day, rows.to_reader()))


if __name__ == "__main__":
    script("metrics", __doc__, measure, more=options)
