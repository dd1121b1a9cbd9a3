"""The benchmark of a day under the daemon, at its smallest size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_a_day_under_the_daemon_is_measured_and_its_processes_end():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.daemon_day", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = {figure["name"]: figure["values"][0] for figure in json.loads(done.stdout)}
    (n_runs,) = (value for name, value in figures.items() if name.endswith("day, 300 impressions, its runs"))
    (of_runs,) = (value for name, value in figures.items() if name.endswith("all its runs"))
    assert n_runs >= 1
    assert of_runs > 1, "processes that import Dagster take a second each"
