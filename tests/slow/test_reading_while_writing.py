"""Analysts ask while a backfill writes: every answer comes, and every day in it is whole."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.homes import BIN, Home, Started, end_session, fingerprints, not_whole, simulated_home

pytestmark = pytest.mark.slow

READ = ["samples.impressions", "samples.conversions", "features.user_features", "training.samples"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return simulated_home(tmp_path_factory.mktemp("read"), n_days=3)


def test_readers_get_whole_days_while_a_first_backfill_writes_them(home):
    with home.process("backfill", "--from", home.first, "--to", home.last) as run:
        _wait_for_tables(home, run)
        seen, n_asked = _read_until_it_ends(home, run)
        assert run.process.wait() == 0, run.printed()[-4000:]
    final = fingerprints(home, READ)
    torn = [fault for state in seen for fault in not_whole(state, final)]
    assert not torn, f"days that were seen, but not whole: {torn}"
    assert seen == sorted(seen, key=len), "a day that had been there was missing later"
    assert len({len(state) for state in seen}) > 3, f"the readers saw too little of the writing: {len(seen)}"
    assert n_asked >= 3


def test_readers_keep_seeing_every_day_while_a_second_backfill_replaces_them(home):
    before = fingerprints(home, READ)
    assert len(before) == len(READ) * len(home.days), "the first backfill has not made its days"
    select = ("--select", "group:samples or group:features or group:training")
    with home.process("backfill", "--from", home.first, "--to", home.last, *select) as run:
        seen, n_asked = _read_until_it_ends(home, run)
        assert run.process.wait() == 0, run.printed()[-4000:]
    wrong = [state for state in seen if state != before]
    assert not wrong, f"{len(wrong)} of {len(seen)} reads saw other rows than before and after: {wrong[0]}"
    assert n_asked >= 3


def _wait_for_tables(home: Home, run: Started) -> None:
    """All tables are made before the first row is written."""
    staging = home.path / "staging"
    while run.is_running and not (staging.is_dir() and any(staging.iterdir())):
        time.sleep(0.01)


def _read_until_it_ends(home: Home, run: Started) -> tuple[list[dict], int]:
    """Query here over and over, and on the command line beside it: what was read, how often asked there."""
    seen, n_asked = [], 0
    while run.is_running:
        asked_at = time.monotonic()
        with _asking(home) as (asking, answer):
            while asking.poll() is None:
                assert time.monotonic() - asked_at < 120, f"lt4rec sql hangs: {answer.read_text()[-2000:]}"
                seen.append(fingerprints(home, READ))
                time.sleep(0.05)  # the writer wants a core too
        said = answer.read_text()
        assert asking.returncode == 0, f"lt4rec sql ended with {asking.returncode}: {said[-2000:]}"
        assert "is_after_ticket_window" in said, f"lt4rec sql answered {said[:500]!r}"
        n_asked += 1
        time.sleep(1)
    return seen, n_asked


@contextmanager
def _asking(home: Home) -> Iterator[tuple[subprocess.Popen, Path]]:
    """``lt4rec sql`` at work, and the file that takes its answer: a pipe that nobody reads fills up."""
    answer = home.path.parent / "answer.txt"
    with open(answer, "wb") as output:
        asking = subprocess.Popen(
            [str(BIN / "lt4rec"), "sql", "from evaluation.daily_metrics"],
            env=home.environment(),
            cwd=home.path.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield asking, answer
    finally:
        end_session(asking)
