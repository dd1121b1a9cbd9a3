"""Run a range of days in order, in this one warm process, recorded in the ordinary Dagster instance.

A day costs a fraction of a second instead of a process with its imports. What fails stops what
depends on it, by partition, and nothing else.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import dagster as dg

from lt4rec_assets.defs.experiments import GROUP as EXPERIMENTS
from lt4rec_assets.defs.models import SNET
from lt4rec_assets.defs.report import GROUP as REPORT
from lt4rec_assets.defs.tickets import TICKET
from lt4rec_assets.graph import beta_features, build_graph
from lt4rec_assets.home import prepare_home
from lt4rec_assets.outcome import Cell, Outcome, name_of
from lt4rec_assets.project import Project
from lt4rec_assets.provenance import run_tags
from lt4rec_assets.records import records_open
from lt4rec_assets.settings import Settings, dagster_home
from lt4rec_core.data.disk import MAKE_ROOM, is_full
from lt4rec_core.errors import ConfigError, LakeError, Lt4recError
from lt4rec_core.quality.suites import CHECKS
from lt4rec_core.quality.waivers import Waiver, check_waivers

SAMPLES = dg.AssetKey(["training", "samples"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
BACKFILL_TAG = "lt4rec/backfill"
ON_REQUEST = (EXPERIMENTS, REPORT)
"""Groups that no range of days makes."""

CRAMPED_BYTES = 2 * 2**20
"""Less room than Dagster's databases need to write down one run."""


@dataclass(frozen=True)
class TableWaiver:
    """A check of a gated table that may fail on one day."""

    table: str
    check: str
    reason: str
    day: date


class Backfill:
    """Plans and runs the cells of a selection of assets for a range of days."""

    def __init__(
        self,
        definitions: dg.Definitions,
        project: Project,
        instance: dg.DagsterInstance,
        *,
        say: Callable[[str], None],
        tags: dict[str, str] | None = None,
        waivers: Sequence[TableWaiver] = (),
    ) -> None:
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._graph = definitions.resolve_asset_graph()
        self._project = project
        self._instance = instance
        self._say = say
        self._tags = {**run_tags(project.settings), **(tags or {})}
        self._waivers = waivers
        self._present: dict[dg.AssetKey, set[str | None]] = {}
        self._outcome = Outcome()

    def run(self, first: date, last: date, select: str = "*") -> Outcome:
        """Make every selected cell from ``first`` to ``last``, both inclusive.

        Each day: its tables, then (once the ticket window is complete) the tickets that are not
        found yet, the models of all days that wait, and what is evaluated on them.
        """
        self._check_range(first, last)
        selected = self._selected(select)
        tables = [k for k in selected if not self._is_per_task(k) and not self._needs_tickets(k)]
        per_task = [k for k in selected if self._is_per_task(k)]
        models = [k for k in selected if self._needs_tickets(k)]
        self._present = {key: self._materialised(key) for key in self._graph.get_all_asset_keys()}
        if per_task or models:
            self._forget_tickets_of_other_settings()
        window_end = self._project.settings.ticket_window[-1]
        waiting, drawn = self._earlier_days_that_wait(first, models), False
        n_days = (last - first).days + 1
        for i in range(n_days):
            day = first + timedelta(days=i)
            started = monotonic()
            self._run_day(day, tables)
            waiting.append(day)
            if day >= window_end or self._tickets_found():
                if not drawn:
                    self._run_tickets(per_task, again=select != "*")
                    drawn = True
                for ready in waiting:
                    self._run_day(ready, models)
                waiting = []
            self._say(f"[{i + 1}/{n_days}] {day}  {monotonic() - started:5.1f} s  {self._summary_of(day)}")
        for day in waiting:
            for key in models:
                if self._has(key, day):
                    self._outcome.waiting[key, day.isoformat()] = f"the ticket window, until {window_end}"
        self._run_unpartitioned([k for k in selected if not self._graph.get(k).is_partitioned])
        return self._outcome

    # what is there already

    def _forget_tickets_of_other_settings(self) -> None:
        """A ticket counts if the store has it under the settings of now, not if Dagster once saw one."""
        from lt4rec_assets.learning import Learning

        found = Learning.of(self._project).found_masks()
        self._present[TICKET] &= set(found)

    def _tickets_found(self) -> bool:
        return self._present[TICKET] >= set(self._project.settings.tasks)

    def _earlier_days_that_wait(self, first: date, models: Sequence[dg.AssetKey]) -> list[date]:
        """Days before the range whose samples are there while their models still wait for the tickets.

        They come about when the days of the ticket window are run one by one.
        """
        if self._tickets_found() or not models:
            return []
        samples, snet = self._present[SAMPLES], self._present[SNET]
        start = self._project.settings.start
        days = (start + timedelta(days=i) for i in range((first - start).days))
        return [day for day in days if day.isoformat() in samples and day.isoformat() not in snet]

    # which cells there are

    def _check_range(self, first: date, last: date) -> None:
        daily = self._project.partitions.daily.get_partition_keys()
        if not daily:
            raise ConfigError(
                f"this home has no day yet: LT4REC_START is {self._project.settings.start}, "
                "and a day is there once it is over."
            )
        for name, day in (("--from", first), ("--to", last)):
            if day.isoformat() not in daily:
                raise ConfigError(
                    f"{name} {day} is not a day of this home: it has {daily[0]} to {daily[-1]}. "
                    "LT4REC_START and LT4REC_END set the range."
                )
        if last < first:
            raise ConfigError(f"--to ({last}) lies before --from ({first}).")

    def _selected(self, select: str) -> list[dg.AssetKey]:
        try:
            with beta_features():
                chosen = dg.AssetSelection.from_string(select).resolve(self._graph)
        except Exception as error:
            raise ConfigError(f"--select {select!r} selects nothing: {error}") from error
        if not chosen:
            raise ConfigError(f"--select {select!r} matches no asset. Try a group, as in group:samples.")
        chosen = {key for key in chosen if key.path[0] not in ON_REQUEST}
        if not chosen:
            raise ConfigError(
                f"--select {select!r} selects only what is made on request: `lt4rec race` runs experiments, "
                "`lt4rec report` writes the report."
            )
        return [key for key in self._graph.toposorted_asset_keys if key in chosen]

    def _materialised(self, key: dg.AssetKey) -> set[str | None]:
        if self._graph.get(key).is_partitioned:
            return set(self._instance.get_materialized_partitions(key))
        return {None} if self._instance.get_latest_materialization_event(key) else set()

    def _is_per_task(self, key: dg.AssetKey) -> bool:
        return self._graph.get(key).partitions_def == self._project.partitions.tasks

    def _needs_tickets(self, key: dg.AssetKey) -> bool:
        """True for what stands downstream of the tickets, and for what is daily beside it."""
        return key.path[0] in ("models", "evaluation", "serving") and self._graph.get(key).is_partitioned

    def _has(self, key: dg.AssetKey, day: date) -> bool:
        days = self._graph.get(key).partitions_def
        return days is not None and days.has_partition_key(day.isoformat())

    # running them

    def _run_day(self, day: date, keys: Sequence[dg.AssetKey]) -> None:
        daily = [k for k in keys if self._graph.get(k).is_partitioned and not self._is_per_task(k)]
        here = [k for k in daily if self._has(k, day)]
        for group in self._runs_of_a_day(here):
            self._run(group, day.isoformat())

    def _runs_of_a_day(self, keys: Iterable[dg.AssetKey]) -> Iterator[list[dg.AssetKey]]:
        """Split by calendar, in topological order: a run has one set of partitions."""
        groups: dict[str, list[dg.AssetKey]] = {}
        for key in keys:
            groups.setdefault(str(self._graph.get(key).partitions_def), []).append(key)
        yield from groups.values()

    def _run_tickets(self, keys: Sequence[dg.AssetKey], again: bool) -> None:
        """Find what is not found yet; with ``again`` run every task, which reuses what is there."""
        for task in self._project.settings.tasks:
            missing = [k for k in keys if again or task not in self._present[k]]
            if missing and self._missing_parent(missing[0], task, among=[]) is None:
                self._say(f"    finding the ticket of {task} on the ticket window")
            self._run(missing, task)

    def _run_unpartitioned(self, keys: Sequence[dg.AssetKey]) -> None:
        for key in keys:
            self._run([key], None)

    def _run(self, keys: Sequence[dg.AssetKey], partition: str | None) -> None:
        """Run what is not blocked; keep the books of what came of it."""
        cells: list[dg.AssetKey] = []
        for key in keys:
            if (waits_for := self._missing_parent(key, partition, among=cells)) is None:
                cells.append(key)
            elif self._is_patient(waits_for):
                self._outcome.waiting[key, partition] = name_of(waits_for)
            else:
                self._outcome.blocked[key, partition] = name_of(waits_for)
                self._present[key].discard(partition)
        if not cells:
            return
        result = self._job.execute_in_process(
            instance=self._instance,
            partition_key=partition,
            asset_selection=cells,
            run_config={**QUIET, "ops": dict(self._waived(cells))},
            tags=self._tags,
            raise_on_error=False,
        )
        if any(is_interrupt(event) for event in result.filter_events(lambda e: e.is_step_failure)):
            raise KeyboardInterrupt  # Dagster made a failed step of it; the person meant the backfill
        made = {event.asset_key for event in result.get_asset_materialization_events()}
        reasons = {e.step_key: reason_of(e) for e in result.filter_events(lambda e: e.is_step_failure)}
        for key in cells:
            cell = (key, partition)
            step = key.to_python_identifier()
            if key in made and step not in reasons:
                self._outcome.green.append(cell)
                self._present[key].add(partition)
                continue
            self._present[key].discard(partition)
            if step in reasons:
                self._outcome.failed[cell] = reasons[step]
                self._say(f"    FAILED {name_of(cell)}: {reasons[step]}")
            else:
                waits_for = self._missing_parent(key, partition, among=[])
                self._outcome.blocked[cell] = (
                    name_of(waits_for) if waits_for else "the run, which ended early"
                )

    def _waived(self, cells: Sequence[dg.AssetKey]) -> Iterator[tuple[str, Any]]:
        """The configuration of the gated assets of a run: the same that one would type in the launchpad."""
        for key in cells:
            mine = [w for w in self._waivers if key == dg.AssetKey(w.table.split("."))]
            if mine:
                given = [{"day": w.day.isoformat(), "check": w.check, "reason": w.reason} for w in mine]
                yield key.to_python_identifier(), {"config": {"waivers": given}}

    def _missing_parent(
        self, key: dg.AssetKey, partition: str | None, among: Sequence[dg.AssetKey]
    ) -> Cell | None:
        parents = self._graph.get_parents_partitions(key, partition).parent_partitions
        for parent in sorted(parents):
            in_this_run = parent.partition_key == partition and parent.asset_key in among
            present = self._present.get(parent.asset_key, {parent.partition_key})
            if not in_this_run and parent.partition_key not in present:
                return (parent.asset_key, parent.partition_key)
        return None

    def _is_patient(self, cell: Cell) -> bool:
        """True where the missing cell has not been tried and has not failed: its time will come."""
        return cell[0].path[0] == "tickets" and cell not in {**self._outcome.failed, **self._outcome.blocked}

    def _summary_of(self, day: date) -> str:
        text = day.isoformat()
        n_failed = sum(1 for _, partition in self._outcome.failed if partition == text)
        n_blocked = sum(1 for _, partition in self._outcome.blocked if partition == text)
        n_green = sum(1 for _, partition in self._outcome.green if partition == text)
        parts = [f"{n_green} green"]
        parts += [f"{n_failed} FAILED"] if n_failed else []
        parts += [f"{n_blocked} blocked"] if n_blocked else []
        return ", ".join(parts)


def read_waivers(texts: Sequence[str], first: date, last: date) -> list[TableWaiver]:
    """Read ``table.check=reason``, each for the one day of the backfill.

    Raises:
        ConfigError: several days, a table without a gate, or a text of another form.
        QualityError: an unknown check or no reason.
    """
    if texts and first != last:
        raise ConfigError(
            f"--waive is for one day, but --from {first} --to {last} names several. "
            "Waive each bad day by itself, with what was found there."
        )
    waivers = []
    for text in texts:
        name, is_given, reason = text.partition("=")
        table, _, check = name.strip().rpartition(".")
        if not is_given or table not in CHECKS:
            raise ConfigError(
                f"--waive {text!r} does not read table.check=reason, "
                f"as in --waive 'samples.impressions.volume=the app was down until noon'. "
                f"Tables with a gate are {', '.join(CHECKS)}."
            )
        waivers.append(TableWaiver(table, check, reason.strip(), first))
    for table in CHECKS:
        check_waivers(table, [Waiver(w.check, w.reason) for w in waivers if w.table == table])
    return waivers


def run_backfill(
    settings: Settings,
    first: date,
    last: date,
    select: str = "*",
    *,
    say: Callable[[str], None],
    waive: Sequence[str] = (),
) -> Outcome:
    """Prepare the home, build the graph and run the days; see :meth:`Backfill.run`.

    Raises:
        ConfigError: a day outside the calendar, a selection that matches nothing, or an unreadable waiver.
        QualityError: a waiver of an unknown check, or without a reason.
        LakeError: the home cannot be written.
    """
    waivers = read_waivers(waive, first, last)
    project = Project.of(settings)
    with _clear_about_a_full_disk(settings):
        prepare_home(project)
        definitions = build_graph(project)
        tags = {BACKFILL_TAG: uuid4().hex[:8]}
        with dg.DagsterInstance.get() as instance, records_open(instance):
            backfill = Backfill(definitions, project, instance, say=say, tags=tags, waivers=waivers)
            return backfill.run(first, last, select)


@contextmanager
def _clear_about_a_full_disk(settings: Settings) -> Iterator[None]:
    """Dagster writes down what a run does; where it finds no room, its error is a page of traceback."""
    try:
        yield
    except Exception as error:
        records = dagster_home(settings.home)
        # SQLite calls it an I/O error where it cannot even begin to write.
        if isinstance(error, Lt4recError) or not (is_full(error) or _is_cramped(records)):
            raise
        raise LakeError(
            f"the disk is full: {records} cannot be written, where Dagster keeps its records. {MAKE_ROOM}"
        ) from error


def _is_cramped(folder: Path) -> bool:
    return folder.exists() and shutil.disk_usage(folder).free < CRAMPED_BYTES


def reason_of(event: dg.DagsterEvent) -> str:
    """Why a step failed: what was said on purpose, or the error that nobody meant."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error.cause if data.error and data.error.cause else data.error
    return error.message.strip() if error else "unknown; see the run in the UI"


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether a step failed because somebody ended the process."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterExecutionInterruptedError"
