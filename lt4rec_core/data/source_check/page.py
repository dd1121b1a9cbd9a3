"""A source report as lines of text."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lt4rec_core.data.duck import printable
from lt4rec_core.data.source_check.facts import FeatureFacts, SourceReport
from lt4rec_core.data.sources import REQUIRED

MAX_DAYS = 40
"""Days that are listed one by one; of more, the first and the last."""

CELL = 28


def lines_of(report: SourceReport) -> Iterator[str]:
    """The report, a section after the other; the verdict comes last, where a terminal shows it."""
    source = report.source
    yield f"source {source.name} ({_near(source.folder)}), days in {source.time_zone}"
    if report.is_partial:
        yield "only the first rows were read (--rows): shares and days are of these"
    yield from _raw(report)
    if report.days:
        yield from _columns(report)
        yield from _labels(report)
        yield from _days(report)
        yield from _references(report)
        yield from _features(report)
        yield from _rejected(report)
    yield from _verdict(report)


def _raw(report: SourceReport) -> Iterator[str]:
    if report.raw:
        yield from _title("raw inputs")
    for name, raw in report.raw.items():
        files = (
            f"{raw.n_files} file(s), {_size(raw.n_bytes)}" if raw.n_files else "no file, and it may lack them"
        )
        if report.source.generator is not None and not raw.n_files:
            files = f"made by {report.source.generator}"
        yield f"raw.{name}: {files}" + (f"; not read: {', '.join(raw.unread)}" if raw.unread else "")


def _columns(report: SourceReport) -> Iterator[str]:
    yield from _title(f"source.impression_log: {report.n_rows:,} rows")
    n_rows = report.total("n_rows")
    rows = [
        (
            c.name,
            c.type,
            "required" if c.is_required else "",
            _share(1 - c.n_values / n_rows),
            f"{c.n_distinct:,}",
        )
        for c in report.columns
    ]
    yield from _table(("column", "type", "", "NULL", "different"), rows, "<<<>>")


def _labels(report: SourceReport) -> Iterator[str]:
    clicks, ratios = report.total("n_clicks"), report.total("n_ratios")
    yield ""
    yield f"click rate: {_share(_over(clicks, report.total('n_is_click')))}, {int(clicks):,} clicks"
    mean = _number(_over(report.total("watch_ratio_sum"), ratios))
    yield (
        f"watch ratio of a click: mean {mean}, capped at 1; "
        f"{_share(_over(report.total('n_above_one'), ratios))} above 1 before, "
        f"{_share(_over(clicks - ratios, clicks))} without one"
    )


def _days(report: SourceReport) -> Iterator[str]:
    days = report.days
    yield from _title(f"days: {len(days)}, {days[0]['dt']} to {days[-1]['dt']}")
    shown: Sequence[dict[str, Any] | None] = days
    if len(days) > MAX_DAYS:
        shown = [*days[: MAX_DAYS // 2], None, *days[-MAX_DAYS // 2 :]]
    rows = [
        ("...", "", "", "")
        if d is None
        else (
            str(d["dt"]),
            f"{d['n_rows']:,}",
            _share(_over(d["n_clicks"], d["n_is_click"])),
            _number(_over(d["watch_ratio_sum"], d["n_ratios"])),
        )
        for d in shown
    ]
    yield from _table(("day", "rows", "click rate", "watch ratio"), rows, "<>>>")


def _references(report: SourceReport) -> Iterator[str]:
    if not report.references:
        return
    yield from _title(f"users and videos, as of {report.day}")
    for row in report.references:
        kind = row["table_name"].removeprefix("source.")
        unlisted = _share(_over(row["rows_unlisted"], row["n_rows"]))
        yield (
            f"{row['table_name']}: {row['n_listed']:,} listed; of {row['n_in_log']:,} {kind} in the log, "
            f"{row['n_unlisted']:,} are not listed, in {unlisted} of the day's rows"
        )


def _features(report: SourceReport) -> Iterator[str]:
    declared = [fact for fact in report.features if fact.feature is not None]
    if declared:
        yield from _title(f"features of source.toml, on {report.day}")
        rows = [_feature(fact) for fact in declared]
        yield from _table(
            ("feature", "from", "values", "buckets used", "missing", "suggested"), rows, "<<>>><"
        )
    unused = [fact for fact in report.features if fact.feature is None]
    if unused:
        yield from _title("columns that no feature uses")
        rows = [(fact.column, f"{fact.n_distinct or 0:,}", fact.suggestion) for fact in unused]
        yield from _table(("column", "values", "suggested"), rows, "<><")


def _feature(fact: FeatureFacts) -> tuple[str, ...]:
    f = fact.feature
    assert f is not None
    if fact.fault:
        return (f.name, fact.column, "", "cannot be computed", "", "")
    if fact.n_used is None:
        return (f.name, fact.column, "", "7 days before", "", "")
    n_distinct = "" if fact.n_distinct is None else f"{fact.n_distinct:,}"
    of = "" if f.kind == "list" or f.shares else f" of {f.n_buckets:,}"
    return (
        f.name,
        fact.column,
        n_distinct,
        f"{fact.n_used:,}{of}",
        _share(fact.missing_share),
        fact.suggestion if f.buckets is not None else "",
    )


def _rejected(report: SourceReport) -> Iterator[str]:
    n_rows = int(report.total("n_rows"))
    yield from _title(
        f"screening: {n_rows - report.n_rejected:,} accepted, {report.n_rejected:,} rejected "
        f"({_share(report.n_rejected / n_rows)})"
    )
    for reason, n in sorted(report.rejected.items(), key=lambda item: -item[1]):
        yield f"{reason}: {n:,} ({_share(n / n_rows)}), as in"
        for row in (row for row in report.examples if row["reject_reason"] == reason):
            known = (k for k, v in row.items() if k in REQUIRED or (v is not None and k != "reject_reason"))
            yield "  " + " ".join(f"{k}={_cell(row[k])}" for k in known)


def _verdict(report: SourceReport) -> Iterator[str]:
    for title, texts in (("worth a look", report.notes), ("problems", report.problems)):
        if texts:
            yield from _title(title)
            yield from (f"- {text}" for text in texts)
    yield ""
    if report.ok:
        yield "READY: this can be materialised" + ("; worth a look: see above." if report.notes else ".")
    else:
        yield f"NOT READY: {len(report.problems)} problem(s), see above. Nothing was written."


def _title(text: str) -> Iterator[str]:
    yield ""
    yield text
    yield "-" * len(text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> Iterator[str]:
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        cells = (f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _near(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _cell(value: Any) -> str:
    text = "NULL" if value is None else printable(str(value))
    return text if len(text) <= CELL else text[: CELL - 3] + "..."


def _over(a: float, b: float) -> float | None:
    return a / b if b else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"
