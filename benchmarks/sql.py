"""One day from the source to training.samples: statements, gates and commits, without Dagster.

The last of eight days is made again and again; the seven before it are what its features read. With --large
also a day of a million impressions, after one day of history.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

from benchmarks.homes import Chain, temporary_home
from benchmarks.measure import Figure, measured, script

GATED = ("samples.impressions", "training.samples")


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Each size in a home of its own."""
    sizes = [(300, 1, 1)] if asked.quick else [(30_000, 7, asked.runs)]
    if asked.large:
        sizes.append((1_000_000, 1, min(asked.runs, 3)))
    for n, n_days_before, runs in sizes:
        with temporary_home(n) as home:
            yield from _figures(Chain.of(home), n, n_days_before, runs)


def _figures(chain: Chain, n: int, n_days_before: int, runs: int) -> Iterator[Figure]:
    for day in range(n_days_before):
        _run_day(chain, day)
    found = defaultdict(list)
    for _ in range(runs):
        for name, value in _run_day(chain, n_days_before).items():
            found[name].append(value)
    of = f"sql, {n:,} impressions"
    yield Figure(f"{of}, {len(chain.tables)} statements", "CPU s", found["statements"])
    yield Figure(f"{of}, of these training.samples", "CPU s", found["training.samples"])
    yield Figure(f"{of}, {len(GATED)} gates", "CPU s", found["gates"])
    yield Figure(f"{of}, {len(chain.tables)} commits", "CPU s", found["commits"])
    yield Figure(f"{of}, peak memory of the statements", "MiB", found["statements_mb"])
    yield Figure(f"{of}, peak memory of the gates", "MiB", found["gates_mb"])


def _run_day(chain: Chain, number: int) -> dict[str, float]:
    """Make one day; CPU seconds and peaks by what they went to."""
    took: dict[str, float] = defaultdict(float)
    for name in chain.tables:
        staged, span = chain.stage(name, chain.day(number))
        took["statements"] += span.cpu
        took["statements_mb"] = max(took["statements_mb"], span.peak_mb)
        took[name] = span.cpu
        if name in GATED:
            gate = chain.audit(staged)
            took["gates"] += gate.cpu
            took["gates_mb"] = max(took["gates_mb"], gate.peak_mb)
        with measured() as commit:
            chain.lake.publish(staged)
        took["commits"] += commit.cpu
    return took


if __name__ == "__main__":
    script("sql", __doc__, measure)
