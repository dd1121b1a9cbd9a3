"""The services of compose.yaml without containers: its very commands, on free ports of 127.0.0.1."""

import signal
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from support.homes import BIN, Home, Started, end_session, new_log
from support.postgres import free_port
from support.server import REPOSITORY, Server

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVERS = ("code", "web", "daemon")


class Deployed(Server):
    """Code location, web server and daemon, each a process of its own as it would be a container of its own.

    Args:
        home: its environment names the PostgreSQL server.
    """

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.code_port = free_port()
        self._running: dict[str, Started] = {}

    def __enter__(self) -> "Deployed":
        try:
            for service in SERVERS:
                self._start(service)
                if service == "code":
                    self.wait("the code location", lambda: self.is_healthy("code"), seconds=60)
            self.wait("the server to load the graph", self._loaded, seconds=90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for service in ("daemon", "web", "code"):
            if service in self._running:
                end_session(self._running[service].process, signal.SIGTERM)  # as an engine stops containers

    def _start(self, service: str) -> None:
        log = new_log(self.home)
        with open(log, "wb") as output:
            process = subprocess.Popen(
                self.here(COMPOSE["services"][service]["command"]),
                env=self.environment(),
                cwd=self.home.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[service] = self._started = Started(process, log)

    def here(self, command: list[str]) -> list[str]:
        """A command of compose.yaml with this machine's programs, paths, addresses and ports."""
        program, *rest = command
        words = {"0.0.0.0": "127.0.0.1", "4000": str(self.code_port), "3000": str(self.port)}
        rest = [words.get(word, word).replace("/opt/lt4rec", str(ROOT)) for word in rest]
        return [str(BIN / program), *(word.replace(":3000/", f":{self.port}/") for word in rest)]

    def environment(self) -> dict[str, str]:
        """What compose.yaml gives every service, for this home."""
        return {
            **self.home.environment(),
            "DAGSTER_HOME": str(self.home.path / "dagster"),
            "DAGSTER_CODE_HOST": "127.0.0.1",
            "DAGSTER_CODE_PORT": str(self.code_port),
        }

    def launch(self, assets: list[str], day: date) -> str:
        """Launch one run of a day as the launchpad does, and return its id."""
        answer = self.ask(
            """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }""",
            params={
                "selector": {
                    **REPOSITORY,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": asset.split("/")} for asset in assets],
                },
                "mode": "default",
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": str(day)}]},
            },
        )["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", f"the launch was refused: {answer}"
        return answer["run"]["runId"]

    def is_healthy(self, service: str) -> bool:
        """What the health check of a service says."""
        mark, *command = COMPOSE["services"][service]["healthcheck"]["test"]
        assert mark == "CMD"
        done = subprocess.run(
            self.here(command), env=self.environment(), cwd=self.home.path, capture_output=True, timeout=60
        )
        return done.returncode == 0

    def log(self) -> str:
        return "\n".join(f"-- {name}:\n{run.printed()[-3000:]}" for name, run in self._running.items())

    def printed(self) -> str:
        """All that the three have printed."""
        return "".join(run.printed() for run in self._running.values())


def set_most_at_once(home: Home, n: int) -> None:
    """What the owner of a home changes in its dagster.yaml: how many runs go at once."""
    path = home.path / "dagster" / "dagster.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["concurrency"]["runs"]["max_concurrent_runs"] = n
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
