"""``lt4rec ui`` in a session of its own, spoken to as its web pages do: over GraphQL."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from support.homes import Home, Started, end_session

REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "lt4rec"}


class Server:
    """Web server, daemon and code server over one home; all end when the ``with`` block does."""

    def __init__(self, home: Home) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._context: Any = None
        self._started: Started

    def __enter__(self) -> "Server":
        self._context = self.home.process("ui", "--port", str(self.port))
        self._started = self._context.__enter__()
        try:
            self.wait("the server to load the graph", self._loaded, seconds=120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # An interrupt lets the daemon end its runs; the context then ends by force what is left.
        try:
            end_session(self._started.process, signal.SIGINT)
        finally:
            self._context.__exit__(None, None, None)

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL request; an error of the server is an error of the test."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"GraphQL: {error.code} {error.read().decode()[:2000]}") from error
        assert "errors" not in answer, f"GraphQL: {json.dumps(answer['errors'])[:2000]}"
        return answer["data"]

    def wait(self, what: str, done: Callable[[], Any], seconds: float) -> Any:
        """Ask again until ``done`` says something true, and say what the server printed if it never does."""
        end = time.monotonic() + seconds
        last = ""
        while time.monotonic() < end:
            # Not is_running, whose patience is with one command: this server lives as long as the tests.
            is_alive = self._started.process.poll() is None
            assert is_alive, f"the server ended while waiting for {what}:\n{self.log()}"
            try:
                if answer := done():
                    return answer
            except (OSError, AssertionError) as error:
                last = str(error)
            time.sleep(1)
        raise AssertionError(f"waited {seconds:.0f} s for {what}. {last}\nThe server printed:\n{self.log()}")

    def log(self) -> str:
        return self._started.printed()[-6000:]

    def _loaded(self) -> bool:
        return bool(self.assets())

    # what there is

    def assets(self) -> list[dict[str, Any]]:
        """Every asset: path, group, description, names of its checks, whether it is partitioned by day."""
        nodes = self.ask(
            """{ assetNodes {
                assetKey { path } groupName description isPartitioned
                partitionDefinition { type }
                assetChecksOrError { ... on AssetChecks { checks { name } } }
            } }"""
        )["assetNodes"]
        return [
            {
                "key": "/".join(node["assetKey"]["path"]),
                "group": node["groupName"],
                "description": node["description"],
                "is_daily": (node["partitionDefinition"] or {}).get("type") == "TIME_WINDOW",
                "checks": [c["name"] for c in node["assetChecksOrError"].get("checks", [])],
            }
            for node in nodes
        ]

    def days(self, assets: Iterable[str]) -> dict[str, dict[str, str]]:
        """Per daily asset and day what the UI shows: MATERIALIZED or FAILED; else it is absent."""
        nodes = self.ask(
            """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
                assetKey { path }
                assetPartitionStatuses { ... on TimePartitionStatuses { ranges { status startKey endKey } } }
            } }""",
            keys=[{"path": asset.split("/")} for asset in assets],
        )["assetNodes"]
        return {
            "/".join(node["assetKey"]["path"]): {
                day: each["status"]
                for each in node["assetPartitionStatuses"]["ranges"]
                for day in _between(each["startKey"], each["endKey"])
            }
            for node in nodes
        }

    def checks(self, asset: str, names: Iterable[str], day: date) -> dict[str, dict[str, Any]]:
        """How each named check went on a day, the last time."""
        found = {}
        for name in names:
            executions = self.ask(
                """query($key: AssetKeyInput!, $name: String!, $day: String) {
                    assetCheckExecutions(assetKey: $key, checkName: $name, partition: $day, limit: 1) {
                        status partition evaluation { success severity description metadataEntries { label } }
                    }
                }""",
                key={"path": asset.split("/")},
                name=name,
                day=str(day),
            )["assetCheckExecutions"]
            found |= {name: executions[0]} if executions else {}
        return found

    # what can be done

    def switch_on(self, sensor: str) -> None:
        """Press the switch of a sensor, under Automation."""
        answer = self.ask(
            """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
                __typename ... on Sensor { sensorState { status } } ... on Error { message } } }""",
            sensor={**REPOSITORY, "sensorName": sensor},
        )["startSensor"]
        assert answer.get("sensorState") == {"status": "RUNNING"}, f"it stays off: {answer}"

    def wait_for_a_tick(self, sensor: str) -> None:
        """Wait until a running sensor has looked once more, from beginning to end."""
        now = time.time()

        def looked() -> bool:
            ticks = self.ask(
                """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) {
                    ... on Sensor { sensorState { ticks(limit: 1) { timestamp endTimestamp } } } } }""",
                sensor={**REPOSITORY, "sensorName": sensor},
            )["sensorOrError"]["sensorState"]["ticks"]
            return any(tick["timestamp"] > now and tick["endTimestamp"] for tick in ticks)

        self.wait(f"the sensor {sensor} to look", looked, seconds=180)

    def backfill(self, assets: Iterable[str], days: Iterable[date]) -> str:
        """Launch a backfill as the partitions page does, and return its id."""
        answer = self.ask(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }""",
            params={
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "partitionNames": [str(day) for day in days],
            },
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", f"the launch was refused: {answer}"
        return answer["backfillId"]

    def reexecute_from_failure(self, backfill: str) -> str:
        """Press the backfill page's button of that name."""
        answer = self.ask(
            """mutation($params: ReexecutionParams!) {
                reexecutePartitionBackfill(reexecutionParams: $params) {
                    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }""",
            params={"parentRunId": backfill, "strategy": "FROM_FAILURE"},
        )["reexecutePartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", f"the re-execution was refused: {answer}"
        return answer["backfillId"]

    def end_of(self, backfill: str, seconds: float) -> str:
        """Wait until a backfill is over, and return its status."""

        def ended() -> str | None:
            found = self.ask(
                "query($id: String!) { partitionBackfillOrError(backfillId: $id) { "
                "... on PartitionBackfill { status endTimestamp } } }",
                id=backfill,
            )["partitionBackfillOrError"]
            return found["status"] if found["endTimestamp"] else None

        return self.wait(f"backfill {backfill} to end", ended, seconds)

    def failures(self, backfill: str) -> dict[str, str]:
        """Per failed step of a backfill's runs what its failure said."""
        runs = self.ask(
            """query($tags: [ExecutionTag!]!) { runsOrError(filter: {tags: $tags, statuses: [FAILURE]}) {
                ... on Runs { results { tags { key value } eventConnection(limit: 1000) { events {
                    ... on ExecutionStepFailureEvent { stepKey error { message }
                        failureMetadata { description } } } } } } } }""",
            tags=[{"key": "dagster/backfill", "value": backfill}],
        )["runsOrError"]["results"]
        return {
            f"{event['stepKey']}[{_tag(run, 'dagster/partition')}]": (event["failureMetadata"] or {}).get(
                "description"
            )
            or event["error"]["message"]
            for run in runs
            for event in run["eventConnection"]["events"]
            if event.get("stepKey")
        }


def _tag(run: Mapping[str, Any], name: str) -> str | None:
    return next((tag["value"] for tag in run["tags"] if tag["key"] == name), None)


def _between(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(days=i)) for i in range((end - start).days + 1)]
