"""How fast the simulator delivers a day: impressions per CPU second, and peak memory."""

import argparse
from collections.abc import Iterator
from datetime import timedelta

from benchmarks.measure import Figure, measured, script

TARGET = "at least 200,000"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Another day each run, for what one day leaves in a cache does not help the next."""
    from lt4rec_core.data.simulator import default_days, generate

    first, _ = default_days()
    for n in (3_000,) if asked.quick else (30_000, 2_000_000):
        generate(first, {"impressions_per_day": n // 100})  # imports and first calls
        rates, peaks = [], []
        for run in range(min(asked.runs, 3) if n > 1_000_000 else asked.runs):
            with measured() as span:
                delivered = generate(first + timedelta(days=run), {"impressions_per_day": n})
            rates.append(delivered["impressions"].num_rows / span.cpu)
            peaks.append(span.peak_mb)
            del delivered
        yield Figure(f"simulator, {n:,} impressions a day", "impressions/CPU s", rates, TARGET)
        yield Figure(f"simulator, {n:,} impressions a day, peak memory", "MiB", peaks)


if __name__ == "__main__":
    script("simulator", __doc__, measure)
