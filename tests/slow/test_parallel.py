"""Many at once: eight publishing processes, four backfills, two of the same day; analysts ask meanwhile."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import writer
from support.homes import Home, Started, fingerprints, models, not_whole, simulated_home

from lt4rec_core.data.analyst import connect, query, refresh
from lt4rec_core.data.lake import Lake

pytestmark = pytest.mark.slow

N_WRITERS, N_ROUNDS = 8, 8
DATA = "group:source or group:samples or key:features/user_daily_stats or key:features/video_daily_stats"
WRITER_OF = {day: n for n in range(N_WRITERS) for day in writer.days_of(n)}


def test_eight_processes_publish_different_days_and_tables_while_two_analysts_ask(tmp_path):
    home = tmp_path / "home"
    writer.declarations(tmp_path / "sql")
    with ExitStack() as stack:
        # All start on an empty folder, so that they race for making the tables as well.
        running = [stack.enter_context(_writer(home, n, tmp_path)) for n in range(N_WRITERS)]
        while not any(home.glob(f"lake/*/*/_delta_log/{1:020}.json")):
            assert any(process.poll() is None for process, _ in running), _said(running)
            time.sleep(0.05)
        asked = _ask_while(home, lambda: any(p.poll() is None for p, _ in running), _rounds)
        assert [p.wait() for p, _ in running] == [0] * N_WRITERS, _said(running)

    for answers in asked:
        assert len(answers) > 5, f"an analyst got {len(answers)} answers only"
        for before, after in pairwise(answers):
            back = {
                cell: (before[cell], after.get(cell)) for cell in before if after.get(cell, -1) < before[cell]
            }
            assert not back, f"days that were missing later, or older: {back}"
    with connect(home) as con:
        last = {(table, day): N_ROUNDS - 1 for table in writer.TABLES for day in WRITER_OF}
        assert _rounds(con) == last
        history = query(con, f"select writer, round from {writer.HISTORY} order by all").fetchall()
    assert history == [(n, round_) for n in range(N_WRITERS) for round_ in range(N_ROUNDS)]
    for table in writer.TABLES:
        assert Lake(home).version(table) == N_WRITERS * writer.DAYS_PER_WRITER * N_ROUNDS, "a commit was lost"
    assert not list((home / "staging").iterdir())


def test_four_backfills_at_once_while_two_analysts_ask_make_what_one_makes(undisturbed, tmp_path):
    final, home = fingerprints(undisturbed), simulated_home(tmp_path, len(undisturbed.days))
    days = home.days[:4]
    made = {(t, d) for t, d in final if d in days and t.partition(".")[0] in ("source", "samples")}
    made |= {(t, d) for t, d in final if d in days and t.endswith("_daily_stats")}
    with ExitStack() as stack:
        runs = [
            stack.enter_context(home.process("backfill", "--from", str(d), "--to", str(d), "--select", DATA))
            for d in days
        ]
        _wait_for_a_day(home, runs)
        asked = _ask_while(home.path, lambda: any(run.is_running for run in runs), _fingerprints)
        printed = "\n".join(run.printed()[-2000:] for run in runs)
        assert [run.process.wait() for run in runs] == [0] * len(runs), printed

    for answers in asked:
        torn = [fault for answer in answers for fault in not_whole(answer, final)]
        assert not torn, f"days that were seen, but not whole: {torn}"
        went = [set(before) - set(after) for before, after in pairwise(answers)]
        assert not any(went), f"days that were missing later: {went}"
    assert fingerprints(home) == {cell: final[cell] for cell in made}, printed
    with connect(home.path) as con:
        (audits,) = query(
            con,
            "select count(distinct run_id) from quality.check_history where asset = 'samples/impressions'",
        ).fetchall()
    assert audits == (4,), "each run's audit is kept"


def test_two_backfills_of_the_same_day_at_once_both_end_and_the_day_is_whole(undisturbed, tmp_path):
    """The first day of all: its tables, records and home are made by both at the same time."""
    home, final = simulated_home(tmp_path, len(undisturbed.days)), fingerprints(undisturbed)
    window = home.days[:2]
    with ExitStack() as stack:
        arguments = ("backfill", "--from", str(window[0]), "--to", str(window[1]))
        runs = [stack.enter_context(home.process(*arguments)) for _ in range(2)]
        codes = [run.process.wait(400) for run in runs]
        printed = "\n".join(run.printed()[-3000:] for run in runs)

    assert codes == [0, 0], printed
    assert fingerprints(home) == {(t, d): rows for (t, d), rows in final.items() if d in window}, printed
    expected = {f: digest for f, digest in models(undisturbed).items() if not _is_later(f, window[-1])}
    assert models(home) == expected, printed
    assert not list(home.lake.staging.iterdir())


def _is_later(folder: str, day: date) -> bool:
    """Whether a model's folder, ``kind/chain/day``, is of a later day; a ticket's is of none."""
    return not folder.startswith("ticket/") and date.fromisoformat(Path(folder).name) > day


# writing


@contextmanager
def _writer(home: Path, number: int, folder: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    log = folder / f"writer-{number}.log"
    with open(log, "wb") as output:
        command = [sys.executable, writer.__file__, str(home), str(number), str(N_ROUNDS)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def _said(running: list[tuple[subprocess.Popen, Path]]) -> str:
    return "\n".join(f"{log.name} ({process.poll()}): {log.read_text()[-1500:]}" for process, log in running)


def _wait_for_a_day(home: Home, runs: list[Started]) -> None:
    while not any(home.path.glob(f"lake/samples/*/_delta_log/{1:020}.json")):
        assert any(run.is_running for run in runs), "\n".join(run.printed()[-2000:] for run in runs)
        time.sleep(0.05)


# asking


def _ask_while(home: Path, is_going_on: Callable[[], bool], ask: Callable[[Any], dict]) -> list[list[dict]]:
    """Two analysts' connections ask and refresh in a loop: the answers of each; errors are raised."""
    answers: list[list[dict]] = [[], []]
    errors: list[BaseException] = []

    def loop(mine: list[dict]) -> None:
        try:
            with connect(home) as con:
                while is_going_on() and not errors:
                    mine.append(ask(con))
                    time.sleep(0.1)  # the writers want a core too
                    refresh(con, home)
        except BaseException as error:  # an assertion of the loop fails the test, not its thread
            errors.append(error)

    threads = [threading.Thread(target=loop, args=[mine]) for mine in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers


def _rounds(con: Any) -> dict[tuple[str, date], int]:
    """The round each day of each table is of; a day of several, or without some row, is an error."""
    found = {}
    for table in writer.TABLES:
        text = f"""
            select dt, min(writer), max(writer), min(round), max(round), count(*), count(distinct row)
            from {table} group by dt
        """
        for day, *mixed, newest, n, n_distinct in query(con, text).fetchall():
            n_whole = writer.n_rows(WRITER_OF[day], newest)
            assert mixed == [WRITER_OF[day], WRITER_OF[day], newest], f"{table} of {day} is mixed"
            assert (n, n_distinct) == (n_whole, n_whole), f"{table} of {day} has {n} rows, not {n_whole}"
            found[table, day] = newest
    return found


def _fingerprints(con: Any) -> dict[tuple[str, date], tuple[int, int]]:
    """As ``homes.fingerprints``, of one connection: all tables as they were when it was refreshed."""
    views = {f"{path.parent.name}.{path.stem}" for path in (SQL / "views").rglob("*.sql")}
    names = {f"{schema}.{name}" for schema, name in query(con, TABLES).fetchall()} - views
    found = {}
    for table in sorted(names):
        text = f"select dt, count(*), sum(hash(t)::hugeint) from {table} as t group by dt"
        found |= {(table, day): (n, digest) for day, n, digest in query(con, text).fetchall()}
    return found


SQL = Path(__file__).parents[2] / "sql"
TABLES = """
select schema_name, view_name from duckdb_views()
where schema_name in ('source', 'samples') and not internal
"""
