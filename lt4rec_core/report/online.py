"""Online: the paper's Table 3, policies that rank by Eq. 3, in the simulator and on logged days."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lt4rec_core.experiments.policies import BEYOND, ORACLE, RANDOM, TABLE_3
from lt4rec_core.report import charts
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Block, Chart, Column, Gap, Kind, Section, Table, interval, told

Rows = Sequence[Mapping[str, Any]]
METRICS: Mapping[str, tuple[str, Kind]] = {
    "view_time": ("View time, s", "seconds"),
    "expected_view_time": ("Expected, s", "seconds"),
    "ndcg_at_10": ("NDCG at 10", "value"),
    "gauc": ("GAUC", "value"),
    "cvr": ("CVR", "share"),
    "ctr": ("CTR", "share"),
    "cvr_mse": ("CVR MSE", "value"),
    "cvr_mse_true_clicked": ("to the truth, clicked", "value"),
    "cvr_mse_true_not_clicked": ("not clicked", "value"),
}
"""Metrics in the order of their columns; others follow under their own names."""

LEADING = ("view_time", "ndcg_at_10")
"""What policies are compared by: the first of these that was measured."""

ORDER = [*(policy.name for policy in (*TABLE_3, *BEYOND)), RANDOM, ORACLE]


def online(lake: Lake) -> Section:
    """Table 3, once for simulated users and once for the logged test days."""
    rows = lake.ask("table_three")
    return Section(
        "online",
        "Table 3: online",
        "What the rows of Table 2 are worth where they decide what is shown: policies rank by "
        "pCTR · pCVR · length (Eq. 3). Every policy meets the same requests, so differences are paired.",
        [rows] if isinstance(rows, Gap) else list(_table_three(rows)),
    )


def _table_three(rows: Rows) -> Iterator[Block]:
    for data in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == data]
        lead = next((name for name in LEADING if any(row["metric"] == name for row in mine)), "")
        dots = [_dot(row) for row in mine if row["metric"] == lead and _is_compared(row)]
        dots.sort(key=lambda dot: _place(dot["name"]))
        if dots:
            yield Chart(
                f"chart-online-{data}",
                f"{METRICS[lead][0].removesuffix(', s')} against {mine[0]['reference']}, {data}",
                "With 95 % intervals over seeds. Full dots are better, open ones worse, grey ones level.",
                "; ".join(f"{dot['name']} {told(dot['value'], 'percent')}" for dot in dots) + ".",
                charts.intervals(dots, "relative difference", "+.1%"),
            )
        yield _table(data, mine, lead)


def _is_compared(row: Mapping[str, Any]) -> bool:
    """Truth and lots lie so far off that the policies would look alike beside them; the table has them."""
    return row["policy"] not in (row["reference"], ORACLE, RANDOM) and row["low"] is not None


def _dot(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["low"], row["high"]
    better = None if low <= 0 <= high else low > 0
    return {"name": row["policy"], "value": row["relative"], "low": low, "high": high, "better": better}


def _place(policy: str) -> tuple[int, str]:
    """The paper's policies first, the truth last."""
    return (ORDER.index(policy) if policy in ORDER else len(TABLE_3), policy)


def _table(data: str, rows: Rows, lead: str) -> Table:
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault(row["policy"], {"policy": row["policy"]})
        line[row["metric"]] = row["value"]
        if row["metric"] == lead and row["policy"] != row["reference"]:
            line |= {"difference": row["relative"], "interval": interval(row["low"], row["high"], "percent")}
    there = {row["metric"] for row in rows}
    names = [name for name in METRICS if name in there]
    names += sorted(there - set(names))
    values = [Column(name, *METRICS.get(name, (name.replace("_", " "), "value"))) for name in names]
    at = names.index(lead) + 1 if lead else 0
    compared = [Column("difference", "Difference", "percent"), Column("interval", "95 %", "interval")]
    n_seeds = max(row["n_seeds"] for row in rows)
    return Table(
        f"Table 3, {data}: test days up to {rows[0]['dt']}, {n_seeds} seeds",
        [Column("policy", "Policy"), *values[:at], *(compared if lead else []), *values[at:]],
        sorted(lines.values(), key=lambda line: _place(line["policy"])),
    )
