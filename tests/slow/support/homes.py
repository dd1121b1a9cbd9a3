"""Small homes, and ``lt4rec`` run over them as a user would: in a process of its own."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place, listed, place, put_text

BIN = Path(sys.executable).parent
TICKET_DAYS = 2
_numbers = itertools.count()
PATIENCE = 1200
"""Seconds that any process may take, the server with all its tests included."""

SMALL_LEARNING = """
[network]
embedding_dim = 8
hidden = [32, 16]

[training]
batch_size = 128

[pruning]
n_pruning = 2
"""
SMALL_PLATFORM = """
[source]
impressions_per_day = 300
n_users = 60
new_users_per_day = 3
n_videos = 100
new_videos_per_day = 4
"""


@dataclass
class Home:
    """A folder for ``LT4REC_HOME``, its days and its other settings."""

    path: Path
    start: date
    end: date
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        toml = SMALL_LEARNING if "LT4REC_SOURCE" in self.env else SMALL_LEARNING + SMALL_PLATFORM
        put_text(self.place / "lt4rec.toml", toml)

    @property
    def first(self) -> str:
        return str(self.start)

    @property
    def last(self) -> str:
        return str(self.end)

    @property
    def days(self) -> list[date]:
        return [self.start + timedelta(days=i) for i in range((self.end - self.start).days + 1)]

    @property
    def place(self) -> Place:
        """Where its tables and models lie."""
        return self.path

    @property
    def lake(self) -> Lake:
        return Lake(self.place)

    def environment(self) -> dict[str, str]:
        """This process's, with this home's settings and nothing of the developer's own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LT4REC_", "DAGSTER_"))}
        return {
            **inherited,
            "LT4REC_HOME": str(self.place),
            "LT4REC_START": self.first,
            "LT4REC_END": self.last,
            "LT4REC_TICKET_DAYS": str(TICKET_DAYS),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            **self.env,
        }

    @contextmanager
    def process(self, *arguments: str):
        """Start ``lt4rec`` in a session of its own; the session is ended on leaving, whatever happens."""
        log = new_log(self)
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [str(BIN / "lt4rec"), *arguments],
                env=self.environment(),
                cwd=self.path.parent,  # away from a developer's .env
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Started(process, log)
        finally:
            end_session(process)

    def lt4rec(self, *arguments: str, timeout: float = 400) -> str:
        """Run ``lt4rec`` to its end and return what it printed; it must succeed."""
        with self.process(*arguments) as started:
            code = started.process.wait(timeout)
            printed = started.printed()
        assert code == 0, f"lt4rec {' '.join(arguments)} ended with {code}:\n{printed[-4000:]}"
        return printed


@dataclass
class BucketHome(Home):
    """A home in a bucket; its path is the working folder. This process must be one that uses the store."""

    address: str = ""

    @property
    def place(self) -> Place:
        return place(self.address)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LT4REC_LOCAL": str(self.path)}


@dataclass
class Started:
    """A running ``lt4rec``."""

    process: Any
    """A ``Popen``, or what is like it."""

    log: Path
    started: float = field(default_factory=time.monotonic)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet; one that hangs fails the test."""
        assert time.monotonic() - self.started < PATIENCE, (
            f"still running after {PATIENCE} s:\n{self.printed()[-4000:]}"
        )
        return self.process.poll() is None

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        end_session(self.process)


def new_log(home: Home) -> Path:
    """A file for what a process over this home prints."""
    return home.path.parent / f"lt4rec-{next(_numbers)}.log"


def end_session(process: Any, first: int = signal.SIGKILL, patience: float = 30) -> None:
    """End a process that leads a session, and whatever else lives in that session; wait until it is gone.

    Args:
        process: was started with ``start_new_session``.
        first: sent first; what is left after ``patience`` seconds is killed.
        patience: how long ``first`` may take.
    """
    end = time.monotonic() + patience
    with suppress(ProcessLookupError):
        os.killpg(process.pid, first)  # at once, before the rest of the session is looked for
    _signal(process.pid, first)
    while _members(process.pid) and time.monotonic() < end:
        process.poll()
        time.sleep(0.01)
    while _members(process.pid):
        _signal(process.pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.01)
    process.wait(30)


def _signal(session: int, number: int) -> None:
    for pid in _members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _members(session: int) -> list[int]:
    """The processes of a session; the groups that Dagster makes within it do not matter."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(ProcessLookupError, FileNotFoundError):
                state, _, _, sid = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(sid) == session and state != "Z":
                    found.append(int(entry.name))
    return found


def simulated_home(folder: Path, n_days: int = 10) -> Home:
    """A home of the simulator, of days small enough to be made in seconds."""
    start = date(2026, 1, 5)
    return Home(folder / "home", start, start + timedelta(days=n_days - 1))


def data_tables(home: Home) -> list[str]:
    """The tables whose rows follow from the logs alone; when they were audited or searched does not."""
    kept = home.lake.names()
    return [name for name in kept if not name.startswith("quality.") and name != "tickets.search_rounds"]


def fingerprints(home: Home, tables: list[str] | None = None) -> dict[tuple[str, date], tuple[int, int]]:
    """For every table and day with rows: how many, and a sum over their hashes. As an analyst reads them."""
    con = connect(home.place)
    try:
        found = {}
        for table in tables or data_tables(home):
            rows = query(
                con, f"select dt, count(*), sum(hash(t)::hugeint) from {table} as t group by dt"
            ).fetchall()
            found |= {(table, day): (n, digest) for day, n, digest in rows}
        return found
    finally:
        con.close()


def not_whole(seen: Mapping[Any, tuple[int, int]], final: Mapping[Any, tuple[int, int]]) -> list[str]:
    """Days that are there, but not as they are in the end; a day that is not there yet is no fault."""
    return [
        f"{table} of {day}: {rows[0]} rows, in the end {final.get((table, day), (0,))[0]}"
        for (table, day), rows in seen.items()
        if rows != final.get((table, day))
    ]


def models(home: Home) -> dict[str, str]:
    """The digest of every ticket and model, by folder. A manifest without its tensors is an error."""
    root = home.place / "models"
    found = {}
    for path in listed(root, "*/*/*/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        assert (path.parent / manifest["tensors"]).is_file(), f"{path} names a file that is not there"
        found[str(path.parent).removeprefix(f"{root}/")] = manifest["digest"]
    return found
