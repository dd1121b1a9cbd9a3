"""The rankers of the days: which is in use, how fast they are, how large."""

from collections.abc import Mapping, Sequence
from typing import Any

from lt4rec_core.report import charts
from lt4rec_core.report.blocks import Block, Chart, Column, Facts, Gap, Section, Table, told

PASS = "64"
"""Videos in the pass whose latency is drawn."""

MOST = 31
MAKE = "lt4rec backfill --from D --to D, once the ticket window is complete"


def ranker(manifests: Sequence[Mapping[str, Any]], in_use: str | None, gaps: Sequence[Gap] = ()) -> Section:
    """What each day's ranker's manifest says.

    Args:
        manifests: of the days of the report, by day.
        in_use: the day whose ranker is in use, of whatever range.
        gaps: what cannot be read.
    """
    blocks: list[Block] = [*gaps]
    if manifests:
        blocks += [_facts(manifests[-1], in_use), *_over_days(manifests), _table(manifests)]
    elif not gaps:
        blocks.append(Gap("serving/ranker", "there is none of these days", MAKE))
    return Section(
        "ranker",
        "The ranker",
        "The day's sNET made small: one pass scores all tasks. Latencies are of the machine that made it. "
        "It goes into use if the floors hold.",
        blocks,
    )


def _facts(newest: Mapping[str, Any], in_use: str | None) -> Facts:
    sizes, latency = newest.get("bytes", {}), newest.get("latency_ms", {})
    rows = [
        ("In use", f"of {in_use}" if in_use else "none yet"),
        ("Newest", newest["identity"]["day"]),
        ("Its size", told(sum(sizes.values()), "bytes")),
    ]
    rows += [(f"of that, {part}", told(size, "bytes")) for part, size in sizes.items()]
    rows += [
        (
            f"A pass over {told(int(size), 'count')}",
            f"{told(one['p50'], 'milliseconds')} ms, p99 {told(one['p99'], 'milliseconds')} ms",
        )
        for size, one in latency.items()
    ]
    return Facts([*rows, ("Floors", newest.get("promotion", {}).get("reason", "not told"))])


def _over_days(manifests: Sequence[Mapping[str, Any]]) -> list[Block]:
    lines = [
        {
            "day": m["identity"]["day"],
            "name": name,
            "value": m["latency_ms"][PASS][name],
            "low": None,
            "high": None,
        }
        for m in manifests
        for name in ("p50", "p99")
        if PASS in m.get("latency_ms", {})
    ]
    if len({line["day"] for line in lines}) < 2:
        return []
    days = sorted({line["day"] for line in lines})
    return [
        Chart(
            "chart-latency",
            f"Milliseconds of a pass over {PASS} videos",
            "Median and 99th percentile, measured when the ranker was made.",
            "; ".join(f"{line['day']} {line['name']} {line['value']:.2f}" for line in lines) + ".",
            charts.over_days(
                charts.label_ends(lines, "value"),
                days,
                {"p99": "var(--muted)", "p50": "var(--accent)"},
                shown=".2f",
            ),
        )
    ]


def _table(manifests: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    withdrawn = {one["digest"] for m in manifests for one in m.get("withdrawn", ())}
    for m in reversed(manifests[-MOST:]):
        latency, promotion = m.get("latency_ms", {}), m.get("promotion", {})
        rows.append(
            {
                "day": m["identity"]["day"],
                "use": "withdrawn" if m["digest"] in withdrawn else _use(promotion),
                "bytes": sum(m.get("bytes", {}).values()),
                "digest": m["digest"][:12],
                "reason": promotion.get("reason"),
                **{f"p50_{size}": one["p50"] for size, one in latency.items()},
                **{f"p99_{size}": one["p99"] for size, one in latency.items()},
            }
        )
    sizes = [size for size in ("1", PASS, "1024") if any(f"p50_{size}" in row for row in rows)]
    columns = [Column("day", "Day"), Column("use", "Floors"), Column("bytes", "Size", "bytes")]
    for size in sizes:
        columns += [
            Column(f"p50_{size}", f"{size}: p50 ms", "milliseconds"),
            Column(f"p99_{size}", "p99", "milliseconds"),
        ]
    return Table(
        "Rankers, the newest first",
        [*columns, Column("digest", "Digest"), Column("reason", "Because")],
        rows,
        note="Milliseconds of a pass over so many videos."
        + (f" The last {MOST} days." if len(manifests) > MOST else ""),
    )


def _use(promotion: Mapping[str, Any]) -> str:
    """What its own day said of it; a later day may withdraw it."""
    return "promoted" if promotion.get("promoted") else "not promoted"
