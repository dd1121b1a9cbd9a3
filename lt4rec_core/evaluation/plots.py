"""The pictures: small PNGs for the UI, readable on their own, drawn without a display.

matplotlib is imported inside the functions: it costs a second that most runs need not pay.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from lt4rec_core.evaluation.metrics import CalibrationTable, Floats, auc_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0b6e99", "#d9730d", "#6940a5", "#0f7b6c", "#9b9a97", "#b3261e", "#8a6d3b")
"""Told apart by colour-blind readers too; models and tasks take them in the order given."""

MAX_POINTS = 400
"""A curve is thinned to this many points: finer is invisible and only makes the file larger."""


def roc_picture(curves: Mapping[str, tuple[Floats, Floats]], title: str) -> bytes:
    """ROC curves of (labels, scores), (n,) both, one per name (a model); one of a single class is left out.

    Returns:
        A PNG file's bytes, as all pictures here.
    """
    figure, axes = _figure(title, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1)
    for (name, (labels, scores)), colour in zip(curves.items(), _colours(), strict=False):
        auc = auc_score(labels, scores)
        if np.isfinite(auc):
            false_rate, true_rate = roc_points(np.asarray(labels) == 1, np.asarray(scores))
            axes.plot(false_rate, true_rate, color=colour, label=f"{name} (AUC {auc:.4f})")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    return _png(figure, axes, legend="lower right")


def roc_points(is_positive: np.ndarray, scores: np.ndarray) -> tuple[Floats, Floats]:
    """The corners of a ROC curve from (0, 0) to (1, 1), rising with falling threshold; ties are one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    true = np.append(0, np.cumsum(is_positive[order])[ends])
    false = np.append(0, np.cumsum(~is_positive[order])[ends])
    thin = np.unique(np.linspace(0, len(true) - 1, MAX_POINTS).round().astype(int))
    return false[thin] / false[-1], true[thin] / true[-1]


def calibration_picture(tables: Mapping[str, CalibrationTable], title: str) -> bytes:
    """Mean label against mean prediction of each bin, a line per name (a model); the diagonal is ideal."""
    figure, axes = _figure(title, "predicted", "actual")
    largest = max((max(t.predicted.max(), t.actual.max()) for t in tables.values() if len(t.n)), default=1.0)
    largest = float(largest) * 1.05 or 1.0
    axes.plot([0, largest], [0, largest], color="#cccccc", linewidth=1)
    for (name, table), colour in zip(tables.items(), _colours(), strict=False):
        axes.plot(table.predicted, table.actual, marker="o", markersize=4, color=colour, label=name)
    axes.set_xlim(0, largest)
    axes.set_ylim(0, largest)
    axes.set_aspect("equal")
    return _png(figure, axes, legend="upper left")


def pruning_picture(
    densities: Sequence[float],
    metrics: Mapping[str, Sequence[float]],
    title: str,
    chosen: Mapping[str, int] | None = None,
    spread: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> bytes:
    """How a validation metric moves as weights are removed (the paper's Figure 4): one panel per metric.

    Args:
        densities: share of weights that remain in each round, in (0, 1], the dense network first.
        metrics: name (``"CTR AUC"``, ``"CVR MSE"``) to its value in each round; NaN where not measured.
        title: what is pruned.
        chosen: name to the round whose mask became that task's ticket; it is marked.
        spread: name to the lowest and highest value in each round, of several seeds; drawn as a band.
    """
    figure, panels = _panels(len(metrics), title)
    for axes, (name, values), colour in zip(panels, metrics.items(), _colours(), strict=False):
        if spread and name in spread:
            low, high = spread[name]
            axes.fill_between([100 * d for d in densities], low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot([100 * density for density in densities], values, marker="o", markersize=4, color=colour)
        if chosen and name in chosen:
            x, y = 100 * densities[chosen[name]], values[chosen[name]]
            axes.plot(x, y, "o", color="#cf222e", markersize=7, label="ticket")
            axes.legend(frameon=False)
        axes.invert_xaxis()  # pruning goes from left to right
        axes.set_xlabel("remaining weights, %")
        axes.set_ylabel(name)
    return _png(figure)


def sharing_picture(
    layers: Sequence[str], counts: Mapping[str, Sequence[int]], title: str = "Who uses the weights"
) -> bytes:
    """Bars per layer of who keeps how large a share of its weights (the masks of the paper's Figure 3).

    Args:
        layers: names of the layers, from the input on.
        counts: ``"only ctr"``, ``"only cvr"``, ``"shared"``, ``"unused"`` or the like to the number of
            weights in each layer; drawn from the bottom in this order.
        title: what is shown.
    """
    figure, axes = _figure(title, "", "share of the layer's weights, %")
    totals = np.maximum(np.sum([np.asarray(values) for values in counts.values()], axis=0), 1)
    bottom = np.zeros(len(layers))
    for (name, values), colour in zip(counts.items(), _colours(), strict=False):
        shares = 100 * np.asarray(values) / totals
        shown = "#e3e2e0" if name == "unused" else colour
        bars = axes.bar(layers, shares, bottom=bottom, color=shown, label=name, width=0.6)
        text = [f"{share:.0f}" if share >= 5 else "" for share in shares]
        axes.bar_label(bars, text, label_type="center", color="black" if name == "unused" else "white")
        bottom += shares
    axes.set_ylim(0, 100)
    return _png(figure, axes, legend="outside")


def scarcity_picture(
    shares: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
    title: str = "Fewer CVR labels",
) -> bytes:
    """How rows fare as labels get scarce: a panel per metric, a line per row through the means of its seeds.

    Args:
        shares: of the labels, in (0, 1].
        panels: metric to row to, for each share, the values of its seeds; their range is drawn as a bar.
        title: what is shown.
    """
    figure, all_axes = _panels(len(panels), title)
    names = dict.fromkeys(name for rows in panels.values() for name in rows)
    colours = dict(zip(names, _colours(), strict=False))  # a row has the same one in every panel
    for axes, (metric, rows) in zip(all_axes, panels.items(), strict=True):
        for number, (name, values) in enumerate(rows.items()):
            x = [100 * share * 1.04**number for share in shares]  # side by side, that bars can be told apart
            means = [float(np.mean(seeds)) for seeds in values]
            low = [mean - min(seeds) for mean, seeds in zip(means, values, strict=True)]
            high = [max(seeds) - mean for mean, seeds in zip(means, values, strict=True)]
            axes.errorbar(
                x,
                means,
                yerr=[low, high],
                marker="o",
                markersize=4,
                capsize=2,
                color=colours[name],
                label=name,
            )
        axes.set_xscale("log")
        axes.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
        axes.minorticks_off()
        axes.invert_xaxis()  # scarcer to the right
        axes.set_xlabel("CVR labels that are left, %")
        axes.set_ylabel(metric)
    return _png(figure, all_axes[0], legend="outside")


def exponents_picture(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    title: str = "View time against one exponent of Eq. 3, the others at 1",
) -> bytes:
    """What the exponents of the rank score are worth: a panel per exponent, a line per policy.

    Args:
        panels: exponent to policy to its values and the view time at each, in seconds per request.
        title: what is shown.
    """
    figure, all_axes = _panels(len(panels), title)
    for axes, (exponent, lines) in zip(all_axes, panels.items(), strict=True):
        for (name, (x, y)), colour in zip(lines.items(), _colours(), strict=False):
            axes.plot(x, y, marker="o", markersize=4, color=colour, label=name)
        axes.set_xlabel(f"exponent {exponent}")
        axes.set_ylabel("view time, seconds per request")
    return _png(figure, all_axes[0], legend="outside")


def _colours() -> Iterable[str]:
    while True:
        yield from COLOURS


def _figure(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    figure, (axes,) = _panels(1, title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _panels(n: int, title: str) -> "tuple[Figure, Sequence[Axes]]":
    """Panels side by side; the figure belongs to no global state, so threads may draw at once."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * max(n, 1), 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(1, max(n, 1), squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, panels


def _png(figure: "Figure", axes: "Axes | None" = None, legend: str = "") -> bytes:
    if axes is not None and axes.get_legend_handles_labels()[0]:
        if legend == "outside":
            # Panels share most of their lines: each is named once.
            found = [ax.get_legend_handles_labels() for ax in figure.axes]
            named = {
                label: line for lines, labels in found for line, label in zip(lines, labels, strict=True)
            }
            figure.legend(named.values(), named, frameon=False, loc="outside lower center", ncols=4)
        else:
            axes.legend(frameon=False, loc=legend)
    file = BytesIO()
    # Without the library's name and version the same data give the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
