"""The tickets: the paper's Figure 3 (who uses the weights) and Figure 4 (what pruning costs)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lt4rec_core.model.masks import Overlap, overlap
from lt4rec_core.report import charts, figures
from lt4rec_core.report.blocks import Block, Chart, Column, Gap, Section, Table, told
from lt4rec_core.training.tickets import Ticket

PARTS = {"shared": "shared", "only_first": "only CTR", "only_second": "only CVR", "unused": "unused"}
MAKE = "lt4rec backfill --from D --to D up to the end of the ticket window"
SHADES = {
    "shared": "var(--accent)",
    "only CTR": "var(--accent-2)",
    "only CVR": "var(--accent-3)",
    "unused": "var(--line)",
}


@dataclass(frozen=True)
class Drawn:
    """Tickets that belong together: a home's, or those of the seeds of one row of the race."""

    id: str
    """For anchors: letters and hyphens."""

    title: str
    tickets: Mapping[str, Sequence[Ticket]]
    """By task, one a seed; ``ctr`` and ``cvr`` are equally many."""


def sharing(found: Sequence[Drawn], gaps: Sequence[Gap]) -> Section:
    """Figures 3 and 4 of each set of tickets."""
    blocks: list[Block] = [*gaps]
    if not found and not gaps:
        blocks.append(Gap("tickets/ticket", "none was found yet", MAKE))
    for drawn in found:
        blocks += [*_figure_three(drawn), *_figure_four(drawn)]
    return Section(
        "sharing",
        "Figures 3 and 4: the tickets",
        "Each task sees the trunk through a mask of its own. How much they share is held against two masks "
        "of the same density drawn by chance: more than that is structure that the tasks found to be common.",
        blocks,
    )


def _figure_three(drawn: Drawn) -> Iterator[Block]:
    pairs = zip(drawn.tickets["ctr"], drawn.tickets["cvr"], strict=True)
    overlaps = [overlap(ctr.mask, cvr.mask) for ctr, cvr in pairs]
    # A file need not keep its layers in order; what stands for all of them comes last.
    order = sorted(
        range(len(overlaps[0])), key=lambda i: (overlaps[0][i].layer == "all", overlaps[0][i].layer)
    )
    rows = [_layer([each[i] for each in overlaps]) for i in order]
    layers = [row["layer"] for row in rows]
    parts = [part for row in rows for part in _parts(row)]
    whole = rows[-1]
    jaccard = f"Jaccard {told(whole['jaccard'], 'value')[:5]}, by chance {told(whole['chance'], 'value')[:5]}"
    yield Chart(
        f"chart-sharing-{drawn.id}",
        f"Figure 3: who uses the weights, {drawn.title}",
        "How large a share of a layer's weights both tasks keep, only one, or none.",
        "Over all layers "
        + ", ".join(f"{name} {told(whole[key] / whole['n'], 'share')}" for key, name in PARTS.items())
        + ".",
        figures.sharing(parts, layers, SHADES),
        Table(
            f"Weights by who keeps them, {drawn.title}",
            [
                Column("layer", "Layer"),
                Column("n", "Weights", "count"),
                *(Column(key, name.capitalize(), "count") for key, name in PARTS.items()),
                Column("jaccard", "Jaccard", "value"),
                Column("chance", "By chance", "value"),
            ],
            rows,
        ),
    )
    yield Chart(
        f"chart-jaccard-{drawn.id}",
        f"Overlap beside chance, {drawn.title}",
        "What both keep over what either keeps: dots of the tickets, ticks of random masks as dense.",
        f"Over all layers: {jaccard}.",
        charts.beside(
            [{"name": row["layer"], "value": row["jaccard"], "other": row["chance"]} for row in rows],
            ("tickets", "chance"),
            "Jaccard index",
            zero=True,
            shown=".2f",
        ),
    )


def _layer(seeds: Sequence[Overlap]) -> dict[str, Any]:
    """The mean of one layer over seeds; counts are rounded."""
    counts = {key: round(fmean(getattr(each, key) for each in seeds)) for key in ("n", *PARTS)}
    return {
        "layer": "all layers" if seeds[0].layer == "all" else seeds[0].layer.removesuffix(".weight"),
        **counts,
        "jaccard": fmean(each.jaccard for each in seeds),
        "chance": fmean(each.jaccard_by_chance for each in seeds),
    }


def _parts(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A layer's bar in pieces, from the left."""
    start = 0.0
    for key, name in PARTS.items():
        share = row[key] / row["n"]
        yield {
            "layer": row["layer"],
            "part": name,
            "n": row[key],
            "share": share,
            "start": start,
            "end": start + share,
            "middle": start + share / 2,
        }
        start += share


def _figure_four(drawn: Drawn) -> Iterator[Block]:
    for task, seeds in drawn.tickets.items():
        if not seeds:
            continue
        rounds = [_round(seeds, i) for i in range(len(seeds[0].rounds))]
        metric = f"{task.upper()} {seeds[0].metric.upper()}"
        best = "higher" if seeds[0].metric == "auc" else "lower"
        band = "one standard error" if len(seeds) == 1 else f"the range of {len(seeds)} seeds"
        yield Chart(
            f"chart-pruning-{task}-{drawn.id}",
            f"Figure 4: {metric} against remaining weights, {drawn.title}",
            f"On the validation day, the dense network on the left; {best} is better. The band is {band}.",
            "; ".join(f"{told(r['density'], 'share')} remain: {told(r['value'], 'value')}" for r in rounds)
            + ".",
            figures.pruning(rounds, metric),
        )


def _round(seeds: Sequence[Ticket], i: int) -> dict[str, Any]:
    done = [ticket.rounds[i] for ticket in seeds]
    values = [each.metric for each in done]
    spread = done[0].standard_error if len(seeds) == 1 else 0.0
    return {
        "density": fmean(each.density for each in done),
        "value": fmean(values),
        "low": min(values) - spread,
        "high": max(values) + spread,
        "chosen": _chosen(sum(ticket.best_i == i for ticket in seeds), len(seeds)),
    }


def _chosen(n: int, of: int) -> str:
    """What stands at a round that became the ticket of so many seeds."""
    if n == 0:
        return ""
    return "ticket" if n == of else f"{n} of {of}"
