"""What Dagster calls stale after days were made again: exactly what read rows that changed."""

from contextlib import contextmanager
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from lt4rec_core.data import raw
from tests.assets.conftest import Home, make_settings

START, REPAIRED, END = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
SNET = dg.AssetKey(["models", "snet"])


def cells_of(home):
    graph = home.definitions.resolve_asset_graph()
    for key in graph.toposorted_asset_keys:
        if key.path[0] in ("experiments", "report") or not graph.get(key).is_executable:
            continue  # made when somebody asks for them, or, as views, never
        partitions = graph.get(key).partitions_def
        for partition in partitions.get_partition_keys() if partitions else [None]:
            yield key, partition


def stale_cells(home):
    graph = home.definitions.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        status = {cell: resolver.get_status(*cell) for cell in cells_of(home)}
    assert StaleStatus.MISSING not in status.values()
    return {cell for cell, found in status.items() if found == StaleStatus.STALE}


def children_of(home, cells):
    graph = home.definitions.resolve_asset_graph()
    parents = {cell: graph.get_parents_partitions(*cell).parent_partitions for cell in cells_of(home)}
    return {
        child for child, found in parents.items() if {(p.asset_key, p.partition_key) for p in found} & cells
    }


def make(home, cells):
    days = {}
    for key, partition in cells:
        day = date.fromisoformat(partition) if partition and partition[:2] == "20" else END
        days.setdefault(day, set()).add("key:" + key.to_user_string())
    for day, names in sorted(days.items()):
        assert home.backfill(day, day, select=" or ".join(sorted(names))).ok


def versions(home):
    with dg.DagsterInstance.get() as instance:
        records = {
            cell: instance.get_latest_data_version_record(cell[0], partition_key=cell[1])
            for cell in cells_of(home)
        }
    return {cell: record.event_log_entry.tags["dagster/data_version"] for cell, record in records.items()}


@contextmanager
def three_days(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        home = Home(make_settings(folder, LT4REC_END=END.isoformat()))
        assert home.backfill(last=END).ok
        yield home


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with three_days(tmp_path_factory.mktemp("home")) as home:
        yield home


def lose_rows(monkeypatch):
    """From here on the log of a day lacks some rows."""
    whole = raw.generate
    monkeypatch.setattr(
        raw,
        "generate",
        lambda source, day: {
            name: table.slice(7) if (name, day) == ("impressions", REPAIRED) else table
            for name, table in whole(source, day).items()
        },
    )


def test_the_same_rows_again_leave_everything_fresh(home):
    assert not stale_cells(home)
    before = versions(home)

    assert home.backfill(REPAIRED, REPAIRED).ok  # the whole day once more, its models too

    assert versions(home) == before
    assert not stale_cells(home)


def test_a_repaired_day_marks_exactly_what_read_it_as_stale_and_taking_it_back_nothing(home, monkeypatch):
    log = (dg.AssetKey(["source", "impression_log"]), REPAIRED.isoformat())
    with monkeypatch.context() as patch:
        lose_rows(patch)
        make(home, {log})
        assert stale_cells(home) == children_of(home, {log})

    make(home, {log})
    assert not stale_cells(home)


def test_days_of_one_run_are_fresh_and_stay_so_when_the_run_is_made_again(home):
    def train_all():
        job = home.definitions.resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.get() as instance:
            done = job.execute_in_process(
                instance=instance,
                asset_selection=[SNET],
                tags={
                    "dagster/asset_partition_range_start": START.isoformat(),
                    "dagster/asset_partition_range_end": END.isoformat(),
                },
            )
            assert done.success

    days = {(SNET, (START + timedelta(days=i)).isoformat()) for i in range(3)}
    alone = versions(home)
    train_all()
    together = versions(home)
    assert len({together[cell] for cell in days}) == 1
    assert not stale_cells(home) & days
    assert stale_cells(home) <= children_of(home, days)

    train_all()
    assert versions(home) == together

    # Another model is another version: that of the run covers the rows of all its days.
    assert alone != together


def test_a_model_says_what_it_continues_and_what_it_was_made_from(filled):
    with dg.DagsterInstance.from_config(str(filled.project.settings.home / "dagster")) as instance:
        records = instance.fetch_materializations(SNET, limit=50).records
        newest = {}
        for record in records:
            newest.setdefault(record.partition_key, record.asset_materialization)
    last, before = (newest[day].metadata for day in ("2026-01-09", "2026-01-08"))

    assert last["parent_digest"].value == before["model_digest"].value
    assert last["read_delta_versions"].value["training.samples"] > 0
    assert set(last["ticket_digests"].value) == {"ctr", "cvr"}
    assert newest["2026-01-09"].tags["dagster/data_version"] == last["model_digest"].value
