"""Runs the SQL of named checks: each sees what its header declares, and leaves a table of what it found."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from lt4rec_core.catalogue import Fragment
from lt4rec_core.data.duck import first_line, quoted
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import open_table
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import Input, SqlFile, read_sql_file
from lt4rec_core.errors import Lt4recError
from lt4rec_core.quality.results import MAX_SAMPLE_ROWS, Findings
from lt4rec_core.quality.suites import CheckSpec, check_file, check_fragments


@dataclass
class Statements:
    """The checks of one table and day; each leaves a table ``checks.<file>`` with a column ``is_fault``."""

    con: duckdb.DuckDBPyConnection
    """With an empty schema ``checks``."""

    lake: Lake
    source: Source
    table: str
    day: date
    settings: Mapping[str, Any]

    def run(self, check: CheckSpec) -> Findings:
        """Run a check's statement. One that fails leaves no table, and its findings say why."""
        name = check_file(self.table, check.name)
        try:
            file = read_check(self.source, self.source.checks / f"{name}.sql")
            bound = {param: self.settings[param] for param in file.params}
            with self._inputs(file) as note:
                # Offenders are kept: an expectation counts them and the report shows some.
                self.con.execute(f"create table checks.{name} as {file.compiled_sql}", bound)
            if "is_fault" not in {column.name for column in file.columns}:
                self.con.execute(f"alter table checks.{name} add column is_fault boolean default true")
            return self.findings(name, file.description.splitlines()[0], note)
        except KeyError as error:
            return Findings(check.description, error=f"nothing sets ${error.args[0]}")
        except (duckdb.Error, Lt4recError) as error:
            return Findings(check.description, error=first_line(error))

    def open_input(self, file: SqlFile, given: Input) -> str:
        """Create the view of one input; a note, should it lack what the check would compare with."""
        open_table(self.con, self.lake, file, given, self.day)
        return ""

    @contextmanager
    def _inputs(self, file: SqlFile) -> Iterator[str]:
        """The views of a check's inputs while it runs, and the notes on them."""
        try:
            notes = [self.open_input(file, given) for given in file.inputs]
            yield "; ".join(note for note in notes if note)
        finally:
            for group in {given.table.partition(".")[0] for given in file.inputs}:
                self.con.execute(f"drop schema if exists {quoted(group)} cascade")

    def findings(self, name: str, fault: str, note: str = "") -> Findings:
        """What stands in ``checks.<name>``: all that was measured, or some offenders and their number."""
        n_faults = self.con.execute(f"select count(*) from checks.{name} where is_fault").fetchall()[0][0]
        columns = [row[0] for row in self.con.execute(f"describe checks.{name}").fetchall()]
        has_measures = "measure" in columns
        which = "" if has_measures else f"where is_fault limit {MAX_SAMPLE_ROWS}"
        rows = self.con.execute(f"from checks.{name} {which}").fetchall()
        return Findings(
            fault, n_faults, [dict(zip(columns, row, strict=True)) for row in rows], has_measures, note
        )


def read_check(source: Source, path: Path) -> SqlFile:
    """The statement of a check or of a profile, with what the catalogue has in it.

    Raises:
        SqlFileError: naming file, line and fault.
    """
    fragments = tuple(check_fragments(source.catalogue).items())
    return _read_check(path, path.stat().st_mtime_ns if path.exists() else 0, fragments)


@lru_cache(maxsize=64)
def _read_check(path: Path, changed_ns: int, fragments: tuple[tuple[str, Fragment], ...]) -> SqlFile:
    """Read once per process and change: parsing costs as much as running."""
    return read_sql_file(path, fragments=dict(fragments))
