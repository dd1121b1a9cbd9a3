"""Pictures that are drawn every day, as SVG text: a few kB each and some milliseconds all together.

``plots`` draws with matplotlib what is drawn once; its import and its layout would cost a daily run more
than the intervals of the metrics do.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lt4rec_core.evaluation.metrics import Floats, auc_score
from lt4rec_core.evaluation.plots import COLOURS, roc_points

WIDTH, HEIGHT = 420, 340
LEFT, RIGHT, TOP, BOTTOM = 54, 404, 36, 288
"""The frame of the plot, in pixels."""

N_BINS = 20
GREY = "#d5d4d2"
Points = tuple[Sequence[float] | Floats, Sequence[float] | Floats]


def roc_sketch(curves: Mapping[str, tuple[Floats, Floats]], title: str) -> str:
    """ROC curves of (labels, scores), (n,) both, one per model; one of a single class is left out.

    Returns:
        The text of an SVG picture, as all sketches.
    """
    lines: dict[str, Points] = {}
    for name, (labels, scores) in curves.items():
        auc = auc_score(labels, scores)
        if np.isfinite(auc):
            lines[f"{name}, AUC {auc:.4f}"] = roc_points(np.asarray(labels) == 1, np.asarray(scores))
    labels_ = ("false positive rate", "true positive rate")
    return _chart(title, *labels_, lines, diagonal=True, legend_at=(230, 240))


def calibration_sketch(lines: Mapping[str, Points], title: str) -> str:
    """Mean label against mean prediction of each part, (predicted, actual), a line per model."""
    top = max((float(np.max(part)) for line in lines.values() for part in line if len(part)), default=1.0)
    return _chart(title, "predicted", "actual", lines, limit=_round_up(top), diagonal=True, dots=True)


def watch_ratio_sketch(actual: Floats, predicted: Mapping[str, Floats], title: str) -> str:
    """How many clicks were watched how far: bars of what happened, a line per model of what it foretold."""
    edges = np.linspace(0, 1, N_BINS + 1)

    def shares(values: Floats) -> Floats:
        return 100 * np.histogram(values, edges)[0] / max(len(values), 1)

    middles = (edges[1:] + edges[:-1]) / 2
    lines: dict[str, Points] = {name: (middles, shares(values)) for name, values in predicted.items()}
    bars = shares(actual)
    top = max(float(np.max(y)) for y in (bars, *(line[1] for line in lines.values())))
    return _chart(
        title,
        "watch ratio",
        "share of clicks, %",
        lines,
        y_limit=_round_up(1.35 * top),
        bars=bars,
        legend_at=(230, 52),
    )


def day_sketches(predictions: pa.Table, day: str) -> dict[str, str]:
    """ROC of CTR and the watch ratios of the clicks, of a day of ``evaluation.predictions``."""
    curves, foretold, watched = {}, {}, np.empty(0)
    for model in sorted(pc.unique(predictions["model"]).to_pylist()):
        rows = predictions.filter(pc.equal(predictions["model"], model))
        curves[model] = (_floats(rows, "is_click"), _floats(rows, "p_ctr"))
        clicks = rows.filter(rows["is_click"])
        watched, foretold[model] = _floats(clicks, "watch_ratio"), _floats(clicks, "p_cvr")
    return {
        "roc": roc_sketch(curves, f"ROC of CTR, {day}"),
        "watch_ratio": watch_ratio_sketch(watched, foretold, f"Watch ratio of the clicks, {day}"),
    }


def calibration_sketches(calibration: pa.Table, day: str) -> dict[str, str]:
    """Predicted against actual of each task, of a day of ``evaluation.calibration``."""
    sketches = {}
    for task in sorted(pc.unique(calibration["task"]).to_pylist()):
        rows = calibration.filter(pc.equal(calibration["task"], task))
        lines: dict[str, Points] = {}
        for model in sorted(pc.unique(rows["model"]).to_pylist()):
            own = rows.filter(pc.equal(rows["model"], model)).sort_by("decile")
            lines[model] = (_floats(own, "predicted"), _floats(own, "actual"))
        sketches[f"calibration_{task}"] = calibration_sketch(lines, f"Calibration of {task.upper()}, {day}")
    return sketches


def _floats(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows[name].cast(pa.float64()).to_numpy(), float)


def _round_up(value: float) -> float:
    """The next round number, so that axes end in one and so do their quarters, nearly."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))
    )


def _chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Mapping[str, Points],
    *,
    limit: float = 1.0,
    y_limit: float | None = None,
    bars: Floats | None = None,
    diagonal: bool = False,
    dots: bool = False,
    legend_at: tuple[int, int] = (70, 52),
) -> str:
    """Lines from 0 to the limits, over bars where there are some."""
    y_limit = limit if y_limit is None else y_limit

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + (RIGHT - LEFT) * x / limit, BOTTOM - (BOTTOM - TOP) * y / y_limit

    parts = list(_frame(title, x_label, y_label, limit, y_limit))
    if bars is not None:
        wide = (RIGHT - LEFT) / len(bars)
        for i, share in enumerate(bars):
            top = at(0, share)[1]
            parts.append(
                f'<rect x="{LEFT + i * wide + 1:.1f}" y="{top:.1f}" width="{wide - 2:.1f}" '
                f'height="{BOTTOM - top:.1f}" fill="{GREY}"/>'
            )
    if diagonal:
        parts.append(f'<path d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}" stroke="{GREY}" fill="none"/>')
    for i, (name, (xs, ys)) in enumerate(lines.items()):
        colour, points = COLOURS[i % len(COLOURS)], [at(x, y) for x, y in zip(xs, ys, strict=True)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(
            f'<path d="M{path}" stroke="{colour}" stroke-width="1.6" fill="none"/>' if points else ""
        )
        if dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, y = legend_at[0], legend_at[1] + 17 * i
        parts.append(f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">{escape(name)}</text>')
    if bars is not None:
        x, y = legend_at[0], legend_at[1] + 17 * len(lines)
        parts.append(f'<rect x="{x}" y="{y - 9}" width="18" height="9" fill="{GREY}"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">what happened</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#37352f">'
        f"{''.join(parts)}</svg>"
    )


def _frame(title: str, x_label: str, y_label: str, x_limit: float, y_limit: float) -> Iterable[str]:
    """A white ground, title, grid, numbers along the axes and what they mean."""
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield f'<text x="{(LEFT + RIGHT) / 2}" y="22" text-anchor="middle" font-size="14">{escape(title)}</text>'
    for i in range(5):
        x, y = LEFT + (RIGHT - LEFT) * i / 4, BOTTOM - (BOTTOM - TOP) * i / 4
        yield f'<path d="M{x} {TOP}V{BOTTOM}M{LEFT} {y}H{RIGHT}" stroke="#eeeeee"/>'
        yield f'<text x="{x}" y="{BOTTOM + 16}" text-anchor="middle">{x_limit * i / 4:g}</text>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{y_limit * i / 4:g}</text>'
    yield f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>'
    turned = f"translate(14 {(TOP + BOTTOM) / 2}) rotate(-90)"
    yield f'<text transform="{turned}" text-anchor="middle">{escape(y_label)}</text>'
