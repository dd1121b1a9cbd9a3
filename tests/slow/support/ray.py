"""A Ray cluster of one machine, as `ray start --head` makes it, in a session of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.homes import BIN, _members, end_session

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120


@dataclass
class RayCluster:
    """One that runs."""

    address: str
    process: Any

    def processes(self, name: str) -> list[int]:
        """The ids of its processes whose title has this in it."""
        found = []
        for pid in _members(self.process.pid):
            with suppress(OSError):
                if name in (Path("/proc") / str(pid) / "cmdline").read_text():
                    found.append(pid)
        return sorted(found)

    def kill_one(self, name: str) -> int:
        """Kill the newest of these processes, as the kernel does when memory runs out."""
        pid = self.processes(name)[-1]
        os.kill(pid, signal.SIGKILL)
        return pid


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ray_cluster(cpus: int = 2) -> Iterator[RayCluster]:
    """Start it on free ports of loopback, without its dashboard, and end it by its own processes."""
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # sockets lie there, whose paths must be short
    port = free_port()
    command = [
        str(BIN / "ray"), "start", "--head", "--block", f"--num-cpus={cpus}", f"--port={port}",
        f"--ray-client-server-port={free_port()}", "--min-worker-port=0", "--max-worker-port=0",
        "--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats",
        "--object-store-memory=100000000", f"--temp-dir={folder}",
    ]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LT4REC_", "DAGSTER_"))}
    env |= {"PYTHONPATH": f"{ROOT}:{ROOT}/tests/slow", "OMP_NUM_THREADS": "1"}
    with open(Path(folder) / "head.log", "wb") as log:
        process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_up(process, Path(folder) / "head.log")
        yield RayCluster(f"127.0.0.1:{port}", process)
    finally:
        end_session(process, signal.SIGTERM, 2)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(process: Any, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while "Ray runtime started" not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < end, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)
