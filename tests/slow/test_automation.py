"""Declarative automation in the real server and daemon: a day runs by itself, and waits for its gate."""

from pathlib import Path

import pytest
from support.homes import Home, fingerprints
from support.kuairand import DAYS, ROWS_PER_DAY, write_day, write_entities
from support.server import Server

pytestmark = pytest.mark.slow

FIRST, SECOND, TODAY = DAYS[:3]
SOURCE = ["source/users", "source/videos", "source/impression_log"]
MATERIALIZED = "MATERIALIZED"


@pytest.fixture(scope="module")
def automatic(tmp_path_factory):
    """A server whose first two days, tickets and models included, were made before; the sensor is on."""
    folder = tmp_path_factory.mktemp("automatic")
    logs = folder / "logs"
    write_entities(logs)
    for day in (FIRST, SECOND):
        write_day(logs, day)
    env = {"LT4REC_SOURCE": "kuairand", "LT4REC_SOURCE_PATH": str(logs)}
    home = Home(folder / "home", FIRST, TODAY, env)
    home.lt4rec("backfill", "--from", str(FIRST), "--to", str(SECOND))
    with Server(home) as server:
        server.switch_on("declarative_automation")
        yield server


def test_a_day_runs_by_itself_up_to_a_gate_that_refuses_and_on_once_its_log_is_repaired(automatic):
    server, logs = automatic, Path(automatic.home.env["LT4REC_SOURCE_PATH"])
    daily = [asset["key"] for asset in server.assets() if asset["is_daily"]]
    write_day(logs, TODAY, bad=True)

    # A home with a last day reads its logs when somebody asks; all else is the sensor's doing.
    delivered = server.backfill(SOURCE, [TODAY])
    assert server.end_of(delivered, seconds=120) == "COMPLETED_SUCCESS", server.failures(delivered)
    server.wait("the gate to refuse the day", lambda: status(server, "samples/impressions") == "FAILED", 300)

    beyond = [asset for asset in daily if asset not in (*SOURCE, "samples/screened_impressions")]
    green = [asset for asset in beyond if status(server, asset) == MATERIALIZED]
    assert not green, f"beyond the gate, but green: {green}"
    published = {table for table, day in fingerprints(server.home) if day == TODAY}
    assert published <= {*(key.replace("/", ".") for key in SOURCE), "samples.screened_impressions"}

    # An update that comes within the tick in which its reader was made counts as read (docs/OPERATIONS.md).
    server.wait_for_a_tick("declarative_automation")
    write_day(logs, TODAY)
    repaired = server.backfill(SOURCE, [TODAY])
    assert server.end_of(repaired, seconds=120) == "COMPLETED_SUCCESS", server.failures(repaired)

    def all_green():
        days = server.days(daily)
        return all(days[asset].get(str(TODAY)) == MATERIALIZED for asset in daily)

    server.wait("the whole day to be made by itself", all_green, 420)
    rows = fingerprints(server.home, ["samples.screened_impressions", "training.samples"])
    assert rows["samples.screened_impressions", TODAY][0] == ROWS_PER_DAY
    assert rows["training.samples", TODAY][0] > 0


def status(server, asset):
    return server.days([asset])[asset].get(str(TODAY))
