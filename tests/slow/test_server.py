"""The real web server and daemon, spoken to as the UI does: a bad day amid a backfill, and its repair."""

from pathlib import Path

import pytest
from support.homes import fingerprints
from support.kuairand import DAYS, ROWS_PER_DAY, write_day

pytestmark = pytest.mark.slow

GROUPS = {"source", "samples", "features", "training", "tickets", "models", "evaluation"}
BEFORE, BAD, AFTER = DAYS[2:5]
STANDS_ALONE = (
    "source/users",
    "source/videos",
    "source/impression_log",
    "samples/screened_impressions",
)
"""What does not depend on the gate of the same day."""

OF_ITS_OWN_DAY = (
    *STANDS_ALONE,
    "samples/impressions",
    "samples/clicks",
    "samples/conversions",
    "features/user_daily_stats",
    "features/video_daily_stats",
)
"""What depends on no other day; the rest reads the days before."""

MATERIALIZED = "MATERIALIZED"


def test_the_graph_is_served_with_its_groups_descriptions_and_checks(server):
    assets = {asset["key"]: asset for asset in server.assets()}
    assert {asset["group"] for asset in assets.values()} >= GROUPS
    assert {"samples/impressions", "training/samples", "tickets/ticket", "models/snet"} <= set(assets)
    undescribed = sorted(key for key, asset in assets.items() if not asset["description"])
    assert not undescribed, f"assets without a description: {undescribed}"
    for gated in ("samples/impressions", "training/samples", "evaluation/predictions"):
        assert {"schema", "keys", "volume"} <= set(assets[gated]["checks"]), assets[gated]["checks"]


def test_what_the_command_line_backfilled_is_green_in_the_server(server):
    days = server.days(["samples/impressions", "models/snet", "evaluation/daily_metrics"])
    first_two = {str(day): MATERIALIZED for day in DAYS[:2]}
    assert first_two.items() <= days["samples/impressions"].items()
    assert first_two.items() <= days["models/snet"].items()
    assert days["evaluation/daily_metrics"][str(DAYS[1])] == MATERIALIZED


def test_a_bad_day_stays_alone_and_after_its_repair_a_re_execution_completes_everything(server):
    daily = {asset["key"]: asset for asset in server.assets() if asset["is_daily"]}
    logs = Path(server.home.env["LT4REC_SOURCE_PATH"])
    write_day(logs, BAD, bad=True)

    backfill = server.backfill(daily, [BEFORE, BAD, AFTER])
    ended = server.end_of(backfill, seconds=480)

    failures = server.failures(backfill)
    said = f"{ended}; {failures}"
    assert ended == "COMPLETED_FAILED", said
    days = server.days(daily)
    _assert_green(days, daily, BEFORE, said)
    _assert_green(days, STANDS_ALONE, BAD, said)
    _assert_green(days, OF_ITS_OWN_DAY, AFTER, said)
    for asset in daily:
        if asset not in STANDS_ALONE:
            assert days[asset].get(str(BAD)) != MATERIALIZED, f"{asset} of the bad day is green: {said}"
        if asset not in OF_ITS_OWN_DAY:
            assert days[asset].get(str(AFTER)) != MATERIALIZED, f"{asset} of the day after is green: {said}"
    assert days["samples/impressions"][str(BAD)] == "FAILED", said
    assert any("samples.impressions" in why and "volume" in why for why in failures.values()), said
    published = {table for table, day in fingerprints(server.home) if day == BAD}
    assert published == {name.replace("/", ".") for name in STANDS_ALONE}, published
    _assert_gate_says_why(server, daily["samples/impressions"]["checks"])

    # The source and its screening are green with what was delivered, so a repair starts there.
    write_day(logs, BAD)
    again = server.backfill(["source/impression_log", "samples/screened_impressions"], [BAD])
    assert server.end_of(again, seconds=180) == "COMPLETED_SUCCESS", server.failures(again)
    rest = server.reexecute_from_failure(backfill)
    ended = server.end_of(rest, seconds=480)

    said = f"{ended}; {server.failures(rest)}"
    assert ended == "COMPLETED_SUCCESS", said
    days = server.days(daily)
    for day in (BEFORE, BAD, AFTER):
        _assert_green(days, daily, day, said)
    assert fingerprints(server.home)["samples.impressions", BAD][0] == ROWS_PER_DAY
    checks = server.checks("samples/impressions", daily["samples/impressions"]["checks"], BAD)
    assert {name: each["status"] for name, each in checks.items()}["volume"] == "SUCCEEDED"


def _assert_green(days, assets, day, said):
    not_green = {asset: days[asset].get(str(day), "MISSING") for asset in assets}
    not_green = {asset: status for asset, status in not_green.items() if status != MATERIALIZED}
    assert not not_green, f"{day} should be green, but: {not_green}\n{said}"


def _assert_gate_says_why(server, names):
    """Every named check of the bad day has a result of that day, on failure too."""
    checks = server.checks("samples/impressions", names, BAD)
    assert set(checks) == set(names), f"without a result on the bad day: {set(names) - set(checks)}"
    assert {each["partition"] for each in checks.values()} == {str(BAD)}
    volume = checks["volume"]
    assert volume["status"] == "FAILED", volume
    assert volume["evaluation"]["severity"] == "ERROR", volume
    assert {entry["label"] for entry in volume["evaluation"]["metadataEntries"]} >= {
        "observed",
        "data_quality_page",
    }
    assert checks["keys"]["status"] == "SUCCEEDED", checks["keys"]
