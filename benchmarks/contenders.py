"""One contender makes one day, in a process of its own: ``python -m benchmarks.contenders WHO FOLDER``.

It prints what that took as JSON. Imports are not counted: a pipeline pays them once for many days.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path

from benchmarks.homes import Chain
from benchmarks.logs import DAYS_BEFORE, chain_of, log_of
from benchmarks.measure import measured

GATED = ("samples.impressions", "training.samples")
SCRIPT = Path(__file__).parent / "peers" / "samples.sql"


def statements(chain: Chain, folder: Path, day: date) -> None:
    """The pipeline's statements and commits, without gates."""
    for name in chain.tables:
        chain.lake.publish(chain.stage(name, day, log_of(folder, day))[0])


def with_gates(chain: Chain, folder: Path, day: date) -> None:
    """The same with its two gates."""
    for name in chain.tables:
        staged, _ = chain.stage(name, day, log_of(folder, day))
        report = chain.audit(staged)[0] if name in GATED else None
        chain.lake.publish(staged)
        if report:
            chain.keep(report)


def by_hand(chain: Chain, folder: Path, day: date) -> None:
    """One script by hand, in the same DuckDB with the same memory on one thread."""
    from lt4rec_assets.tables import SQL_MEMORY
    from lt4rec_core.data.duck import connect_scratch, literal

    out = folder / "script"
    out.mkdir(exist_ok=True)
    with connect_scratch(1, SQL_MEMORY, out / "spill") as con:
        for name, value in (("home", folder / "home"), ("log", log_of(folder, day)), ("out", out)):
            con.execute(f"set variable {name} = {literal(str(value))}")
        con.execute(f"set variable day = date '{day}'")
        con.execute(SCRIPT.read_text(encoding="utf-8"))


def in_pandas(chain: Chain, folder: Path, day: date) -> None:
    """The same in pandas."""
    from benchmarks.peers.samples_pandas import run

    out = folder / "pandas"
    out.mkdir(exist_ok=True)
    run(folder / "home", log_of(folder, day), day, out)


CONTENDERS: dict[str, Callable[[Chain, Path, date], None]] = {
    "statements": statements,
    "gated": with_gates,
    "script": by_hand,
    "pandas": in_pandas,
}


def main(who: str, folder: Path) -> None:
    """Make the day that follows those prepared; print CPU seconds, wall seconds and MiB."""
    import_module("pyarrow.parquet")
    if who == "gated":
        from lt4rec_core.quality.engine import session

        with session():  # Great Expectations, imported
            pass
    if who == "pandas":
        import_module("pandas")

    chain = chain_of(folder)
    started = time.perf_counter()
    with measured() as span:
        CONTENDERS[who](chain, folder, chain.day(DAYS_BEFORE))
    wall = time.perf_counter() - started
    print(json.dumps({"cpu": span.cpu, "wall": wall, "peak": span.peak_mb}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
