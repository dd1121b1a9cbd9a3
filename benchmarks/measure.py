"""What the benchmarks share: CPU seconds, peak memory, medians with their spread, and the table.

CPU seconds are user and system time of all threads and ended child processes. On a shared machine they move
far less than wall time, and they are what a pipeline is billed for.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

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
VERSIONS = ("dagster", "deltalake", "duckdb", "great-expectations", "numpy", "pyarrow", "torch")


@dataclass(frozen=True)
class Figure:
    """One measured quantity, run by run."""

    name: str
    unit: str
    values: Sequence[float]
    target: str = ""
    command: str = ""


def cpu_seconds() -> float:
    """User and system time so far, of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Span:
    """What a block of code took."""

    cpu: float = 0.0
    """Seconds, as :func:`cpu_seconds`."""

    peak_mb: float = 0.0
    """Highest resident memory during the block, MiB, what was there before included."""


@contextmanager
def measured() -> Iterator[Span]:
    """Take the time and the peak of a block; the span is complete when the block ends. Blocks may nest."""
    span = Span()
    for outer in _OPEN:
        outer.peak_mb = max(outer.peak_mb, _peak_mb())  # the system is about to forget it
    _forget_peak()
    _OPEN.append(span)
    started = cpu_seconds()
    try:
        yield span
    finally:
        _OPEN.pop()
    span.cpu = cpu_seconds() - started
    span.peak_mb = max(span.peak_mb, _peak_mb())


_OPEN: list[Span] = []
"""The blocks that are being measured, the outermost first."""


def _forget_peak() -> None:
    """Start a new peak where Linux allows it; elsewhere the peak is the process's."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )


def script(
    name: str,
    description: str | None,
    measure: Callable[[argparse.Namespace], Iterable[Figure]],
    runs: int = 5,
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """The command line of one benchmark: parse (with ``more`` options), measure on one thread, print."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=runs, help="times each figure is measured (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="smallest size, one run: shows that it runs")
    parser.add_argument("--large", action="store_true", help="also the sizes that take minutes")
    parser.add_argument("--json", action="store_true", help="print figures as JSON instead of a table")
    if more:
        more(parser)
    asked = parser.parse_args()
    asked.runs = 1 if asked.quick else asked.runs
    os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy and torch are first imported, in ``measure``
    words = [word for word in sys.argv[1:] if word != "--json"]
    command = " ".join(["python -m", f"benchmarks.{name}", *words])
    figures = [Figure(**{**asdict(figure), "command": command}) for figure in measure(asked)]
    if asked.json:
        print(json.dumps([asdict(figure) for figure in figures]))
    else:
        print(f"{machine()}\n\n{table(figures)}")


def table(figures: Iterable[Figure]) -> str:
    """Markdown: median and range of the runs."""
    lines = ["| figure | median | range | runs | target | command |", "|---|---:|---:|---:|---:|---|"]
    for f in figures:
        low, high = number(min(f.values)), number(max(f.values))
        lines.append(
            f"| {f.name} | {number(median(f.values))} {f.unit} | {low} to {high} | {len(f.values)} "
            f"| {f.target} | `{f.command}` |"
        )
    return "\n".join(lines)


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if abs(value) >= 100:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def machine() -> str:
    """Processor, cores, load and versions, as a sentence or two."""
    model, memory = platform.processor() or platform.machine(), ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        kib = int(Path("/proc/meminfo").read_text().split()[1])
        memory = f", {kib / 2**20:.0f} GiB"
    except (OSError, StopIteration):
        pass
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{model}, {os.cpu_count()} logical cores{memory}, {platform.system()} {platform.release()}, "
        f"load {load}; one thread.\nPython {platform.python_version()}, {versions}."
    )
