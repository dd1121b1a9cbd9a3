"""The figures the platform is calibrated to, measured on what it delivers.

``python -m lt4rec_core.data.simulator.report`` prints the table of ``docs/SOURCES.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lt4rec_core.data.simulator import default_days, generate


@dataclass(frozen=True)
class Figure:
    """One line of the calibration table."""

    name: str
    value: float
    wanted: str


def measure(first: date, last: date, settings: Mapping[str, Any]) -> list[Figure]:
    """Generate the days from ``first`` to ``last`` and measure them.

    Oracle figures compare labels with their own truth: no model that sees less can be expected to do better.
    """
    days, log, rows, cold, took = (last - first).days + 1, [], [], [], 0.0
    n_delivered = 0
    for offset in range(days):
        started = time.process_time()
        tables = generate(first + timedelta(days=offset), settings)
        took += time.process_time() - started

        n_delivered += tables["impressions"].num_rows
        clean = _clean(tables["impressions"], tables["truth"])
        log.append(clean)
        rows.append(tables["truth"].num_rows)
        cold.append(
            [
                _share_unknown(clean["user_id"], tables["users"]["user_id"]),
                _share_unknown(clean["video_id"], tables["videos"]["video_id"]),
            ]
        )
    clean = pa.concat_tables(log)
    return _figures(clean, np.array(rows), np.mean(cold, axis=0), n_delivered, took)


def _figures(clean: pa.Table, rows: NDArray, cold: NDArray, n_delivered: int, took: float) -> list[Figure]:
    is_click, p_click = clean["is_click"].to_numpy(), clean["p_click"].to_numpy()
    duration, play = clean["duration_ms"].to_numpy(), clean["play_ms"].to_numpy()
    ratio, expected = (
        np.minimum(play / duration, 1)[is_click],
        clean["expected_watch_ratio"].to_numpy()[is_click],
    )
    per_video, per_user = (np.sort(_counts(clean[name]))[::-1] for name in ("video_id", "user_id"))
    short, long = np.quantile(duration[is_click], [0.25, 0.75])

    return [
        Figure("impressions", int(rows.sum()), "at least 400,000 in 14 days"),
        Figure("impressions per CPU second", n_delivered / took, "at least 200,000"),
        Figure("share of rows to reject", 1 - clean.num_rows / n_delivered, "about 0.005"),
        Figure("CTR", is_click.mean(), "about 0.41"),
        Figure("mean watch ratio of a click", ratio.mean(), "about 0.55"),
        Figure("share of watch ratios that are 1", (ratio == 1).mean(), "a peak"),
        Figure("share of watch ratios below 0.05", (ratio < 0.05).mean(), "a peak"),
        Figure(
            "watch ratio, shortest quarter of clicks", ratio[duration[is_click] <= short].mean(), "more than"
        ),
        Figure("watch ratio, longest quarter of clicks", ratio[duration[is_click] >= long].mean(), "this"),
        Figure("median duration in seconds", np.median(duration) / 1000, "about 70"),
        Figure("share of the top 1 % of videos", _top(per_video, 0.01), "about 0.17"),
        Figure("share of the top 10 % of videos", _top(per_video, 0.1), "about 0.60"),
        Figure("share of the top 10 % of users", _top(per_user, 0.1), "long-tailed"),
        Figure("users seen", len(per_user), ""),
        Figure("videos seen", len(per_video), ""),
        Figure("impressions by users who joined that day", cold[0], "some"),
        Figure("impressions of videos uploaded that day", cold[1], "some"),
        Figure("busiest day over quietest", rows.max() / rows.min(), "above 1"),
        Figure("CTR AUC of the oracle", auc(is_click, p_click), "0.75 to 0.80"),
        Figure("CVR MSE of the oracle", np.mean((ratio - expected) ** 2), "clearly below"),
        Figure("CVR MSE of the constant", ratio.var(), "this"),
    ]


def auc(label: NDArray, score: NDArray) -> float:
    """Chance that a clicked impression has the higher score; scores are taken to be all different."""
    order = np.argsort(score)
    rank = np.empty(len(score))
    rank[order] = np.arange(1, len(score) + 1)
    n_1 = label.sum()
    return float((rank[label].sum() - n_1 * (n_1 + 1) / 2) / (n_1 * (len(label) - n_1)))


def as_table(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | measured | wanted |", "|---|---:|---|"]
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.4f}"
        lines.append(f"| {figure.name} | {value} | {figure.wanted} |")
    return "\n".join(lines)


def _clean(log: pa.Table, truth: pa.Table) -> pa.Table:
    """The rows that screening accepts, with their truth."""
    key = ["date", "time_ms", "user_id", "video_id"]
    fine = pc.and_(pc.greater_equal(log["play_ms"], 0), pc.greater(log["duration_ms"], 0))
    log = log.filter(fine)  # a lost play is NULL, and NULL does not pass
    values = [name for name in log.column_names if name in ("is_click", "play_ms", "duration_ms")]
    once = log.group_by(key).aggregate([(name, "max") for name in values])
    once = once.rename_columns([name.removesuffix("_max") for name in once.column_names])
    return once.join(truth, key)


def _counts(ids: pa.ChunkedArray) -> NDArray:
    return pc.value_counts(ids).field("counts").to_numpy()


def _top(counts: NDArray, share: float) -> float:
    return float(counts[: max(1, round(share * len(counts)))].sum() / counts.sum())


def _share_unknown(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> float:
    return 1 - pc.mean(pc.cast(pc.is_in(ids, value_set=known.combine_chunks()), pa.float64())).as_py()


def main() -> None:
    """Generate the days and print the calibration table."""
    first, last = default_days()
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=first, metavar="DAY")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=last, metavar="DAY")
    parser.add_argument("--settings", type=json.loads, default={}, help="such as '{\"shared_taste\": 0.2}'")
    asked = parser.parse_args()
    print(as_table(measure(asked.first, asked.last, asked.settings)))


if __name__ == "__main__":
    main()
