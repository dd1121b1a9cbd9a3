"""What a source delivers against the contract of ``source.impression_log``, before anything is materialised.

It runs the source's own statements and then the project's, for the days that were delivered: what screening
would reject is what ``samples/screened_impressions.sql`` rejects, and a feature has the buckets that the SQL
of ``features`` and ``training`` gives it. Nothing is written but to a temporary folder that goes.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from lt4rec_core.data.duck import first_line, literal, printable
from lt4rec_core.data.source_check.delivery import Delivery, count_distinct, open_delivery
from lt4rec_core.data.source_check.facts import ColumnFacts, Limits, RawFacts, SourceReport
from lt4rec_core.data.source_check.features import measure_features
from lt4rec_core.data.source_check.verdict import judge
from lt4rec_core.data.sources import REQUIRED, Source
from lt4rec_core.data.sqlfile import Column, SqlFile, read_sql_file
from lt4rec_core.errors import Lt4recError

LOG, USERS, VIDEOS, TRUTH = (f"source.{t}" for t in ("impression_log", "users", "videos", "truth"))
EXAMPLES_PER_REASON = 3
SOME_DAY = date(2000, 1, 1)
"""For statements that yield all days, and must be given one."""

A_DAY = "dt between date '1900-01-01' and date '2199-12-31'"
"""Years beyond are a mistake of the file, and some of them no date of Python's."""


def check_source(
    source: Source,
    sql_root: str | Path,
    *,
    source_path: str | Path | None,
    params: Mapping[str, Any],
    days: Sequence[date],
    day: date | None = None,
    max_rows: int | None = None,
    labels: Sequence[str] = (),
    limits: Limits | None = None,
    memory_limit: str = "512MB",
) -> SourceReport:
    """Read what a source delivers, and say how it fits.

    Args:
        source: which.
        sql_root: the project's ``sql/`` folder, whose statements judge.
        source_path: where the source's files lie.
        params: values of the parameters of SQL files.
        days: which days a generated source makes; of one that reads files, the first day wanted, if there
            is one. Entities and features are looked at as of the first of them that the log has.
        day: look at this day alone.
        max_rows: read no more rows of the log than so many.
        labels: columns that further tasks learn, such as ``is_like``: each must have values.
        limits: what is a problem, what is worth a note.
        memory_limit: DuckDB's; what does not fit spills to the temporary folder.

    Returns:
        The report. What is wrong with files, statements or rows is a problem in it, not an error.

    Raises:
        SqlFileError: a file of the project's own SQL cannot be read.
    """
    report = SourceReport(source, is_partial=max_rows is not None)
    checker = _Checker(report, Path(sql_root), day)
    with open_delivery(source, source_path, params, memory_limit=memory_limit) as delivery:
        try:
            checker.run(delivery, list(days), max_rows)
        except duckdb.Error as error:
            report.problems.append(
                f"what was read cannot be measured: {first_line(error)}. Narrow it down: --day, --rows."
            )
    if report.days:
        judge(report, limits or Limits(), [] if source.generator or day else days, labels)
    return report


def _column(column: Column, n_values: int, n_distinct: int) -> ColumnFacts:
    # The estimate may say more than there are rows.
    return ColumnFacts(column.name, column.type, column.name in REQUIRED, n_values, min(n_distinct, n_values))


class _Checker:
    """Fills a report in the order in which things can be looked at; what fails is noted and passed over."""

    def __init__(self, report: SourceReport, sql_root: Path, only: date | None) -> None:
        self.report, self.sql_root, self.only = report, sql_root, only
        self.screened = read_sql_file(sql_root / "samples" / "screened_impressions.sql")

    def problem(self, text: object) -> None:
        if str(text) not in self.report.problems:
            self.report.problems.append(str(text))

    def run(self, delivery: Delivery, days: list[date], max_rows: int | None) -> None:
        generated = self.report.source.generator is not None
        day = self.only or (days[0] if days else SOME_DAY)
        files = self._read_files()
        sound = [table for table, file in files.items() if self._fits(delivery, file, day)]
        if LOG in sound:
            runs = days if generated and self.only is None else [day]
            try:
                delivery.keep_log(files[LOG], runs, self.only, max_rows)
            except Lt4recError as error:
                sound.remove(LOG)
                self.problem(error)
        self._measure_raw(delivery, files)
        if LOG in sound and self._measure_days(delivery, files[LOG], days):
            self._screen(delivery)
            if {USERS, VIDEOS} <= set(files):
                self._measure_entities(delivery, files, sound)
        try:
            delivery.require_unchanged()
        except Lt4recError as error:
            self.problem(error)

    def _read_files(self) -> dict[str, SqlFile]:
        found = {}
        for table in (LOG, USERS, VIDEOS, TRUTH):
            path = self.report.source.folder / f"{table.removeprefix('source.')}.sql"
            if table == TRUTH and not path.exists():
                continue
            try:
                found[table] = read_sql_file(path, table=table)
            except Lt4recError as error:
                self.problem(error)
        return found

    def _fits(self, delivery: Delivery, file: SqlFile, day: date) -> bool:
        """Whether a statement runs on what there is and yields what its header, and the contract, ask for."""
        faults = self._faults_of_header(file)
        try:
            yielded = delivery.yielded(file, day)
        except Lt4recError as error:
            self.problem(error)
            return False
        declared = [(c.name, c.type) for c in file.columns]
        faults += [
            f"column {i} is {y[0]} {y[1]}, its header says {d[0]} {d[1]}"
            for i, (y, d) in enumerate(zip(yielded, declared, strict=False), start=1)
            if y != d
        ]
        if len(yielded) != len(declared):
            faults.append(f"it yields {len(yielded)} columns, its header declares {len(declared)}")
        if faults:
            self.problem(f"{file.path} does not keep the contract: {'; '.join(faults)}. See docs/SOURCES.md.")
        return not faults

    def _faults_of_header(self, file: SqlFile) -> list[str]:
        declared = {c.name: c.type for c in file.columns}
        wanted = {c.name: c.type for c in self._contract(file)}
        if file.table == LOG and (extra := [name for name in declared if name not in wanted]):
            self.report.notes.append(
                f"{file.path} yields {', '.join(extra)}, which nothing reads. Is it of users or videos?"
            )
        return [
            f"{name} {type_} is missing"
            if name not in declared
            else f"{name} is {declared[name]}, not {type_}"
            for name, type_ in wanted.items()
            if declared.get(name) != type_
        ]

    def _contract(self, file: SqlFile) -> list[Column]:
        """Of the log, what screening reads; of the entities, the id."""
        if file.table == LOG:
            return [c for c in self.screened.columns if c.name != "reject_reason"]
        ids = {USERS: ["user_id"], VIDEOS: ["video_id"]}.get(file.table, [])
        return [Column("dt", "date"), *(Column(name, "varchar") for name in ids)]

    def _measure_raw(self, delivery: Delivery, files: Mapping[str, SqlFile]) -> None:
        inputs = [given for file in files.values() for given in file.inputs if given.is_raw]
        for name, paths in delivery.files_of.items():
            read = [given.columns for given in inputs if given.table == f"raw.{name}"]
            known = {column for columns in read for column in columns or ()}
            try:
                unread = [c for c in delivery.columns_of(name) if c not in known and None not in read]
                n_bytes = sum(path.stat().st_size for path in paths)
            except (Lt4recError, OSError):
                continue  # a problem already
            self.report.raw[name] = RawFacts(len(paths), n_bytes, tuple(map(printable, unread)))

    def _measure_days(self, delivery: Delivery, log: SqlFile, days: Sequence[date]) -> bool:
        report, con = self.report, delivery.con
        days_file = read_sql_file(self.sql_root / "source_check" / "days.sql")
        report.days = delivery.rows(days_file, SOME_DAY, f"select * from ({{}}) where {A_DAY} order by dt")
        (report.n_rows,) = con.execute("select count(*) from delivered.log").fetchall()[0]
        if odd := report.n_rows - int(report.total("n_rows")):
            found = con.execute(
                f"select {', '.join(f'{c.name}::varchar as {c.name}' for c in log.columns)} "
                f"from delivered.log where ({A_DAY}) is not true limit 1"
            )
            row = dict(zip([d[0] for d in found.description or []], found.fetchall()[0], strict=True))
            self.problem(
                f"{odd:,} of {report.n_rows:,} rows have a day that cannot be read or lies outside 1900 to "
                f"2199, so they belong to no partition; one of them: "
                f"{printable(str({k: v for k, v in row.items() if v is not None}))}. "
                f"Correct the files, or how {log.path} reads dt."
            )
        if not report.days:
            wanted = f" on {self.only}" if self.only else ""
            self.problem(
                f"the log has no row with a day{wanted}. Are all files there, and is it a day of theirs?"
            )
            return False
        there = [row["dt"] for row in report.days]
        report.day = next((d for d in (self.only, *days) if d in there), there[0])
        contract = self._contract(log)[1:]
        distinct = count_distinct(con, "from delivered.log", [c.name for c in contract])
        median = "select approx_quantile(duration_ms, 0.5) from delivered.log where duration_ms > 0"
        report.median_duration_ms = con.execute(median).fetchall()[0][0]
        report.columns = [ColumnFacts("dt", "date", True, int(report.total("n_rows")), len(there))] + [
            _column(c, int(report.total(f"n_{c.name}")), n) for c, n in zip(contract, distinct, strict=True)
        ]
        return True

    def _screen(self, delivery: Delivery) -> None:
        """Count what the project's own screening rejects, a day at a time as it runs."""
        rejected, kept = self.report.rejected, dict[str, int]()
        count = "select reject_reason, count(*) as n from ({}) where reject_reason is not null group by all"
        for day in (row["dt"] for row in self.report.days):
            delivery.show_day(day)
            for found in delivery.rows(self.screened, day, f"{count} order by all"):
                reason = found["reject_reason"]
                rejected[reason] = rejected.get(reason, 0) + found["n"]
                if left := EXAMPLES_PER_REASON - kept.get(reason, 0):
                    first = f"where reject_reason = {literal(reason)} order by all limit {left}"
                    examples = delivery.rows(self.screened, day, f"select * from ({{}}) {first}")
                    self.report.examples += examples
                    kept[reason] = kept.get(reason, 0) + len(examples)

    def _measure_entities(
        self, delivery: Delivery, files: Mapping[str, SqlFile], sound: Sequence[str]
    ) -> None:
        report = self.report
        assert report.day is not None
        delivery.show_day(report.day)
        for table in (USERS, VIDEOS):
            delivery.keep_empty(files[table])
            try:
                if table in sound:
                    delivery.keep_table(files[table], report.day)
            except Lt4recError as error:
                self.problem(error)
        report.references = delivery.rows(
            read_sql_file(self.sql_root / "source_check" / "references.sql"), report.day
        )
        entities = {"user": files[USERS], "video": files[VIDEOS]}
        report.features = measure_features(delivery, self.sql_root, entities, report.day)
