"""The questions of the report: one SELECT a file in ``sql/report``, asked of a read-only snapshot."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lt4rec_core.data.duck import first_line, quoted
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.errors import SqlFileError
from lt4rec_core.report.blocks import Gap

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Some messages of DuckDB come coloured for a terminal."""

_INPUTS = re.compile(r"^-- inputs:\s*(.+)$", re.MULTILINE)

MAKE: Mapping[str, str] = {
    "samples": "lt4rec backfill --from D --to D --select group:samples, with group:source before it",
    "quality": "lt4rec backfill --from D --to D: every gated day leaves its audit there",
    "evaluation": "lt4rec backfill --from D --to D, once the ticket window is complete",
    "experiments": "launch it in the UI",
}
"""How a table comes about, by its group or by its name; ``D`` stands for a day."""

MAKE_TABLE: Mapping[str, str] = {
    "experiments.offline_comparison": "lt4rec race",
    "experiments.label_scarcity": "lt4rec race",
    "experiments.online_simulation": "lt4rec race --online",
}


class Lake:
    """A snapshot of the lake that answers for one range of days."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, folder: Path, views: Sequence[SqlFile], first: date, last: date
    ) -> None:
        """Take a connection of ``lt4rec_core.data.analyst.connect``.

        Args:
            con: which cannot write.
            folder: ``sql/report``.
            views: of ``sql/views``, as this checkout has them; the lake may hold older ones, or none.
            first: the first day of the report.
            last: its last day, inclusive.
        """
        self._con, self._folder = con, folder
        self._days = {"first": first, "last": last}
        self._there = set(self._tables())
        self._make(list(views))

    def ask(self, name: str) -> list[dict[str, Any]] | Gap:
        """The rows of ``<name>.sql``; a gap where a table is missing, damaged or has nothing for these days.

        Raises:
            SqlFileError: the file cannot be read, or does not name its inputs.
        """
        text, inputs = self._read(name)
        for table in inputs:
            if table not in self._there:
                return missing(table, "this home has no such table yet")
        params = {key: day for key, day in self._days.items() if f"${key}" in text}
        try:
            rows = self._con.sql(text, params=params).to_arrow_table().to_pylist()
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            why = _COLOURS.sub("", first_line(error)).rstrip(". ")
            return Gap(
                inputs[0].replace(".", "/"),
                f"{self._folder.name}/{name}.sql cannot be answered: {why}",
                "if a file is damaged or lost, materialise the day it names again",
            )
        if not rows:
            days = f"from {self._days['first']} to {self._days['last']}" if params else "yet"
            return replace(missing(inputs[0], f"it has no row {days}"), is_empty=True)
        return rows

    def _make(self, views: list[SqlFile]) -> None:
        """Make each view whose tables are there, after those it reads.

        One that this lake's tables are too old for is left out; who asks for it is told.
        """
        names = {view.table for view in views}
        self._there -= names
        while ready := [v for v in views if all(each.table in self._there for each in v.inputs)]:
            for view in ready:
                group, _, name = view.table.partition(".")
                self._con.execute(f"create schema if not exists {quoted(group)}")
                with suppress(duckdb.Error):
                    self._con.execute(
                        f"create or replace view {quoted(group)}.{quoted(name)} as {view.compiled_sql}"
                    )
                    self._there.add(view.table)
            views = [v for v in views if v not in ready]

    def _read(self, name: str) -> tuple[str, list[str]]:
        path = self._folder / f"{name}.sql"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SqlFileError(f"cannot read {path}: {error}. Is the checkout complete?") from error
        found = _INPUTS.search(text)
        if not found:
            raise SqlFileError(f"{path} does not say what it reads. Give it a line -- inputs: group.table")
        return text, [table.strip() for table in found[1].split(",")]

    def _tables(self) -> Iterable[str]:
        rows = self._con.execute("select table_schema, table_name from information_schema.tables").fetchall()
        return (f"{schema}.{table}" for schema, table in rows)


def missing(table: str, why: str) -> Gap:
    """The gap where a table, ``group.name``, has nothing to show."""
    make = MAKE_TABLE.get(table) or MAKE.get(table.partition(".")[0], "materialise it in the UI")
    return Gap(table.replace(".", "/"), why, make)
