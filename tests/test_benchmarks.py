"""Every benchmark explains itself and runs at its smallest size; what they share counts rightly."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = (
    "simulator",
    "training",
    "workers",
    "sql",
    "metrics",
    "accuracy",
    "loading",
    "tickets",
    "warm_day",
    "definitions",
    "ranker",
    "served",
    "daemon_day",
    "scale",
    "bucket",
)
SLOW = ("daemon_day", "bucket")
"""Run at their smallest size by slow tests."""


def run(module, *options):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def benchmarks(monkeypatch):
    """The package, which stands beside those that are installed."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import measure, stopwatch

    return SimpleNamespace(measure=measure, stopwatch=stopwatch)


@pytest.mark.parametrize("name", ["__main__", *BENCHMARKS])
def test_a_benchmark_explains_itself(name):
    done = run("benchmarks" if name == "__main__" else f"benchmarks.{name}", "--help")
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout


@pytest.mark.parametrize("name", [n for n in BENCHMARKS if n not in SLOW])
def test_a_benchmark_runs_at_its_smallest_size(name):
    done = run(f"benchmarks.{name}", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures
    for figure in figures:
        assert figure["command"] == f"python -m benchmarks.{name} --quick"
        assert len(figure["values"]) == 1
        assert figure["values"][0] > 0 or figure["unit"] == "%", figure


def test_all_benchmarks_are_run_by_name(benchmarks):
    assert benchmarks.measure.BENCHMARKS == BENCHMARKS
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "script(" in path.read_text()}
    assert scripts - {"measure"} == set(BENCHMARKS)


def test_the_table_shows_median_and_range(benchmarks):
    figure = benchmarks.measure.Figure("loading", "CPU s", [1.5, 1.0, 12.25], "below 2", "python -m x")
    assert benchmarks.measure.table([figure]).splitlines()[-1] == (
        "| loading | 1.5 CPU s | 1 to 12.2 | 3 | below 2 | `python -m x` |"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (99.94, "99.9"), (123.4, "123"), (198_765.4, "199,000")]
)
def test_numbers_have_three_digits(benchmarks, value, text):
    assert benchmarks.measure.number(value) == text


def test_cpu_seconds_count_work_and_ended_children_but_no_waiting(benchmarks):
    with benchmarks.measure.measured() as waiting:
        time.sleep(0.2)
    with benchmarks.measure.measured() as child:
        subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    assert waiting.cpu < 0.1
    assert child.cpu > 0.03


def test_a_block_has_a_peak_of_its_own(benchmarks):
    with benchmarks.measure.measured() as large:
        block = bytearray(200 * 2**20)
        del block
    with benchmarks.measure.measured() as small:
        pass
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux forgets a peak")
    assert small.peak_mb < large.peak_mb - 150


def test_the_peak_of_a_block_is_that_of_the_blocks_within_too(benchmarks):
    with benchmarks.measure.measured() as whole:
        with benchmarks.measure.measured() as large:
            there = b"x" * 100_000_000
            del there
        with benchmarks.measure.measured() as small:
            pass

    assert whole.peak_mb >= large.peak_mb
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux forgets a peak")
    assert large.peak_mb > small.peak_mb + 50


def test_a_second_belongs_to_the_innermost_watched_function(benchmarks):
    def work():
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass

    owner = SimpleNamespace(inner=work)
    owner.outer = lambda: (work(), owner.inner())
    watch = benchmarks.stopwatch.Stopwatch("rest")
    with watch.wrap(owner, "inner", "inner"), watch.wrap(owner, "outer", "outer"):
        owner.outer()
        work()
    seconds = watch.lap()

    assert set(seconds) == {"rest", "outer", "inner"}
    for label in seconds:
        assert seconds[label] == pytest.approx(0.1, abs=0.05)
    assert owner.inner is work
    assert sum(watch.lap().values()) < 0.05
