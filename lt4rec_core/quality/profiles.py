"""Day profiles: what a day of a table looks like, measured once, for later days to be compared with.

A statement in ``sql/profiles/`` measures one day. Its rows are kept in ``quality.day_profiles`` under an
identity: a digest of the statement and of the content of every file that it read. Published files are named
by content, so that asking whether a kept profile is of what is published reads no row. One that is not, or
that was never kept, is measured anew from the published day: profiles save time and decide nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property

import duckdb
import pyarrow as pa

from lt4rec_core.data.duck import path_literal, quoted
from lt4rec_core.data.lake import Lake, Snapshot
from lt4rec_core.data.runner import open_table
from lt4rec_core.data.sources import Source
from lt4rec_core.data.sqlfile import Input, SqlFile
from lt4rec_core.data.staging import CONTENT, Staged
from lt4rec_core.errors import LakeError
from lt4rec_core.quality.statements import read_check

PROFILES = "quality.day_profiles"


@dataclass(frozen=True)
class Profile:
    """What one day of one table looks like."""

    table: str
    day: date
    identity: str
    """Of what it was made from; empty where that is not known or changed meanwhile: it is not to be kept."""

    values: Mapping[str, float | None]
    """By measure."""


@dataclass
class Profiles:
    """The profiles of a table around one of its days, which need not be published yet."""

    lake: Lake
    source: Source
    table: str
    staged: Staged | None = None
    """The day that is about to be published, in place of what is published of it."""

    measured: list[Profile] = field(default_factory=list)
    """Those that had to be measured, so far."""

    @cached_property
    def file(self) -> SqlFile:
        """The statement that measures a day."""
        return read_check(self.source, self.source.profiles / f"{self.table.replace('.', '_')}.sql")

    def of(self, days: Iterable[date]) -> list[Profile]:
        """The profiles of those days that have rows, by day: as they were kept, or measured now.

        Raises:
            LakeError: a table is not there, or a file of it is damaged.
            SqlFileError, duckdb.Error: the statement cannot be read or run.
        """
        snapshots = self._snapshots()
        there = {d for d, _, _ in snapshots[self.table].files} | ({self.staged.day} if self.staged else set())
        wanted = {day: self._identity(snapshots, day) for day in sorted(set(days) & there)}
        had = {p.day: p for p in self.measured} | self._kept(wanted)
        new = [self._measure(day, identity) for day, identity in wanted.items() if day not in had]
        self.measured += new
        return [profile for day, profile in sorted((had | {p.day: p for p in new}).items()) if day in wanted]

    def _snapshots(self) -> dict[str, Snapshot]:
        return {given.table: self.lake.snapshot(given.table) for given in self.file.inputs}

    def _identity(self, snapshots: Mapping[str, Snapshot], day: date) -> str:
        content = {table: snapshot.contents(day) for table, snapshot in snapshots.items()}
        if self.staged and self.staged.day == day:
            if not self.staged.digest:
                return ""
            content[self.table] = [self.staged.digest[:CONTENT]] if self.staged.n_rows else []
        text = json.dumps([self.file.compiled_sql, content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _kept(self, wanted: Mapping[date, str]) -> dict[date, Profile]:
        """Those of the wanted ones that were kept, whoever measured them, and however often."""
        found: dict[date, dict[str, float | None]] = {}
        try:
            snapshot = self.lake.snapshot(PROFILES)
            if not wanted or not snapshot.between(min(wanted), max(wanted)):
                return {}
            with self.lake.scratch() as con:
                scan = snapshot.select(con, min(wanted), max(wanted))
                rows = con.execute(f"{scan} where asset = ? order by profiled_at", [_asset(self.table)])
                for day, _, identity, measure, value, _ in rows.fetchall():
                    if identity and wanted.get(day) == identity:
                        found.setdefault(day, {})[measure] = value
        except (LakeError, duckdb.Error):  # a home from before there was such a table, or a damaged one
            return {}
        return {day: Profile(self.table, day, wanted[day], values) for day, values in found.items()}

    def _measure(self, day: date, identity: str) -> Profile:
        with self.lake.scratch() as con:
            for given in self.file.inputs:
                self._open(con, given, day)
            rows = con.execute(self.file.compiled_sql or "", {"dt": day}).fetchall()
        if self._identity(self._snapshots(), day) != identity:
            identity = ""  # published again while it was read: whose rows these are is not known
        return Profile(self.table, day, identity, {measure: value for _, measure, value in rows})

    def _open(self, con: duckdb.DuckDBPyConnection, given: Input, day: date) -> None:
        if not self.staged or (given.table, day) != (self.table, self.staged.day):
            open_table(con, self.lake, self.file, given, day)
            return
        group, name = map(quoted, given.table.split("."))
        con.execute(f"create schema if not exists {group}")
        path = path_literal(self.staged.path)
        # Not the folder's dt: the file itself must say its day.
        con.execute(f"create view {group}.{name} as from read_parquet({path}, hive_partitioning = false)")


def keep_profiles(lake: Lake, profiles: Sequence[Profile], *, profiled_at: datetime | None = None) -> None:
    """Append profiles whose identity is known, a commit for each.

    Args:
        lake: where they are kept.
        profiles: of days that are published by now.
        profiled_at: when they were measured, aware of its time zone; None: now.

    Raises:
        LakeError: they cannot be written.
    """
    at = (profiled_at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    for profile in profiles:
        if profile.identity and profile.values:
            rows = [
                {
                    "dt": profile.day,
                    "asset": _asset(profile.table),
                    "identity": profile.identity,
                    "measure": measure,
                    "value": value,
                    "profiled_at": at,
                }
                for measure, value in sorted(profile.values.items())
            ]
            lake.append(PROFILES, profile.day, pa.Table.from_pylist(rows, lake.snapshot(PROFILES).schema))


def as_rows(profiles: Iterable[Profile]) -> pa.Table:
    """Profiles as checks see them: ``dt``, ``measure``, ``value``."""
    rows = [(profile.day, *measured) for profile in profiles for measured in profile.values.items()]
    schema = pa.schema([("dt", pa.date32()), ("measure", pa.string()), ("value", pa.float64())])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def _asset(table: str) -> str:
    return table.replace(".", "/")
