"""The paper's Figures 3 and 4 as Vega-Lite: how tickets share the trunk, and what pruning costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from lt4rec_core.report.charts import ACCENT, INK, Row, layered, measure, shaded, tooltip


def sharing(rows: Sequence[Row], layers: Sequence[str], shades: Mapping[str, str]) -> dict[str, Any]:
    """Bars of who keeps how large a share of a layer (Fig. 3): ``layer part share start end told``."""
    y = {
        "field": "layer",
        "type": "ordinal",
        "sort": list(layers),
        "title": None,
        "axis": {"labelColor": INK},
    }
    x = {
        "field": "start",
        "type": "quantitative",
        "title": "share of the layer's weights",
        "axis": {"format": ".0%", "tickCount": 5, "grid": False},
        "scale": {"domain": [0, 1]},
    }
    tip = tooltip(
        ("layer", "layer", ""), ("part", "kept by", ""), ("share", "share", ".1%"), ("n", "weights", ",.0f")
    )
    return layered(
        [
            {
                "mark": {"type": "bar", "height": {"band": 0.7}},
                "encoding": {
                    "y": y,
                    "x": x,
                    "x2": {"field": "end"},
                    "fill": {
                        **shaded(shades, "part"),
                        "legend": {
                            "orient": "top",
                            "title": None,
                            "labelColor": INK,
                            "labelFontSize": 12,
                            "symbolType": "square",
                            "direction": "horizontal",
                            "columns": 2,
                        },
                    },
                    "tooltip": tip,
                },
            },
            {
                "transform": [{"filter": "datum.share >= 0.06"}],
                "mark": {"type": "text", "fontSize": 11.5},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "middle"},
                    "text": {"field": "share", "type": "quantitative", "format": ".0%"},
                    "color": {
                        "condition": {"test": "datum.part === 'shared'", "value": "var(--on-accent)"},
                        "value": INK,
                    },
                },
            },
        ],
        height=44 * len(layers) + 60,
        data={"values": list(rows)},
    )


def pruning(rows: Sequence[Row], title: str) -> dict[str, Any]:
    """A validation metric against the weights that remain (Fig. 4): ``density value low high chosen``.

    ``chosen`` is a word where the round became a ticket, and empty elsewhere.
    """
    x = {
        **measure("density", "remaining weights", format=".0%", grid=False),
        "scale": {"reverse": True, "domain": [0, 1.03], "nice": False},
    }
    y = measure("value", title)
    tip = tooltip(
        ("density", "remaining", ".1%"),
        ("value", title, ".5f"),
        ("low", "from", ".5f"),
        ("high", "to", ".5f"),
    )
    return layered(
        [
            {
                "mark": {"type": "area", "color": ACCENT, "opacity": 0.14},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "color": ACCENT, "strokeWidth": 1.8}, "encoding": {"x": x, "y": y}},
            {
                "mark": {"type": "point", "opacity": 1, "stroke": ACCENT, "strokeWidth": 1.8},
                "encoding": {
                    "x": x,
                    "y": y,
                    "fill": {"condition": {"test": "datum.chosen", "value": ACCENT}, "value": "var(--page)"},
                    "size": {"condition": {"test": "datum.chosen", "value": 90}, "value": 44},
                    "tooltip": tip,
                },
            },
            {
                "transform": [{"filter": "datum.chosen"}],
                "mark": {"type": "text", "color": ACCENT, "dy": -14, "fontWeight": 500},
                "encoding": {"x": x, "y": y, "text": {"field": "chosen", "type": "nominal"}},
            },
        ],
        data={"values": list(rows)},
        height=230,
    )
