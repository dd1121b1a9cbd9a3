"""The race: the paper's Table 2, and the curve of scarce labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.report import charts
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Block, Chart, Column, Gap, Kind, Section, Table, interval, told

Rows = list[dict[str, Any]]


class Measure(NamedTuple):
    """How one metric of Table 2 is told."""

    key: str
    title: str
    reference: str
    verdict: str
    kind: Kind
    """Of its differences: an MSE's are relative to the reference."""

    shown: str
    better: str


MEASURES = (
    Measure("cvr_mse", "CVR MSE", "base_cvr", "cvr_verdict", "percent", "+.1%", "left of zero"),
    Measure("ctr_auc", "CTR AUC", "base_ctr", "ctr_verdict", "signed", "+.3f", "right of zero"),
)


def offline(lake: Lake) -> Section:
    """Table 2: every row against its single-task reference."""
    return Section(
        "race",
        "Table 2: the race",
        "Every row was tuned with the same budget on the validation days and scored on test days with frozen "
        "settings. Differences are of pairs of runs with one seed; intervals are t intervals over seeds.",
        [*_table_two(lake.ask("table_two")), *_scarcity(lake.ask("scarcity"))],
    )


def _table_two(rows: Rows | Gap) -> Iterator[Block]:
    if isinstance(rows, Gap):
        yield rows
        return
    order = {name: i for i, name in enumerate(VARIANTS)}
    rows = sorted(rows, key=lambda row: (order.get(row["variant"], len(order)), row["variant"]))
    for measure in MEASURES:
        dots = [_dot(row, measure) for row in rows if row[f"{measure.key}_difference"] is not None]
        if dots:
            yield Chart(
                f"chart-race-{measure.key.replace('_', '-')}",
                f"{measure.title} against {measure.reference}",
                f"With 95 % intervals; {measure.better} is better. Full dots are better, open ones worse, "
                "grey ones level.",
                "; ".join(f"{dot['name']} {told(dot['value'], measure.kind)}" for dot in dots) + ".",
                charts.intervals(
                    dots,
                    "relative difference" if measure.kind == "percent" else "difference",
                    measure.shown,
                ),
            )
    n_seeds = max(row["n_seeds"] for row in rows)
    yield Table(
        f"Table 2: test days up to {rows[0]['dt']}, {n_seeds} seeds",
        _columns_of_two(),
        [_line_of_two(row) for row in rows],
        note="In bold: told apart from its reference in either task, p below 0.05 after Holm's "
        "correction over all rows and both tasks.",
        strong="is_sure",
    )
    there = {row["variant"] for row in rows}
    if not_raced := [name for name in VARIANTS if name not in there]:
        why = f"these rows are not complete: {', '.join(not_raced)}"
        yield Gap("experiments/variant_run", why, "lt4rec race")


def _dot(row: Mapping[str, Any], measure: Measure) -> dict[str, Any]:
    """A row's difference and its interval, in the units that are told."""
    difference = row[f"{measure.key}_difference"]
    scale = row[measure.key] - difference if measure.kind == "percent" else 1.0  # the reference's value
    value, low, high = (x / scale for x in (difference, *_ends(row, measure)))
    better = None if low <= 0 <= high else (high < 0) == (measure.kind == "percent")
    return {"name": row["variant"], "value": value, "low": low, "high": high, "better": better}


def _ends(row: Mapping[str, Any], measure: Measure) -> tuple[float, float]:
    return row[f"{measure.key}_ci_low"], row[f"{measure.key}_ci_high"]


def _columns_of_two() -> list[Column]:
    columns = [Column("variant", "Row"), Column("variant_group", "Kind")]
    for measure in MEASURES:
        columns += [
            Column(measure.key, measure.title, "value"),
            Column(f"{measure.key}_told", "Difference", measure.kind),
            Column(f"{measure.key}_interval", "95 %", "interval"),
        ]
    return [*columns, Column("density", "Density", "share")]


def _line_of_two(row: Mapping[str, Any]) -> dict[str, Any]:
    line = dict(row)
    line["density"] = row["density_cvr"] if row["density_cvr"] is not None else row["density_ctr"]
    line["is_sure"] = any(row[measure.verdict] in ("better", "worse") for measure in MEASURES)
    for measure in MEASURES:
        if row[f"{measure.key}_difference"] is not None:
            dot = _dot(row, measure)
            line[f"{measure.key}_told"] = dot["value"]
            line[f"{measure.key}_interval"] = interval(dot["low"], dot["high"], measure.kind)
    return line


def _scarcity(rows: Rows | Gap) -> Iterator[Block]:
    if isinstance(rows, Gap):
        yield rows
        return
    columns = [
        Column("label_share", "CVR labels", "share"),
        Column("variant", "Row"),
        Column("n_seeds", "Seeds", "count"),
        Column("value", "CVR MSE", "value"),
        Column("relative", "To base_cvr", "percent"),
        Column("interval", "95 %", "interval"),
    ]
    yield Table("Fewer CVR labels: rows that saw a share of them", columns, _with_interval(rows))


def _with_interval(rows: Sequence[Mapping[str, Any]]) -> Rows:
    return [{**row, "interval": interval(row["low"], row["high"], "percent")} for row in rows]
