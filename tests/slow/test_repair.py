"""A repaired day followed through the whole graph: what is stale is made again until nothing is."""

import dagster as dg
import pytest

from tests.assets.test_staleness import (
    REPAIRED,
    children_of,
    lose_rows,
    make,
    stale_cells,
    three_days,
    versions,
)

pytestmark = pytest.mark.slow


def first_of(home, cells):
    """Those of them that no other of them leads to."""
    below, reached = children_of(home, cells), set()
    while below - reached:
        reached |= below
        below = children_of(home, reached)
    return cells - reached


def test_a_change_goes_as_far_as_rows_change_and_no_further(tmp_path, monkeypatch):
    log = (dg.AssetKey(["source", "impression_log"]), REPAIRED.isoformat())
    with three_days(tmp_path) as home:
        before, changed = versions(home), {log}
        lose_rows(monkeypatch)
        make(home, {log})

        while stale := stale_cells(home):
            assert stale <= children_of(home, changed)
            make(home, first_of(home, stale))
            after = versions(home)
            changed |= {cell for cell in stale if after[cell] != before[cell]}

    names = {(key.to_user_string(), partition) for key, partition in changed}
    assert {("training/samples", "2026-01-06"), ("features/user_features", "2026-01-07")} <= names
    assert {("models/snet", "2026-01-07"), ("evaluation/daily_metrics", "2026-01-07")} <= names
    assert not [name for name, day in names if day == "2026-01-05" and name.startswith("samples")]
