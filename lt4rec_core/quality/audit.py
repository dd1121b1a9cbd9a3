"""Audits a staged day: its suite runs over the Parquet file inside DuckDB, before anyone can read the day.

The SQL checks run first, each seeing only the inputs that its header declares, with the audited table as it
will be once the day is published. They leave their offenders in tables; the expectations then judge those
tables and the staged rows, and a page for people is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from lt4rec_core.catalogue import Column
from lt4rec_core.data.duck import path_literal, quoted
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place, put_text
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import Input, SqlFile
from lt4rec_core.data.staging import Staged
from lt4rec_core.errors import QualityError
from lt4rec_core.quality.engine import session
from lt4rec_core.quality.page import render_page
from lt4rec_core.quality.profiles import PROFILES, Profile, Profiles, as_rows
from lt4rec_core.quality.results import Findings, collect
from lt4rec_core.quality.statements import Statements
from lt4rec_core.quality.suites import CHECKS, DEFAULTS, SUITES, CheckResult, check_file
from lt4rec_core.quality.waivers import apply_waivers

NOTHING_BEFORE = "there is no earlier day to compare with"


@dataclass(frozen=True)
class AuditReport:
    """What an audit found."""

    results: tuple[CheckResult, ...]
    """One per named check of the table, in their order."""

    passed: bool
    """Whether the day may be published: no critical check failed without a waiver."""

    page: Place
    """The rendered report, readable offline."""

    profiles: tuple[Profile, ...] = ()
    """What was measured of the day and of days before it; to be kept once the day is published."""


def audit(
    lake: Lake,
    source: Source,
    table: SqlFile,
    staged: Staged,
    *,
    params: Mapping[str, Any],
    report_dir: Place,
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
        checks = _Checks(engine.con, lake, source, table.table, staged.day, settings, table.columns, staged)
        findings = checks.run_all()
        validation = engine.validate(SUITES[table.table](table.columns, settings))
    results = apply_waivers(collect(CHECKS[table.table], validation, findings), waivers or {})
    page = report_dir / f"{table.table}.{staged.day}.html"
    _write(page, render_page(f"{table.table} of {staged.day}", results, validation))
    passed = not any(result.blocks for result in results)
    return AuditReport(results, passed, page, tuple(checks.profiles.measured))


def _write(page: Place, text: str) -> None:
    try:
        put_text(page, text)
    except OSError as error:
        raise QualityError(
            f"the audit's report {page} cannot be written: {error.strerror or error}. "
            "Nothing was published. Is there room, and may this user write there?"
        ) from error


@dataclass
class _Checks(Statements):
    """The SQL checks of a staged day, which see their own table as it will be once published."""

    columns: tuple[Column, ...]
    staged: Staged

    @cached_property
    def profiles(self) -> Profiles:
        """What the days look like that checks compare."""
        return Profiles(self.lake, self.source, self.table, self.staged)

    def run_all(self) -> dict[str, Findings]:
        """What each check found, by its name."""
        path = path_literal(self.staged.path)
        # Not the folder's dt: the file itself must say its day.
        self.con.execute(
            f"create view audited.staged as from read_parquet({path}, hive_partitioning = false)"
        )
        found = {"schema": self._run_schema()}
        return found | {check.name: self.run(check) for check in CHECKS[self.table] if check.has_sql}

    def _run_schema(self) -> Findings:
        """Columns whose declared and found types differ."""
        name = check_file(self.table, "schema")
        found = {row[0]: row[1].lower() for row in self.con.execute("describe audited.staged").fetchall()}
        declared = {column.name: column.type for column in self.columns}
        self.con.execute(
            f"create table checks.{name} "
            "(column_name varchar, declared varchar, found varchar, is_fault boolean)"
        )
        for column in declared | found:
            if declared.get(column) != found.get(column):
                row = [column, declared.get(column), found.get(column)]
                self.con.execute(f"insert into checks.{name} values (?, ?, ?, true)", row)
        return self.findings(name, "Columns that are not as the table's header declares them.")

    def open_input(self, file: SqlFile, given: Input) -> str:
        """The audited table as it will be once published, and its profiles; any other as it is."""
        if given.table == PROFILES:
            return self._open_profiles(given)
        if given.table != self.table:
            return super().open_input(file, given)
        group, name = map(quoted, given.table.split("."))
        columns = list(given.columns or [column.name for column in self.columns])
        columns = list(dict.fromkeys(["dt", *columns]))
        rows, has_history = f"select {', '.join(map(quoted, columns))} from audited.staged", True
        if given.first is not None and given.first < 0:
            first, last = self.day + timedelta(days=given.first), self.day - timedelta(days=1)
            snapshot = self.lake.snapshot(given.table)
            rows = f"{snapshot.select(self.con, first, last, columns)} union all {rows}"
            has_history = bool(snapshot.between(first, last))
        self.con.execute(f"create schema if not exists {group}")
        self.con.execute(f"create view {group}.{name} as {rows}")
        return "" if has_history else NOTHING_BEFORE

    def _open_profiles(self, given: Input) -> str:
        """The profiles of this table alone, one a day: of what is published, and of the staged day."""
        offsets = range(given.first or 0, (given.last or 0) + 1)
        profiles = self.profiles.of(self.day + timedelta(days=offset) for offset in offsets)
        group, name = map(quoted, given.table.split("."))
        self.con.execute(f"create schema if not exists {group}")
        self.con.register("profiles", as_rows(profiles))
        self.con.execute(f"create table {group}.{name} as from profiles")
        self.con.unregister("profiles")
        return "" if any(profile.day < self.day for profile in profiles) else NOTHING_BEFORE
