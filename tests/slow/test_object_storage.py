"""A home in a bucket, on a real server: what a folder makes, whoever is killed, and clear refusals."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from support import writer
from support.homes import (
    BIN,
    BucketHome,
    end_session,
    fingerprints,
    models,
    not_whole,
    simulated_home,
)

from lt4rec_core.data import objects
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import folders, listed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FIRST, N_DAYS = date(2026, 1, 5), 3
LAST = FIRST + timedelta(days=N_DAYS - 1)
KILLED_AFTER = (30, 60, 25)
"""Objects that a run may add before it is killed: within its first day, and in later ones."""


@pytest.fixture(scope="module", autouse=True)
def in_the_store(store, tmp_path_factory):
    """This process, and those it starts, use the store."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.env.items():
            patch.setenv(name, value)
        patch.setenv("LT4REC_LOCAL", str(tmp_path_factory.mktemp("own")))
        objects.forget()
        yield
    objects.forget()


def bucket_home(folder, address):
    return BucketHome(folder / "working", FIRST, LAST, address=address)


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory):
    home = simulated_home(tmp_path_factory.mktemp("in-folder"), N_DAYS)
    home.lt4rec("backfill", "--from", home.first, "--to", home.last)
    return home


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory):
    """A home in a bucket whose backfill was killed again and again, and what analysts saw of it meanwhile."""
    home = bucket_home(tmp_path_factory.mktemp("in-bucket"), "s3://some-bucket/team/home")
    home.seen, home.n_killed = [], 0
    for n in KILLED_AFTER:
        before = n_objects(home)
        with home.process("backfill", "--from", home.first, "--to", home.last) as run:
            while run.is_running and n_objects(home) < before + n:
                time.sleep(0.05)
            home.n_killed += run.is_running
            run.kill()
        home.seen.append(fingerprints(home))
    with home.process("backfill", "--from", home.first, "--to", home.last) as run:
        while run.is_running:
            home.seen.append(fingerprints(home))
            time.sleep(2)
        assert run.process.returncode == 0, run.printed()[-4000:]
    return home


def n_objects(home):
    return sum(1 for _ in objects.below(home.place.bucket, home.place.key))


def test_a_backfill_in_a_bucket_killed_again_and_again_makes_what_an_undisturbed_one_makes_in_a_folder(
    in_folder, in_bucket
):
    assert in_bucket.n_killed == len(KILLED_AFTER), "a run ended before it could be killed"
    assert fingerprints(in_bucket) == fingerprints(in_folder)
    assert models(in_bucket) == models(in_folder)


def test_an_analyst_sees_whole_days_only_whoever_writes_or_dies_meanwhile(in_bucket):
    final = fingerprints(in_bucket)

    assert len(in_bucket.seen) > len(KILLED_AFTER)
    assert [fault for seen in in_bucket.seen for fault in not_whole(seen, final)] == []


def test_only_dagsters_records_are_on_the_machine(in_bucket):
    assert sorted(p.name for p in in_bucket.path.iterdir()) == ["dagster", "home.txt", "locks", "staging"]
    assert not list(in_bucket.path.joinpath("staging").iterdir())
    assert {p.name for p in folders(in_bucket.place)} == {"lake", "models", "reports"}
    pages = [p.name for p in listed(in_bucket.place / "reports", "samples.impressions.*")]
    assert pages == [f"samples.impressions.{day}.html" for day in in_bucket.days]


def test_the_command_line_asks_and_reports_from_a_bucket(in_bucket, tmp_path):
    n_rows = sum(n for (table, _), (n, _) in fingerprints(in_bucket).items() if table == "samples.clicks")

    printed = in_bucket.lt4rec("sql", "select count(*) as n from samples.clicks", "--format", "csv")
    assert printed.split() == ["n", str(n_rows)]
    assert in_bucket.lt4rec("versions", "samples.clicks").count("\n") >= 1 + N_DAYS

    page = tmp_path / "page.html"
    printed = in_bucket.lt4rec("report", "--out", str(page))
    assert "serving/ranker" not in printed, f"a ranker that is there is named as missing: {printed}"
    assert str(LAST) in page.read_text(encoding="utf-8")


def test_eight_processes_publish_different_days_into_a_bucket_and_two_the_same(store, tmp_path):
    home = "s3://some-bucket/eight"
    writer.declarations(tmp_path / "sql")
    numbers = [*range(8), 0]  # the last one writes the first one's days as well
    with ExitStack() as stack:
        running = [stack.enter_context(_writer(home, n, 3, tmp_path)) for n in numbers]
        assert [process.wait(120) for process in running] == [0] * len(numbers)

    with connect(home) as con:
        for table in writer.TABLES:
            found = query(
                con, f"select dt, writer, min(round), max(round), count(*) from {table} group by all"
            )
            assert sorted(found.fetchall()) == [
                (day, n, 2, 2, writer.n_rows(n, 2)) for n in range(8) for day in writer.days_of(n)
            ]
            assert Lake(home).version(table) == len(numbers) * writer.DAYS_PER_WRITER * 3, "a commit was lost"
        history = query(
            con, f"select writer, round, count(*) from {writer.HISTORY} group by all order by all"
        )
        assert history.fetchall() == [(n, r, 1 + (n == 0)) for n in range(8) for r in range(3)]


@contextmanager
def _writer(home, number, rounds, folder):
    command = [sys.executable, writer.__file__, home, str(number), str(rounds)]
    env = {**os.environ, "LT4REC_LOCAL": str(folder / "working")}
    process = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        yield process
    finally:
        end_session(process)


@pytest.mark.parametrize(
    ("address", "env", "said"),
    [
        ("s3://forgetful-store/home", {}, "has no conditional writes"),
        ("s3://missing-store/home", {}, "there is no bucket for"),
        ("s3://some-bucket/x", {"AWS_ACCESS_KEY_ID": "nobody"}, "refuses these credentials"),
        ("s3://some-bucket/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached at"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line_and_nothing_is_created(
    tmp_path, address, env, said
):
    settings = {"LT4REC_HOME": address, "LT4REC_LOCAL": str(tmp_path / "working"), "LT4REC_START": str(FIRST)}
    done = subprocess.run(
        [str(BIN / "lt4rec"), "backfill", "--from", str(FIRST), "--to", str(FIRST)],
        env={**os.environ, **settings, **env}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode != 0
    told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert len(told) == 1, told
    assert said in told[0]
    if address.startswith("s3://forgetful"):
        assert not list(objects.below("forgetful-store", "home"))
    assert not (tmp_path / "working").exists()


def test_what_a_bucket_costs_is_measured():
    command = [sys.executable, "-m", "benchmarks.bucket", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr[-4000:]
    figures = {figure["name"]: figure["values"][0] for figure in json.loads(done.stdout)}
    asked = {kind: figures[f"warm day, 300 impressions: {kind}"] for kind in ("GET", "HEAD", "LIST", "PUT")}
    assert 0 < sum(asked.values()) < 1000, f"a day asks the store far more often than it did: {asked}"
