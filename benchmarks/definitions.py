"""What a new process pays before it works: loading the definitions, and first imports of heavy libraries."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.homes import temporary_home
from benchmarks.measure import Figure, measured, script

ROOT = Path(__file__).resolve().parent.parent
CASES = {
    "loading the definitions": (
        "from lt4rec_assets.definitions import defs; defs.load_fn().resolve_asset_graph()",
        "below 2.5",
    ),
    "of these import dagster": ("import dagster", ""),
    "import torch": ("import torch", ""),
    "import great_expectations": ("import great_expectations", ""),
}


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """The cases in turn; a first round, unmeasured, lets Python write its bytecode."""
    cases = dict(list(CASES.items())[:1]) if asked.quick else CASES
    took: dict[str, list[float]] = {name: [] for name in cases}
    with temporary_home(30_000) as home:
        for run in range(asked.runs + 1):
            for name, (code, _) in cases.items():
                seconds = _cpu_seconds(code, home)
                if run:
                    took[name].append(seconds)
    for name, values in took.items():
        yield Figure(f"new process, {name}", "CPU s", values, CASES[name][1])


def _cpu_seconds(code: str, home: Path) -> float:
    """User and system time of a Python process that runs ``code``."""
    env = {**os.environ, "LT4REC_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    with measured() as span:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    return span.cpu


if __name__ == "__main__":
    script("definitions", __doc__, measure)
