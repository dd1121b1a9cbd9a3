"""``make demo``: simulate 14 days, materialise the graph, and say what came out of it."""

import os
from collections.abc import Iterable
from time import monotonic
from typing import Any

from lt4rec_assets.backfill import closing_lines, run_backfill
from lt4rec_assets.settings import Settings, read_settings
from lt4rec_core.data.analyst import connect, query

IGNORED = ("LT4REC_SOURCE", "LT4REC_SOURCE_PATH", "LT4REC_START", "LT4REC_END")
"""The demo shows the simulator's own days, whatever the shell is set to."""

METRICS = """
    pivot (
        select dt, is_after_ticket_window, model || '_' || task || '_' || metric as measure, value
        from evaluation.daily_metrics
        where slice = 'all' and (task, metric) in (('ctr', 'auc'), ('cvr', 'mse'))
    ) on measure using any_value(value) order by dt
"""
COLUMNS = {
    "snet_ctr_auc": "sNET",
    "baseline_ctr_auc": "baseline",
    "oracle_ctr_auc": "reachable",
    "snet_cvr_mse": "sNET",
    "baseline_cvr_mse": "baseline",
    "constant_cvr_mse": "constant",
    "oracle_cvr_mse": "reachable",
}


def run_demo() -> int:
    """Run the demo in the configured home; 0 when everything is green."""
    env = {k: v for k, v in os.environ.items() if k not in IGNORED}
    settings = read_settings(env)
    if settings.end is None:
        raise AssertionError("a generated source has a last day of its own")
    started = monotonic()
    _say(f"lt4rec demo: {settings.start} to {settings.end}, simulated, into {settings.home}")
    outcome = run_backfill(settings, settings.start, settings.end, say=_say)
    for line in (*closing_lines(outcome), "", *_counts(settings), "", *_table(settings), ""):
        _say(line)
    _say(f"{monotonic() - started:.0f} s. Everything above is in the UI: make ui, then http://127.0.0.1:3000")
    return 0 if outcome.ok else 1


def _counts(settings: Settings) -> Iterable[str]:
    rows = _ask(
        settings,
        """
        select
            count(*) as delivered,
            count(*) filter (where reject_reason is null) as accepted,
            count(*) filter (where reject_reason is null and is_click) as clicks
        from samples.screened_impressions
        """,
    )
    row = rows[0]
    yield (
        f"{row['delivered']:,} impressions delivered, {row['accepted']:,} accepted, "
        f"{row['clicks']:,} clicks (CTR {row['clicks'] / max(row['accepted'], 1):.3f})"
    )


def _table(settings: Settings) -> Iterable[str]:
    yield f"{'next day':<12}{'CTR AUC (up is good)':^30}{'CVR MSE (down is good)':^42}"
    yield f"{'':<12}" + "".join(f"{title:>10}" for title in COLUMNS.values())
    rows = _ask(settings, METRICS)
    for row in rows:
        mark = "" if row["is_after_ticket_window"] else "  *"
        yield f"{row['dt']!s:<12}" + "".join(_number(row.get(name)) for name in COLUMNS) + mark
    after = [row for row in rows if row["is_after_ticket_window"]]
    if after:
        means = {n: sum(row[n] for row in after) / len(after) for n in COLUMNS if after[0].get(n) is not None}
        yield f"{'mean':<12}" + "".join(_number(means.get(name)) for name in COLUMNS)
    yield "* tickets were found on these days; the mean leaves them out"
    yield from _tickets(settings)


def _tickets(settings: Settings) -> Iterable[str]:
    from lt4rec_assets.learning import Learning
    from lt4rec_assets.project import Project
    from lt4rec_core.model.masks import density, overlap

    learning = Learning.of(Project.of(settings))
    masks = learning.found_masks()
    for task, mask in masks.items():
        yield f"ticket of {task}: density {density(mask):.3f} of the trunk's weights"
    if len(masks) == len(settings.tasks):
        total = overlap(masks["ctr"], masks["cvr"])[-1]
        yield (
            f"overlap of the tickets (Jaccard): {total.jaccard:.3f}, by chance {total.jaccard_by_chance:.3f}"
        )


def _ask(settings: Settings, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(connect(settings.home), text).to_arrow_table().to_pylist()
    return rows


def _number(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.4f}"


def _say(line: str) -> None:
    print(line, flush=True)
