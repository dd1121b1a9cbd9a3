"""One asset per .sql file: dependencies, mappings, schema and code version come from its header."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg

from lt4rec_assets.gate import GateConfig, check_day, check_specs, making, publish_gated
from lt4rec_assets.metadata import describe_published, describe_table, unless_it_fails
from lt4rec_assets.partitions import days_before
from lt4rec_assets.project import Project
from lt4rec_assets.resources import LakeResource
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sqlfile import Input, SqlFile
from lt4rec_core.data.staging import Staged
from lt4rec_core.errors import LakeError

SQL_MEMORY = "2GB"
"""What DuckDB may use for one statement; beyond it a large day spills to the home."""


def key_of(table: str) -> dg.AssetKey:
    """``samples.clicks`` is the asset ``samples/clicks``."""
    return dg.AssetKey(table.split("."))


def deps_of(project: Project, table: SqlFile, up_to_the_day: tuple[str, ...] = ()) -> list[dg.AssetDep]:
    """Turn the header's inputs into dependencies with their partition mappings.

    Args:
        project: its tables; an input that the source lacks is no dependency.
        table: whose inputs.
        up_to_the_day: inputs of earlier days only whose own day the graph waits for as well. Dagster lays out
            a backfill of days from parent to child and visits each asset once, so one that it reaches first
            over earlier days would miss the first day that was asked for.
    """

    def days(given: Input) -> dg.PartitionMapping:
        last = 0 if given.table in up_to_the_day else given.last or 0
        return days_before(given.first or 0, last)

    return [
        dg.AssetDep(key_of(given.table), partition_mapping=days(given))
        for given in table.inputs
        if not given.is_raw and given.table in project.tables
    ]


def definition_of(
    project: Project, name: str, *, from_second_day: bool = False, python_version: str = ""
) -> dict[str, Any]:
    """Arguments of ``@dagster.asset`` that follow from a table's header.

    Args:
        project: whose tables and calendar.
        name: ``group.name``.
        from_second_day: the table's first day is the second of the calendar.
        python_version: ``code_version`` of the Python that has a part in its rows, beside its SQL.
    """
    table = project.tables[name]
    days = project.partitions
    calendar = days.from_second_day if from_second_day else days.daily
    return {
        "key": key_of(name),
        "group_name": name.split(".")[0],
        "partitions_def": calendar,
        "check_specs": check_specs(name, key_of(name), calendar),
        "description": f"{table.description}\n\nOne row is {table.grain}.",
        "metadata": describe_table(table, Lake(project.settings.home)),
        "code_version": hashlib.sha256(((table.compiled_sql or "") + python_version).encode()).hexdigest()[
            :12
        ],
    }


def table_asset(
    project: Project,
    name: str,
    *,
    from_second_day: bool = False,
    shown: Callable[[Staged], Mapping[str, Any]] | None = None,
) -> dg.AssetsDefinition:
    """Make the asset of a SQL file that is published as soon as it is written, and checked after that.

    Args:
        project: its tables.
        name: ``group.name``.
        from_second_day: the table's first day is the second of the calendar.
        shown: makes further metadata of the rows that were staged.
    """

    @dg.asset(
        **definition_of(project, name, from_second_day=from_second_day),
        deps=deps_of(project, project.tables[name]),
        kinds={"duckdb", "sql"},
    )
    def sql_table(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        day = date.fromisoformat(context.partition_key)
        with making(project, lake, name.replace(".", "/"), day, context):
            opened = lake.open(project)
            staged = run_table(project, opened, name, day)
            further = unless_it_fails("pictures", lambda: shown(staged)) if shown else {}
            published = opened.publish(staged)
            checks = check_day(project, opened, published, context.run.run_id)
        return dg.MaterializeResult(
            metadata={**describe_published(project, published, staged.inputs), **further},
            check_results=checks,
            data_version=dg.DataVersion(published.digest),  # the same rows again make nothing stale
        )

    return sql_table


def gated_table_asset(project: Project, name: str) -> dg.AssetsDefinition:
    """Make the asset of a SQL file whose partitions must pass their audit before anyone sees them."""

    @dg.asset(
        **definition_of(project, name),
        deps=deps_of(project, project.tables[name]),
        kinds={"duckdb", "sql", "greatexpectations"},
    )
    def gated_sql_table(
        context: dg.AssetExecutionContext, config: GateConfig, lake: LakeResource
    ) -> Iterator[Any]:
        day = date.fromisoformat(context.partition_key)
        with making(project, lake, name.replace(".", "/"), day, context):
            waivers = config.for_day(name, day)
            opened = lake.open(project)
            staged = run_table(project, opened, name, day)
            yield from publish_gated(project, opened, staged, {}, waivers, context.run.run_id)

    return gated_sql_table


def run_table(project: Project, lake: Lake, name: str, day: date) -> Staged:
    """Run a table's statement for one day, once all days it reads are there.

    Raises:
        LakeError: a day that it reads was never published. Green would be false: the rows would be
            computed from what is missing.
    """
    table = project.tables[name]
    _require_days(project, lake, table, day)
    params = project.sql_params(day)
    return run_sql(
        lake,
        project.source,
        table,
        day,
        params,
        source_path=project.settings.source_path,
        memory_limit=SQL_MEMORY,
    )


def _require_days(project: Project, lake: Lake, table: SqlFile, day: date) -> None:
    for given in table.inputs:
        if given.is_raw or given.table not in project.tables:
            continue
        there = lake.published(given.table)
        wanted = (day + timedelta(days=i) for i in range(given.first or 0, (given.last or 0) + 1))
        missing = [str(d) for d in wanted if d >= project.settings.start and d not in there]
        if missing:
            raise LakeError(
                f"{table.table} of {day} reads {given.table} of {', '.join(missing)}, which is not there. "
                "Materialise it first; if its gate refused it, repair the day's log and re-execute."
            )
