"""What the race found, as tables in the lake and as pictures: the body of the experiments' summary assets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np

from lt4rec_assets.metadata import markdown_table, picture
from lt4rec_assets.research import Research
from lt4rec_core.data.lake import Lake
from lt4rec_core.evaluation.plots import pruning_picture, scarcity_picture, sharing_picture
from lt4rec_core.experiments.ablation import ablate
from lt4rec_core.experiments.records import Cell
from lt4rec_core.experiments.tables import comparison_rows, rows_table
from lt4rec_core.model.masks import overlap
from lt4rec_core.model.variants import SCARCITY_ROWS
from lt4rec_core.training.tickets import Ticket

COMPARISON, SCARCITY = "experiments.offline_comparison", "experiments.label_scarcity"
ABLATIONS = "experiments.ablations"
TICKETS = "s_weight"
"""The row whose tickets the figures show."""

PARTS = ("shared", "only_first", "only_second", "unused")


def publish_comparison(research: Research, lake: Lake) -> dict[str, Any]:
    """Write Table 2 of the complete rows into the lake, and describe it.

    Raises:
        TrainingError: a single-task reference is not complete.
    """
    cells, missing = research.finished_cells(1.0)
    rows = comparison_rows(research.split.test[-1], research.compare(1.0, cells), cells)
    shown = ("variant", "metric", "value", "reference_value", "difference", "relative", "ci_low", "ci_high")
    return {
        **publish_rows(research, lake, COMPARISON, rows, research.split.test[-1]),
        "table_2": markdown_table([{c: row[c] for c in (*shown, "p_holm", "density_cvr")} for row in rows]),
        "rows_not_complete": ", ".join(missing) or "none",
    }


def publish_scarcity(research: Research, lake: Lake) -> dict[str, Any]:
    """Write the scarcity curve into the lake, and describe it.

    Raises:
        TrainingError: a single-task reference is not complete at some share.
    """
    rows: list[dict[str, Any]] = []
    cells: dict[float, list[Cell]] = {}
    missing = []
    for share in (1.0, *research.config.label_shares):
        found, not_complete = research.finished_cells(share)
        cells[share] = [cell for cell in found if cell.variant in SCARCITY_ROWS]
        missing += [f"{share:g} {name}" for name in not_complete if name in SCARCITY_ROWS]
        if cells[share]:
            compared = research.compare(share, cells[share])
            rows += comparison_rows(research.split.test[-1], compared, cells[share], label_share=share)
    shown = ("label_share", "variant", "metric", "value", "relative", "ci_low", "ci_high", "p_holm")
    return {
        **publish_rows(research, lake, SCARCITY, rows, research.split.test[-1]),
        "curve": picture(scarcity_curve(cells), "error against the share of CVR labels that is left"),
        "table": markdown_table([{c: row[c] for c in shown} for row in rows]),
        "cells_not_complete": ", ".join(missing) or "none",
    }


def publish_ablations(
    research: Research,
    lake: Lake,
    names: Sequence[str],
    on_fit: Callable[[str, int, Mapping[str, float]], None],
) -> dict[str, Any]:
    """Change one thing of each row at a time, on the validation days, and write what came of it.

    Raises:
        ConfigError: no such row.
    """
    day, race = research.split.valid[-1], research.race()
    rows = []
    for name in names:
        found = ablate(race, name, range(research.config.seeds), on_fit=on_fit)
        rows += [{"dt": day, **asdict(each)} for each in found]
    shown = ("variant", "change", "metric", "value", "difference", "ci_low", "ci_high")
    return {
        **publish_rows(research, lake, ABLATIONS, rows, day),
        "table": markdown_table([{c: row[c] for c in shown} for row in rows]),
    }


def table_two_pictures(research: Research) -> dict[str, Any]:
    """Figures 3 and 4 over the seeds of one row, and how far its two tickets overlap."""
    tickets = research.tickets(TICKETS)
    pairs = list(zip(tickets["ctr"], tickets["cvr"], strict=True))
    if not pairs:
        return {}
    overlaps = [overlap(ctr.mask, cvr.mask) for ctr, cvr in pairs]
    return {
        "jaccard": float(np.mean([o[-1].jaccard for o in overlaps])),
        "jaccard_by_chance": float(np.mean([o[-1].jaccard_by_chance for o in overlaps])),
        "figure_3": picture(figure_three(tickets), "sharing per layer"),
        "figure_4": picture(figure_four(tickets), "validation metric against remaining weights"),
    }


def figure_three(tickets: dict[str, list[Ticket]]) -> bytes:
    """Who uses each layer's weights, mean over seeds."""
    pairs = zip(tickets["ctr"], tickets["cvr"], strict=True)
    overlaps = [overlap(ctr.mask, cvr.mask) for ctr, cvr in pairs]
    layers = [layer.layer.removesuffix(".weight") for layer in overlaps[0]]
    counts = {
        told: [round(np.mean([getattr(o[i], part) for o in overlaps])) for i in range(len(layers))]
        for part, told in zip(PARTS, ("shared", "only ctr", "only cvr", "unused"), strict=True)
    }
    return sharing_picture(layers, counts, f"Who uses the weights: mean of {len(overlaps)} seeds")


def figure_four(tickets: dict[str, list[Ticket]]) -> bytes:
    """The validation metric of each round, mean over seeds with their range."""
    metrics, spread = {}, {}
    for task, found in tickets.items():
        name = f"{task.upper()} {found[0].metric.upper()}"
        values = np.array([[done.metric for done in ticket.rounds] for ticket in found])  # (seeds, rounds)
        metrics[name] = values.mean(axis=0).tolist()
        spread[name] = (values.min(axis=0).tolist(), values.max(axis=0).tolist())
    densities = [done.density for done in tickets["ctr"][0].rounds]
    n = len(tickets["ctr"])
    return pruning_picture(densities, metrics, f"Algorithm 1: mean and range of {n} seeds", spread=spread)


def scarcity_curve(cells: Mapping[float, Sequence[Cell]]) -> bytes:
    """Each row's metrics against the share of CVR labels that is left, with the range of its seeds.

    Args:
        cells: label share to its complete cells.
    """
    shares = [share for share, found in cells.items() if found]
    panels: dict[str, dict[str, list[list[float]]]] = {}
    for metric in ("cvr_mse", "ctr_auc"):
        rows: dict[str, list[list[float]]] = {}
        for name in SCARCITY_ROWS:
            values = [_values(cells[share], name, metric) for share in shares]
            if all(values):
                rows[name] = values
        panels[metric.replace("_", " ").upper()] = rows
    return scarcity_picture(shares, panels)


def _values(cells: Sequence[Cell], name: str, metric: str) -> list[float]:
    return [cell.metrics[metric] for cell in cells if cell.variant == name and metric in cell.metrics]


def publish_rows(
    research: Research, lake: Lake, table: str, rows: list[dict[str, Any]], day: date
) -> dict[str, Any]:
    """Replace what an experiment's table holds of a day; the numbers of the materialisation."""
    file = next(each for each in research.learning.project.records if each.table == table)
    found = rows_table(file, rows)
    published = lake.publish(lake.stage(table, day, found.to_reader()))
    return {"dagster/row_count": published.n_rows, "delta_version": published.version, "table": table}
