"""How good the days were: metrics with intervals, sNET beside the baseline, calibration, slices."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from lt4rec_core.report import charts
from lt4rec_core.report.ask import Lake
from lt4rec_core.report.blocks import Block, Chart, Column, Gap, Kind, Note, Section, Table, interval, told

SHADES = {"baseline": "var(--muted)", "snet": "var(--accent)"}
"""The model that the page is about in its one colour, drawn last, on top."""

MOST = 62
"""Days in the table; the charts have all."""

HEADLINES = (("ctr", "auc", "CTR AUC", "higher"), ("cvr", "mse", "CVR MSE", "lower"))
TRAINED = ("snet", "baseline")
NAMES = {"snet": "sNET", "baseline": "baseline", "constant": "constant", "oracle": "reachable"}
Rows = list[dict[str, Any]]


def metrics(lake: Lake) -> Section:
    """Each day, scored by the models of the day before."""
    found = lake.ask("daily_metrics")
    return Section(
        "days",
        "Day by day",
        "Each day is scored by the models of the day before, which never saw it. Intervals are 95 % over "
        "users. Means leave out the days that tickets were found on.",
        [found] if isinstance(found, Gap) else [*_charts(found), _summary(found), _by_day(found)],
    )


def _charts(rows: Rows) -> Iterator[Block]:
    days = sorted({str(row["dt"]) for row in rows})
    for task, metric, title, better in HEADLINES:
        mine = [row for row in rows if (row["task"], row["metric"]) == (task, metric)]
        # What is reachable, and a constant, lie so far off that sNET and the baseline would look alike.
        shown = [name for name in SHADES if any(row["model"] == name for row in mine)]
        lines = [_point(row) for row in mine if row["model"] in shown and row["value"] is not None]
        if not lines:
            continue
        yield Chart(
            f"chart-days-{task}-{metric}",
            title,
            f"{better.capitalize()} is better; the band is sNET's interval.",
            _told_means(rows, task, metric),
            charts.over_days(
                charts.label_ends(lines, "value"),
                days,
                {NAMES[name]: SHADES[name] for name in shown},
                shown=".4f",
            ),
        )


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "day": str(row["dt"]),
        "name": NAMES[row["model"]],
        "value": row["value"],
        "low": row["ci_low"],
        "high": row["ci_high"],
    }


def means(rows: Rows) -> dict[tuple[str, str, str], float]:
    """(model, task, metric) to the mean over the days after the ticket window on which it is defined."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if row["is_after_ticket_window"] and row["value"] is not None:
            values.setdefault((row["model"], row["task"], row["metric"]), []).append(row["value"])
    return {key: fmean(found) for key, found in values.items()}


def _told_means(rows: Rows, task: str, metric: str) -> str:
    found = means(rows)
    parts = [
        f"{name} {told(found[model, task, metric], 'value')}"
        for model, name in NAMES.items()
        if (model, task, metric) in found
    ]
    return (
        f"Means after the ticket window: {', '.join(parts)}."
        if parts
        else "No day lies after the ticket window."
    )


def _summary(rows: Rows) -> Block:
    found = means(rows)
    if not found:
        return Note("No day of the range lies after the ticket window, so there is no mean to tell yet.")
    keys = sorted({key[1:] for key in found}, key=_order)
    lines = []
    for task, metric in keys:
        line: dict[str, Any] = {NAMES[m]: found.get((m, task, metric)) for m in NAMES}
        line["measure"] = f"{task.upper()} {_metric_name(metric)}"
        if line["sNET"] is not None and line["baseline"] is not None:
            line["difference"] = line["sNET"] - line["baseline"]
        lines.append(line)
    n = len({row["dt"] for row in rows if row["is_after_ticket_window"]})
    columns = [
        Column("measure", "Measure"),
        *(Column(name, name if name == "sNET" else name.capitalize(), "value") for name in NAMES.values()),
        Column("difference", "sNET − baseline", "signed"),
    ]
    return Table(f"Means over the {n} days after the ticket window", columns, lines)


def _order(key: tuple[str, str]) -> tuple[int, str, int, str]:
    tasks, measures = ("ctr", "cvr", "ctcvr"), ("auc", "mse", "gauc", "log_loss", "pcoc")
    task, metric = key
    return (
        tasks.index(task) if task in tasks else len(tasks),
        task,
        measures.index(metric) if metric in measures else len(measures),
        metric,
    )


def _metric_name(metric: str) -> str:
    return {"log_loss": "log loss"}.get(metric, metric.upper())


def _by_day(rows: Rows) -> Block:
    """Both headlines of both models, a line a day."""
    lines: dict[Any, dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault(
            row["dt"], {"day": str(row["dt"]) + ("" if row["is_after_ticket_window"] else " *")}
        )
        name = f"{row['task']}_{row['metric']}_{row['model']}"
        line[name] = row["value"]
        if row["ci_low"] is not None:
            line[f"{name}_interval"] = interval(row["ci_low"], row["ci_high"], "value")
    for line in lines.values():
        for task, metric, *_ in HEADLINES:
            snet, dense = (line.get(f"{task}_{metric}_{model}") for model in TRAINED)
            if snet is not None and dense:
                line[f"{task}_{metric}"] = snet - dense if metric == "auc" else snet / dense - 1
    columns = [Column("day", "Day")]
    for task, metric, title, _ in HEADLINES:
        kind: Kind = "signed" if metric == "auc" else "percent"
        columns += [
            Column(f"{task}_{metric}_snet", f"{title} sNET", "value"),
            Column(f"{task}_{metric}_snet_interval", "95 %", "interval"),
            Column(f"{task}_{metric}_baseline", "baseline", "value"),
            Column(f"{task}_{metric}", "Difference", kind),
        ]
    older = len(lines) - MOST
    return Table(
        "sNET beside the baseline, by day",
        columns,
        list(lines.values())[-MOST:],
        note="* a day that tickets were found on. An MSE's difference is relative; below zero is better."
        + (f" {older} earlier days stand in evaluation.snet_against_baseline." if older > 0 else ""),
    )


def calibration(lake: Lake) -> Section:
    """Whether predictions mean what they say."""
    found = lake.ask("calibration")
    return Section(
        "calibration",
        "Calibration",
        "Ten parts, ordered by prediction: on the diagonal, what was predicted is what happened.",
        [found] if isinstance(found, Gap) else list(_calibration(found)),
    )


def _calibration(rows: Rows) -> Iterator[Block]:
    shades = {NAMES[name]: SHADES[name] for name in reversed(TRAINED)}
    for task in sorted({row["task"] for row in rows}, key=lambda task: _order((task, ""))):
        mine = [
            {**row, "n": int(row["n"]), "name": NAMES.get(row["model"], row["model"])}
            for row in rows
            if row["task"] == task
        ]
        gap = max(abs(r["predicted"] - r["actual"]) for r in mine if r["name"] == "sNET") if mine else 0.0
        columns = [
            Column("name", "Model"),
            Column("decile", "Part", "count"),
            Column("predicted", "Predicted", "value"),
            Column("actual", "Actual", "value"),
            Column("n", "Rows", "count"),
        ]
        yield Chart(
            f"chart-calibration-{task}",
            f"Calibration of {task.upper()}",
            f"sNET's largest distance from the diagonal is {told(gap, 'value')[:6]}.",
            "",
            charts.calibration(charts.label_ends(mine, "actual", 0.07), shades),
            Table(f"Calibration of {task.upper()}", columns, mine),
        )


def slices(lake: Lake) -> Section:
    """Where sNET does worse than the whole, and than the baseline."""
    found = lake.ask("slices")
    return Section(
        "slices",
        "Slices",
        "The same measures within parts of the impressions: means over the days, each counting by its rows, "
        "on the days on which both models were measured.",
        [found] if isinstance(found, Gap) else list(_slices(found)),
    )


def _slices(rows: Rows) -> Iterator[Block]:
    for task, metric, title, better in HEADLINES:
        mine = [
            {**row, "n": int(row["n"]), "difference": _difference(row), "is_all": row["slice"] == "all"}
            for row in rows
            if (row["task"], row["metric"]) == (task, metric)
        ]
        if not mine:
            continue
        sign = 1 if better == "higher" else -1
        mine.sort(key=lambda row: (not row["is_all"], sign * row["snet"], row["slice"]))
        yield Chart(
            f"chart-slices-{task}-{metric}",
            f"{title} by slice",
            f"{better.capitalize()} is better; the worst slice of sNET is at the top, below the whole.",
            "; ".join(f"{row['slice']} {told(row['snet'], 'value')}" for row in mine) + ".",
            charts.beside(
                [{"name": row["slice"], "value": row["snet"], "other": row["baseline"]} for row in mine],
                ("sNET", "baseline"),
                title,
            ),
            _slice_table(title, metric, mine),
        )


def _slice_table(title: str, metric: str, rows: Rows) -> Table:
    columns = [
        Column("slice", "Slice"),
        Column("n", "Rows", "count"),
        Column("snet", "sNET", "value"),
        Column("baseline", "Baseline", "value"),
        Column("difference", "Difference", "signed" if metric == "auc" else "percent"),
    ]
    return Table(f"{title} by slice, worst first", columns, rows, strong="is_all")


def _difference(row: Mapping[str, Any]) -> float | None:
    if row["metric"] == "auc":
        return float(row["snet"] - row["baseline"])
    return float(row["snet"] / row["baseline"] - 1) if row["baseline"] else None


def headline(found: Rows | Gap) -> Sequence[tuple[str, str]]:
    """Two numbers for the head of the page; none before there is a day after the ticket window."""
    mean = {} if isinstance(found, Gap) else means(found)
    told_: list[tuple[str, str]] = []
    for task, metric, title, _ in HEADLINES:
        snet, dense = (mean.get((model, task, metric)) for model in TRAINED)
        if snet is not None and dense:
            text = told(snet - dense, "signed") if metric == "auc" else told(snet / dense - 1, "percent")
            told_.append((f"{title}, sNET to baseline", text))
    return told_
