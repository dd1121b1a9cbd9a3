"""``lt4rec race``: the cells of the experiments in one command, recorded in the ordinary Dagster instance.

A row is tuned, then its seeds run, each as a run of its own: what fails takes nothing else along, and what is
finished is not repeated. Several workers are several processes, a row each.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from lt4rec_assets.backfill import QUIET, is_interrupt, reason_of
from lt4rec_assets.defs.experiments import ABLATIONS, COMPARISON, RUN, SCARCITY, TUNED
from lt4rec_assets.defs.online import ONLINE
from lt4rec_assets.graph import build_graph
from lt4rec_assets.home import prepare_home
from lt4rec_assets.outcome import Cell as Partition
from lt4rec_assets.outcome import Outcome, name_of
from lt4rec_assets.project import Project
from lt4rec_assets.settings import Settings
from lt4rec_assets.trials import Cell, ExperimentsConfig, cells_of
from lt4rec_core.config import check
from lt4rec_core.model.variants import SINGLE_TASK, get_variants

RACE_TAG = "lt4rec/race"

Say = Callable[[str], None]


def run_race(
    settings: Settings,
    rows: Sequence[str],
    shares: Sequence[float],
    *,
    say: Say,
    workers: int = 1,
    tables: bool = True,
    ablate: Sequence[str] = (),
    online: bool = False,
) -> Outcome:
    """Tune and run rows, then write the tables over all finished cells.

    Args:
        settings: of the home.
        rows: which; all if empty.
        shares: at which shares of the CVR labels; all of ``[experiments] label_shares`` and 1 if empty.
        say: where progress goes.
        workers: how many processes run rows side by side; rows of single tasks come first, since tickets are
            searched with their settings.
        tables: whether to write the tables at the end.
        ablate: run no cell, but take these rows apart on the validation days.
        online: run no cell, but Table 3: policies in the simulator and on logged days.

    Raises:
        ConfigError: an unknown row or share, or no last day.
    """
    check(workers >= 1, f"--workers must be at least 1, got {workers}.")
    get_variants((*rows, *ablate))
    project = Project.of(settings)
    config = ExperimentsConfig.of(settings)
    config.days(settings)
    known = (1.0, *config.label_shares)
    unknown = [f"{share:g}" for share in shares if share not in known]
    check(not unknown, f"--shares {', '.join(unknown)}: this home has {', '.join(f'{s:g}' for s in known)}.")
    cells = [
        cell
        for cell in cells_of(config)
        if (not rows or cell.variant in rows) and (not shares or cell.share in shares)
    ]
    prepare_home(project)
    with dg.DagsterInstance.get() as instance:
        race = RaceRun(project, instance, say)
        if ablate:
            race.ablations(ablate)
        if online:
            race.online()
        if ablate or online:
            return race.outcome
        if workers == 1:
            race.cells(cells)
        else:
            race.side_by_side(cells, workers)
        if tables:
            race.tables(has_all_labels=not shares or 1.0 in shares)
        return race.outcome


class RaceRun:
    """Runs cells in this process, or hands rows to others."""

    def __init__(self, project: Project, instance: dg.DagsterInstance, say: Say) -> None:
        self._job = build_graph(project).resolve_implicit_global_asset_job_def()
        self._on_cluster = project.settings.ray_address is not None
        self._instance, self._say = instance, say
        self._tags = {RACE_TAG: uuid4().hex[:8]}
        self.outcome = Outcome()

    def cells(self, cells: Sequence[Cell]) -> None:
        """Each row's settings once, then its cells; what is tuned at one share is reused at the next call.

        On a cluster the seeds of a row run side by side: they are one run.
        """
        tuned: set[str] = set()
        done = 0
        for (_, row), seeds in groupby(cells, lambda cell: (cell.share, cell.variant)):
            if row not in tuned:
                tuned.add(row)
                shares = list(dict.fromkeys(cell.share for cell in cells if cell.variant == row))
                self._run(TUNED, row, f"{row}: settings", {"shares": shares})
            group = list(seeds)
            told = {c.key: f"[{n}/{len(cells)}] {c.key}" for n, c in enumerate(group, start=done + 1)}
            done += len(group)
            if (TUNED, row) in self.outcome.failed:
                self.outcome.blocked |= {(RUN, key): name_of((TUNED, row)) for key in told}
            elif self._on_cluster and len(told) > 1:
                self._run_at_once(told)
            else:
                for key, text in told.items():
                    self._run(RUN, key, text)

    def side_by_side(self, cells: Sequence[Cell], workers: int) -> None:
        """The same in several processes, the single-task rows before the others."""
        rows = list(dict.fromkeys(cell.variant for cell in cells))
        shares = ",".join(f"{share:g}" for share in dict.fromkeys(cell.share for cell in cells))
        for group in ([r for r in rows if r in SINGLE_TASK], [r for r in rows if r not in SINGLE_TASK]):
            with ThreadPoolExecutor(workers) as pool:
                ended = list(pool.map(lambda row: self._elsewhere(row, shares), group))
            for row, status in zip(group, ended, strict=True):
                for cell in (c for c in cells if c.variant == row):
                    self._note(cell, status)

    def tables(self, has_all_labels: bool) -> None:
        """What the finished cells say, earlier races included; Table 2 where all labels were raced."""
        for key in (COMPARISON, SCARCITY) if has_all_labels else (SCARCITY,):
            self._run(key, None, key.path[-1])

    def ablations(self, rows: Sequence[str]) -> None:
        """Rows with one thing changed."""
        self._run(ABLATIONS, None, "ablations", {"rows": list(rows)})

    def online(self) -> None:
        """Table 3 over the race's rows and seeds."""
        self._run(ONLINE, None, "online simulation")

    def _elsewhere(self, row: str, shares: str) -> int:
        command = [sys.executable, "-m", "lt4rec_assets.cli", "race", "--rows", row, "--shares", shares]
        with subprocess.Popen([*command, "--cells-only"], stdout=subprocess.PIPE, text=True) as process:
            for line in _lines(process):
                if line.startswith((" ", "[", row)):
                    self._say(line)
        return process.returncode

    def _note(self, cell: Cell, status: int) -> None:
        """Take over what another process made of a cell: Dagster's records say so."""
        done = self._instance.get_materialized_partitions(RUN)
        if cell.key in done:
            self.outcome.green.append((RUN, cell.key))
        else:
            self.outcome.failed[RUN, cell.key] = (
                f"see above; its process ended with status {status}. Run the race again"
            )

    def _run_at_once(self, told: Mapping[str, str]) -> None:
        """Neighbouring cells in one run, each of them green or failed by itself."""
        keys = list(told)
        ends = {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}
        result = self._execute(RUN, None, None, ends)
        reasons = [reason_of(event) for event in result.filter_events(lambda e: e.is_step_failure)]
        # What a run put on record before it failed is not among its result's events.
        records = self._instance.get_records_for_run(
            result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ).records
        found = [record.event_log_entry.get_dagster_event() for record in records]
        events = {event.partition: event for event in found}
        for key in keys:
            if key in events:
                self.outcome.green.append((RUN, key))
                self._say(f"{told[key]}  {_numbers(events[key])}")
            else:
                self.outcome.failed[RUN, key] = reasons[0] if reasons else "see the run in the UI"
                self._say(f"    FAILED {name_of((RUN, key))}: {self.outcome.failed[RUN, key]}")

    def _execute(
        self,
        key: dg.AssetKey,
        partition: str | None,
        config: dict[str, Any] | None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        ops = {key.to_python_identifier(): {"config": config}} if config else {}
        result = self._job.execute_in_process(
            instance=self._instance,
            partition_key=partition,
            asset_selection=[key],
            run_config={**QUIET, "ops": ops},
            tags={**self._tags, **(tags or {})},
            raise_on_error=False,
        )
        if any(is_interrupt(event) for event in result.filter_events(lambda e: e.is_step_failure)):
            raise KeyboardInterrupt  # the person meant the race, not this cell
        return result

    def _run(
        self, key: dg.AssetKey, partition: str | None, told: str, config: dict[str, Any] | None = None
    ) -> None:
        result = self._execute(key, partition, config)
        cell: Partition = (key, partition)
        failures = [reason_of(event) for event in result.filter_events(lambda e: e.is_step_failure)]
        if failures or not result.success:
            self.outcome.failed[cell] = failures[0] if failures else "see the run in the UI"
            self._say(f"    FAILED {name_of(cell)}: {self.outcome.failed[cell]}")
            return
        self.outcome.green.append(cell)
        self._say(f"{told}  {_found(result)}")


def _found(result: dg.ExecuteInProcessResult) -> str:
    """The numbers of a materialisation that a reader of the command's output wants."""
    (event,) = result.get_asset_materialization_events()
    return _numbers(event)


def _numbers(event: dg.DagsterEvent) -> str:
    metadata = event.step_materialization_data.materialization.metadata
    wanted = ("valid_ctr_auc", "valid_cvr_mse", "ctr_auc", "cvr_mse", "seconds")
    numbers = {name: metadata[name].value for name in wanted if name in metadata}
    return "  ".join(f"{name} {value:.5g}" for name, value in numbers.items())


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    for line in process.stdout or ():
        yield line.rstrip("\n")
