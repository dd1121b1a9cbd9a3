"""The features of ``source.toml`` on one delivered day, as the project's own statements encode them."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from lt4rec_core.catalogue import Feature, Fragment
from lt4rec_core.data.duck import first_line, quoted
from lt4rec_core.data.source_check.delivery import Delivery, count_distinct, statement
from lt4rec_core.data.source_check.facts import FeatureFacts
from lt4rec_core.data.sqlfile import Column, SqlFile, read_sql_file

ENCODED_IN = {"user": "features.user_features", "video": "features.video_features"}
EMPTY = ("samples.clicks", "samples.conversions", "features.user_daily_stats", "features.video_daily_stats")
"""What was before the day, or follows it: there is none yet."""

MAX_VALUES = 30
"""A text column of no more different values suits a vocabulary."""

MIN_BUCKETS = 16
Q = [i / 10 for i in range(1, 10)]


def measure_features(
    delivery: Delivery, sql_root: Path, entities: Mapping[str, SqlFile], day: date
) -> list[FeatureFacts]:
    """Encode one day, and count buckets.

    Args:
        delivery: with ``source.users``, ``source.videos`` and, of the day, ``source.impression_log``.
        sql_root: the project's ``sql/`` folder.
        entities: side ('user', 'video') -> the source's statement for it.
        day: which.

    Returns:
        Each feature in the catalogue's order, then columns of users and videos that no feature uses.
    """
    return _Encoder(delivery, sql_root, entities, day).facts()


def suggested_buckets(n_distinct: int) -> int:
    """A power of two of at least twice as many buckets as values: two in five of them then share a bucket."""
    return max(MIN_BUCKETS, 1 << max(2 * n_distinct - 1, 1).bit_length())


def _n_used(f: Feature) -> str:
    return f"list_unique(flatten(list({f.column})))" if f.kind == "list" else f"count(distinct {f.column})"


class _Encoder:
    def __init__(
        self, delivery: Delivery, sql_root: Path, entities: Mapping[str, SqlFile], day: date
    ) -> None:
        self.delivery, self.sql_root, self.entities, self.day = delivery, sql_root, entities, day
        self.catalogue = delivery.source.catalogue
        self.fragments = self.catalogue.fragments()

    def facts(self) -> list[FeatureFacts]:
        for table in EMPTY:
            self.delivery.keep_empty(self._file(table))
        for table in ("samples.screened_impressions", "samples.impressions"):
            self._make(self._file(table))
        faults = {f.name: fault for side in ENCODED_IN for f, fault in self._faults(side)}
        # Those that can be encoded are, whatever the others lack.
        sound = [f for f in self.catalogue.features if f.name not in faults]
        rows = {side: self._encoded(side, [f for f in sound if f.side == side]) for side in ENCODED_IN}
        rows["context"] = self._encoded_context([f for f in sound if f.side == "context"])
        found = [self._fact(f, faults.get(f.name, ""), rows[f.side]) for f in self.catalogue.features]
        return found + [fact for side in ENCODED_IN for fact in self._unused(side)]

    def _file(self, table: str, fragments: Mapping[str, Fragment] | None = None) -> SqlFile:
        path = self.sql_root / f"{table.replace('.', '/')}.sql"
        return read_sql_file(path, table=table, fragments={**self.fragments, **(fragments or {})})

    def _make(self, file: SqlFile) -> None:
        self.delivery.make(file.table, statement(file), file, self.day)

    def _fragment(self, features: list[Feature]) -> Fragment:
        chosen = [(f"{self.catalogue.encode(f)} as {f.column}", f) for f in features]
        chosen = chosen or [("0 as f_none", None)]  # type: ignore[list-item]
        return Fragment(", ".join(sql for sql, _ in chosen), ())

    def _faults(self, side: str) -> Iterator[tuple[Feature, str]]:
        """Features whose input cannot be encoded, and what DuckDB says of the project's statement then."""
        features = list(self.catalogue.side(side))
        if not self._refused(side, features):
            return
        own = ", ".join(c.name for c in self.entities[side].columns if c.name != "dt")
        for f in features:
            if why := self._refused(side, [f]):
                yield (
                    f,
                    f"feature {f.name!r} cannot be computed from {f.input!r}: {why}. "
                    f"Its input is one of {own}, or what docs/SOURCES.md lists of the 7 days before.",
                )

    def _refused(self, side: str, features: list[Feature]) -> str:
        file = self._file(ENCODED_IN[side], {f"{side}_features": self._fragment(features)})
        try:
            self.delivery.rows(file, self.day, "describe {}")
        except duckdb.Error as error:
            return first_line(error).partition("! Candidate")[0]
        return ""

    def _encoded(self, side: str, features: list[Feature]) -> dict[str, Any]:
        file = self._file(ENCODED_IN[side], {f"{side}_features": self._fragment(features)})
        return self._counted(file, features)

    def _encoded_context(self, features: list[Feature]) -> dict[str, Any]:
        none = {f"{side}_features": Fragment("0 as f_none", ()) for side in ENCODED_IN}
        for table in ENCODED_IN.values():
            self._make(self._file(table, none))
        carried = {name: Fragment(f"0 as {name}", ()) for name in ("user_columns", "video_columns")}
        carried["context_features"] = self._fragment(features)
        carried["context_columns"] = Fragment(
            ", ".join(f"i.{f.column}" for f in features) or "0 as f_none", ()
        )
        return self._counted(self._file("training.samples", carried), features)

    def _counted(self, file: SqlFile, features: list[Feature]) -> dict[str, Any]:
        parts = ["count(*) as n"]
        for f in features:
            empty = f"{f.column} = []" if f.kind == "list" else f"{f.column} = 0"
            parts += [
                f"{_n_used(f)} as {quoted(f'used {f.name}')}",
                f"count(*) filter (where {empty}) as {quoted(f'missing {f.name}')}",
            ]
        return self.delivery.rows(file, self.day, f"select {', '.join(parts)} from ({{}})")[0]

    def _fact(self, f: Feature, fault: str, counted: Mapping[str, Any]) -> FeatureFacts:
        where = self._where(f)
        if fault or where is None:
            return FeatureFacts(f, f.input if where is None else f"{where[0]}.{f.input}", fault=fault)
        table, column = where
        n_used, n = counted[f"used {f.name}"], counted["n"]
        missing = counted[f"missing {f.name}"] / n if n else None
        n_distinct, suggestion = self._profile(table, column, f.kind == "list", f.buckets is not None)
        remark = ""
        if missing == 1:
            remark = f"feature {f.name!r} is missing for all: {table}.{f.input} has no value that is encoded."
        elif n_used == 1 and n > 1:
            remark = (
                f"feature {f.name!r} is constant on {self.day}: all have one bucket. It tells nothing apart."
            )
        elif f.buckets is not None and n_distinct is not None and n_distinct > f.buckets:
            remark = (
                f"feature {f.name!r} has {f.buckets:,} buckets for {n_distinct:,} different values: "
                f"most share one. {suggestion} would not."
            )
        return FeatureFacts(f, f"{table}.{f.input}", n_used, missing, n_distinct, suggestion, remark=remark)

    def _where(self, f: Feature) -> tuple[str, Column] | None:
        """The delivered table and column that a feature is computed from; None: the seven days before."""
        if f.input == f"{f.side}_id":
            return "impression_log", Column(f.input, "varchar")
        if f.side == "context":
            if f.input in ("hour", "weekday"):
                return "impression_log", Column(f.input, "")
            return "impression_log", next(
                c for c in self._file("samples.impressions").columns if c.name == f.input
            )
        own = {c.name: c for c in self.entities[f.side].columns}
        return (f"{f.side}s", own[f.input]) if f.input in own else None

    def _profile(
        self, table: str, column: Column, is_list: bool = False, is_hashed: bool = False
    ) -> tuple[int | None, str]:
        """How many different values a column has, and how it could be encoded; a hash stays one."""
        if not column.type:
            return None, ""
        name = quoted(column.name)
        source = f"select {name} as x from source.{table}"
        if table == "impression_log":
            source = f"select {name} as x from delivered.log"
        is_list = is_list or column.type.endswith("[]")
        if is_list:
            source = f"select unnest(x) as x from ({source})"
        con = self.delivery.con
        n = count_distinct(con, source, ["x"])[0]
        if is_hashed:
            return n, f"buckets = {suggested_buckets(n):_}"
        kind = column.type.removesuffix("[]")
        if kind in ("integer", "bigint", "double") and not is_list:
            cuts = con.execute(f"select approx_quantile(x::double, {Q}) from ({source})").fetchone() or (
                None,
            )
            edges = sorted({float(f"{cut:.4g}") for cut in cuts[0] or [] if cut is not None})
            return n, f"bins = [{', '.join(f'{edge:g}' for edge in edges)}]" if edges else ""
        if kind in ("date", "timestamp"):
            return n, f"its age, as in ($dt - {column.name})"
        if n <= MAX_VALUES and kind in ("varchar", "boolean"):
            distinct = f"select distinct x::varchar from ({source}) where x is not null"
            seen = con.execute(f"{distinct} order by 1 limit {MAX_VALUES}").fetchall()
            texts = [str(row[0]) for row in seen]
            if texts and all(text.isprintable() and len(text) <= 20 and '"' not in text for text in texts):
                return n, "values = [" + ", ".join(f'"{text}"' for text in texts) + "]"
        return n, f"buckets = {suggested_buckets(n):_}"

    def _unused(self, side: str) -> list[FeatureFacts]:
        used = {f.input for f in self.catalogue.side(side)} | {"dt", f"{side}_id"}
        found = []
        for column in self.entities[side].columns:
            if column.name not in used:
                n_distinct, suggestion = self._profile(f"{side}s", column)
                found.append(
                    FeatureFacts(None, f"{side}s.{column.name}", n_distinct=n_distinct, suggestion=suggestion)
                )
        return found
