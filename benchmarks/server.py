"""``lt4rec ui`` over a home, asked over GraphQL as its pages do, and what each of its processes cost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

EVERY_S = 0.1
"""Between two looks at the processes: what one does after the last look at it is missed."""

TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """CPU seconds of a session's processes, each by itself; needs Linux's /proc."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.cpu: dict[tuple[int, int], float] = {}
        """By process id and start time."""

        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def members(self) -> dict[tuple[int, int], float]:
        """User and system seconds of the processes there are now, without those of their children."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it has just ended
                    words = (entry / "stat").read_text().rpartition(")")[2].split()
                    if (
                        int(words[3]) == self.session and words[0] != "Z"
                    ):  # Z: ended, and waits for its parent
                        ticks = int(words[11]) + int(words[12])
                        found[int(entry.name), int(words[19])] = ticks / TICKS
        return found

    def look(self) -> dict[tuple[int, int], float]:
        """Book what was used so far."""
        self.cpu |= self.members()
        return dict(self.cpu)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.look()

    def end(self) -> None:
        """Stop looking, and end what is left of the session."""
        self._ended.set()
        self._thread.join()
        for number in (signal.SIGINT, signal.SIGKILL):
            until = time.monotonic() + 20
            while self.members() and time.monotonic() < until:
                for pid, _ in self.members():
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.5)


class Server:
    """A running web server with its daemon and code server."""

    def __init__(self, port: int, processes: Processes) -> None:
        self.port, self.processes = port, processes

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """The answer to one GraphQL request; RuntimeError where the server answers with an error."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        if "errors" in answer:
            raise RuntimeError(f"GraphQL: {answer['errors']}")
        return answer["data"]

    def wait(self, text: str, seconds: float = 900, **variables: Any) -> Iterator[dict[str, Any]]:
        """Answers to a request, one a second, until nobody wants the next."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(OSError):
                yield self.ask(text, **variables)
            time.sleep(1)
        raise RuntimeError(f"the server gave no such answer within {seconds:.0f} s")

    def backfill(self, assets: list[str], days: list[str]) -> int:
        """Launch a backfill as the UI does, wait until all of it is green, and count its runs."""
        answer = self.ask(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }""",
            params={"assetSelection": [{"path": a.split("/")} for a in assets], "partitionNames": days},
        )["launchPartitionBackfill"]
        ended = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
            ... on PartitionBackfill { status endTimestamp } } }"""
        for found in self.wait(ended, id=answer["backfillId"]):
            if found["partitionBackfillOrError"]["endTimestamp"]:
                break
        runs = self.ask(
            """query($tags: [ExecutionTag!]!) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
                status eventConnection(limit: 1000) { events { ... on ExecutionStepFailureEvent {
                    stepKey error { message } failureMetadata { description } } } } } } } }""",
            tags=[{"key": "dagster/backfill", "value": answer["backfillId"]}],
        )["runsOrError"]["results"]
        events = [event for run in runs for event in run["eventConnection"]["events"] if event]
        if failed := [run["status"] for run in runs if run["status"] != "SUCCESS"]:
            raise RuntimeError(f"of the day's runs some are {failed}: {[e for e in events if e]}")
        return len(runs)

    def daily_assets(self) -> list[str]:
        """Every asset that has days, once the code server has loaded the graph."""
        text = "{ assetNodes { assetKey { path } partitionDefinition { type } } }"
        for found in self.wait(text):
            daily = [
                "/".join(node["assetKey"]["path"])
                for node in found["assetNodes"]
                if (node["partitionDefinition"] or {}).get("type") == "TIME_WINDOW"
            ]
            if daily:
                return daily
        raise AssertionError


@contextmanager
def serving(home: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Start ``lt4rec ui`` on a free port in a session of its own; all of it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(home / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lt4rec_assets.cli", "ui", "--port", str(port)],
            env=dict(environment),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    processes = Processes(process.pid)
    try:
        yield Server(port, processes)
    finally:
        processes.end()
        process.wait(30)
