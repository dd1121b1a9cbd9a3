"""Audits a staged day: its suite runs over the Parquet file inside DuckDB, before anyone can read the day.

The SQL checks run first, each seeing only the inputs that its header declares, with the audited table as it
will be once the day is published. They leave their offenders in tables; the expectations then judge those
tables and the staged rows, and a page for people is written.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from lt4rec_core.catalogue import Fragment
from lt4rec_core.data.duck import first_line, path_literal, quoted
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.runner import open_table
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import Input, SqlFile, read_sql_file
from lt4rec_core.data.staging import Staged
from lt4rec_core.errors import Lt4recError, QualityError
from lt4rec_core.quality.engine import session
from lt4rec_core.quality.page import render_page
from lt4rec_core.quality.results import MAX_SAMPLE_ROWS, Findings, collect
from lt4rec_core.quality.suites import (
    CHECKS,
    DEFAULTS,
    SUITES,
    CheckResult,
    CheckSpec,
    check_file,
    check_fragments,
)
from lt4rec_core.quality.waivers import apply_waivers


@dataclass(frozen=True)
class AuditReport:
    """What an audit found."""

    results: tuple[CheckResult, ...]
    """One per named check of the table, in their order."""

    passed: bool
    """Whether the day may be published: no critical check failed without a waiver."""

    page: Path
    """The rendered report, readable offline."""


def audit(
    lake: Lake,
    source: Source,
    table: SqlFile,
    staged: Staged,
    *,
    params: Mapping[str, Any],
    report_dir: Path,
    waivers: Mapping[str, str] | None = None,
) -> AuditReport:
    """Check a staged day against its table's suite.

    Args:
        lake: where the tables lie that the checks compare with.
        source: whose catalogue and SQL files are meant.
        table: the audited table's declaration.
        staged: the day, written but not published; left as it is.
        params: values for the checks' parameters; thresholds not named here are ``suites.DEFAULTS``.
        report_dir: where the page goes; created if need be.
        waivers: check name -> reason, of checks that may fail; see ``check_waivers``.

    Raises:
        QualityError: the table has no suite, or the page cannot be written.
    """
    if table.table not in SUITES:
        raise QualityError(
            f"{table.table} has no suite to audit it with; gated tables are {', '.join(SUITES)}. "
            "Add one to lt4rec_core/quality/suites.py."
        )
    settings = {**DEFAULTS, **params, "dt": staged.day}
    with session() as engine:
        findings = _Checks(engine.con, lake, source, table, staged, settings).run()
        validation = engine.validate(SUITES[table.table](table.columns, settings))
    results = apply_waivers(collect(CHECKS[table.table], validation, findings), waivers or {})
    page = report_dir / f"{table.table}.{staged.day}.html"
    _write(page, render_page(f"{table.table} of {staged.day}", results, validation))
    return AuditReport(results, not any(result.blocks for result in results), page)


def _write(page: Path, text: str) -> None:
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise QualityError(
            f"the audit's report {page} cannot be written: {error.strerror or error}. "
            "Nothing was published. Is there room, and may this user write there?"
        ) from error


@dataclass
class _Checks:
    """The SQL checks of a staged day; each leaves a table ``checks.<file>`` with a column ``is_fault``."""

    con: duckdb.DuckDBPyConnection
    lake: Lake
    source: Source
    table: SqlFile
    staged: Staged
    settings: Mapping[str, Any]
    findings: dict[str, Findings] = field(default_factory=dict)

    def run(self) -> dict[str, Findings]:
        """What each check found, by its name."""
        path = path_literal(self.staged.path)
        # Not the folder's dt: the file itself must say its day.
        self.con.execute(
            f"create view audited.staged as from read_parquet({path}, hive_partitioning = false)"
        )
        self._run_schema()
        for check in CHECKS[self.table.table]:
            if check.has_sql:
                self._run_file(check)
        return self.findings

    def _run_schema(self) -> None:
        """Columns whose declared and found types differ."""
        name = check_file(self.table.table, "schema")
        found = {row[0]: row[1].lower() for row in self.con.execute("describe audited.staged").fetchall()}
        declared = {column.name: column.type for column in self.table.columns}
        self.con.execute(
            f"create table checks.{name} "
            "(column_name varchar, declared varchar, found varchar, is_fault boolean)"
        )
        for column in declared | found:
            if declared.get(column) != found.get(column):
                row = [column, declared.get(column), found.get(column)]
                self.con.execute(f"insert into checks.{name} values (?, ?, ?, true)", row)
        self.findings["schema"] = self._findings(
            name, "Columns that are not as the table's header declares them."
        )

    def _run_file(self, check: CheckSpec) -> None:
        """Run a check's statement. One that fails leaves no table, and its expectation then raises."""
        name = check_file(self.table.table, check.name)
        try:
            file = _check_file(self.source, name)
            bound = {param: self.settings[param] for param in file.params}
            with self._inputs(file) as note:
                # Offenders are kept: the expectation counts them and the report shows some.
                self.con.execute(f"create table checks.{name} as {file.compiled_sql}", bound)
            if "is_fault" not in {column.name for column in file.columns}:
                self.con.execute(f"alter table checks.{name} add column is_fault boolean default true")
            self.findings[check.name] = self._findings(name, file.description.splitlines()[0], note)
        except KeyError as error:
            self.findings[check.name] = Findings(check.description, error=f"nothing sets ${error.args[0]}")
        except (duckdb.Error, Lt4recError) as error:
            self.findings[check.name] = Findings(check.description, error=first_line(error))

    @contextmanager
    def _inputs(self, file: SqlFile) -> Iterator[str]:
        """The views of a check's inputs while it runs; a note when it lacks the earlier days it asks for."""
        note = ""
        try:
            for given in file.inputs:
                if given.table != self.table.table:
                    open_table(self.con, self.lake, file, given, self.staged.day)
                elif not self._open_audited(given):
                    note = "there is no earlier day to compare with"
            yield note
        finally:
            for group in {given.table.partition(".")[0] for given in file.inputs}:
                self.con.execute(f"drop schema if exists {quoted(group)} cascade")

    def _open_audited(self, given: Input) -> bool:
        """The audited table as it will be once published; whether the earlier days asked for exist."""
        group, name = map(quoted, given.table.split("."))
        columns = list(given.columns or [column.name for column in self.table.columns])
        columns = list(dict.fromkeys(["dt", *columns]))
        rows, has_history = f"select {', '.join(map(quoted, columns))} from audited.staged", True
        if given.first is not None and given.first < 0:
            first, last = self.staged.day + timedelta(days=given.first), self.staged.day - timedelta(days=1)
            snapshot = self.lake.snapshot(given.table)
            rows = f"{snapshot.select(first, last, columns)} union all {rows}"
            has_history = bool(snapshot.between(first, last))
        self.con.execute(f"create schema if not exists {group}")
        self.con.execute(f"create view {group}.{name} as {rows}")
        return has_history

    def _findings(self, name: str, fault: str, note: str = "") -> Findings:
        n_faults = self.con.execute(f"select count(*) from checks.{name} where is_fault").fetchall()[0][0]
        columns = [row[0] for row in self.con.execute(f"describe checks.{name}").fetchall()]
        has_measures = "measure" in columns
        which = "" if has_measures else f"where is_fault limit {MAX_SAMPLE_ROWS}"
        rows = self.con.execute(f"from checks.{name} {which}").fetchall()
        return Findings(
            fault, n_faults, [dict(zip(columns, row, strict=True)) for row in rows], has_measures, note
        )


def _check_file(source: Source, name: str) -> SqlFile:
    path = source.folder.parent.parent / "checks" / f"{name}.sql"
    fragments = tuple(check_fragments(source.catalogue).items())
    return _read_check(path, path.stat().st_mtime_ns if path.exists() else 0, fragments)


@lru_cache(maxsize=64)
def _read_check(path: Path, changed_ns: int, fragments: tuple[tuple[str, Fragment], ...]) -> SqlFile:
    """Read once per process and change: parsing costs as much as running."""
    return read_sql_file(path, fragments=dict(fragments))
