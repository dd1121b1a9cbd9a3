"""Vega-Lite specifications: calm charts whose colours are the page's own, so that they follow its theme.

A colour is a CSS variable (``var(--accent)``): Vega hands it on to the SVG unread, and the style sheet says
what it is in the light, in the dark and on paper.
"""

from collections.abc import Mapping, Sequence
from typing import Any

ACCENT, INK, MUTED, FAINT, LINE = (
    "var(--accent)",
    "var(--ink)",
    "var(--muted)",
    "var(--faint)",
    "var(--line)",
)
FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
CONFIG: Mapping[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "gridColor": LINE,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
    },
    "text": {"fill": MUTED, "fontSize": 12},
}
DOT = {"type": "point", "filled": True, "opacity": 1}
Row = Mapping[str, Any]


def layered(layers: Sequence[Mapping[str, Any]], height: int = 220, **more: Any) -> dict[str, Any]:
    """Layers over each other, in a chart as wide as the page lets them be."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
        "layer": [*layers],
        **more,
    }


def measure(
    field: str, title: str = "", scale: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A number along an axis; ``more`` is of the axis."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title or None,
        "scale": {"zero": False, "nice": True, **(scale or {})},
        "axis": {"tickCount": 4, "grid": True, **more},
    }


def day_axis(days: Sequence[str]) -> dict[str, Any]:
    """The days as an axis with room for its labels, however many they are."""
    step = max(1, -(-len(days) // 7))
    return {
        "field": "day",
        "type": "ordinal",
        "title": None,
        "axis": {
            "grid": False,
            "labelAngle": 0,
            "labelOverlap": "greedy",
            "values": list(days[::step]),
            # A day without its year, as 5 Jan; an ordinal axis keeps the days in their order and evenly set.
            "labelExpr": "utcFormat(toDate(datum.value), '%-d %b')",
        },
        "scale": {"type": "point", "padding": 0.3},
    }


def tooltip(*fields: tuple[str, str, str]) -> list[dict[str, Any]]:
    """What is told of a point: (field, title, number format or '')."""
    return [
        {
            "field": field,
            "title": title,
            **({"type": "quantitative", "format": shown} if shown else {"type": "nominal"}),
        }
        for field, title, shown in fields
    ]


def shaded(shades: Mapping[str, str], field: str = "name") -> dict[str, Any]:
    """Names to colours, in this order; each line is labelled where it ends, so there is no legend."""
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(shades), "range": list(shades.values())},
        "legend": None,
    }


def funnel(steps: Sequence[Row]) -> dict[str, Any]:
    """Bars from what was delivered to what was watched: rows of ``step``, ``n``, ``told``."""
    order = [row["step"] for row in steps]
    y = {
        "field": "step",
        "type": "ordinal",
        "sort": order,
        "title": None,
        "axis": {"labelFontSize": 13, "labelColor": INK},
    }
    x = {
        "field": "n",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, 1.6 * max(r["n"] for r in steps) or 1]},
    }
    tip = tooltip(("step", "step", ""), ("n", "rows", ",.0f"), ("told", "share", ""))
    return layered(
        [
            {
                "mark": {"type": "bar", "color": ACCENT, "cornerRadiusEnd": 2},
                "encoding": {
                    "x": x,
                    "y": y,
                    "tooltip": tip,
                    "opacity": {"field": "strength", "type": "quantitative", "scale": None},
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 8},
                "encoding": {"x": x, "y": y, "text": {"field": "told", "type": "nominal"}},
            },
        ],
        height=42 * len(order),
        data={"values": list(steps)},
    )


def over_days(
    rows: Sequence[Row], days: Sequence[str], shades: Mapping[str, str], title: str = "", shown: str = ".4f"
) -> dict[str, Any]:
    """Lines over days: ``day name value low high``; a band around the last one, where it has an interval.

    Args:
        rows: sorted by day; ``low`` and ``high`` may be None.
        days: all of the axis.
        shades: name to colour, the first drawn last, on top.
        title: of the values.
        shown: format of a value when pointed at.
    """
    last = list(shades)[-1]
    banded = [row for row in rows if row["name"] == last and row["low"] is not None]
    by_day, colour = day_axis(days), shaded(shades)
    tip = tooltip(
        ("day", "day", ""), ("name", "of", ""), ("value", "value", shown), ("low", "from", shown),
        ("high", "to", shown),
    )  # fmt: skip
    band = {
        "data": {"values": banded},
        "mark": {"type": "area", "opacity": 0.16},
        "encoding": {
            "x": by_day,
            "y": measure("low", title),
            "y2": {"field": "high"},
            "color": colour,
        },
    }
    return layered(
        [
            *([band] if banded else []),
            {
                "mark": {"type": "line", "strokeWidth": 1.8},
                "encoding": {"x": by_day, "y": measure("value", title), "color": colour},
            },
            {
                "mark": {**DOT, "size": 34},
                "encoding": {"x": by_day, "y": measure("value", title), "color": colour, "tooltip": tip},
            },
            _end_labels(by_day, measure("value", title), colour),
        ],
        data={"values": list(rows)},
        padding={"right": 70, "left": 0, "top": 8, "bottom": 0},
    )


def _end_labels(x: Mapping[str, Any], y: Mapping[str, Any], colour: Mapping[str, Any]) -> dict[str, Any]:
    """Each line's name where it ends: rows with ``label``, which need not be all."""
    return {
        "transform": [{"filter": "datum.label"}],
        "mark": {"type": "text", "align": "left", "dx": 8, "fontWeight": 500},
        "encoding": {
            "x": x,
            "y": {**y, "field": "label_at"},
            "text": {"field": "label", "type": "nominal"},
            "color": colour,
        },
    }


def calibration(rows: Sequence[Row], shades: Mapping[str, str]) -> dict[str, Any]:
    """Actual against predicted, a line a model, over the diagonal: ``name predicted actual n label``."""
    top = max((max(r["predicted"], r["actual"]) for r in rows), default=1.0) * 1.08
    x = {**measure("predicted", "predicted"), "scale": {"domain": [0, top], "nice": False}}
    y = {**measure("actual", "actual"), "scale": {"domain": [0, top], "nice": False}}
    colour = shaded(shades)
    tip = tooltip(
        ("name", "of", ""),
        ("predicted", "predicted", ".4f"),
        ("actual", "actual", ".4f"),
        ("n", "rows", ",.0f"),
    )
    return layered(
        [
            {
                "data": {"values": [{"predicted": 0, "actual": 0}, {"predicted": top, "actual": top}]},
                "mark": {"type": "line", "color": FAINT, "strokeDash": [4, 4], "strokeWidth": 1},
                "encoding": {"x": x, "y": y},
            },
            {"mark": {"type": "line", "strokeWidth": 1.6}, "encoding": {"x": x, "y": y, "color": colour}},
            {
                "mark": {**DOT, "size": 38},
                "encoding": {"x": x, "y": y, "color": colour, "tooltip": tip},
            },
            _end_labels(x, y, colour),
        ],
        data={"values": list(rows)},
        height=260,
        padding={"right": 62, "left": 0, "top": 8, "bottom": 0},
    )


def intervals(rows: Sequence[Row], title: str, shown: str = "+.2%") -> dict[str, Any]:
    """A dot and its interval a row, beside zero: ``name value low high better``.

    Args:
        rows: from the top; ``better`` is True where the interval lies on the good side of zero, False on the
            bad one, None where it holds zero.
        title: of the axis.
        shown: format of a value.
    """
    y = {
        "field": "name",
        "type": "ordinal",
        "sort": [r["name"] for r in rows],
        "title": None,
        "axis": {"labelColor": INK, "labelLimit": 195, "labelFontSize": 11},
    }
    tip = tooltip(
        ("name", "row", ""), ("value", "difference", shown), ("low", "from", shown), ("high", "to", shown)
    )
    x = {**measure("value", title, format=shown), "scale": {"zero": True, "nice": True}}
    colour = {
        "condition": {"test": "datum.better === null", "value": MUTED},
        "value": ACCENT,
    }
    # An open point is what is worse, or not told apart from zero.
    fill = {"condition": {"test": "datum.better === true", "value": ACCENT}, "value": "var(--page)"}
    return layered(
        [
            {
                "data": {"values": [{}]},  # one line, not one a row
                "mark": {"type": "rule", "color": MUTED, "strokeWidth": 1},
                "encoding": {"x": {k: v for k, v in x.items() if k != "field"} | {"datum": 0}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.6},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "color": colour,
                },
            },
            {
                "mark": {"type": "point", "size": 46, "opacity": 1, "strokeWidth": 1.6},
                "encoding": {"y": y, "x": x, "stroke": colour, "fill": fill, "tooltip": tip},
            },
        ],
        height=21 * len(rows) + 10,
        data={"values": list(rows)},
    )


def beside(
    rows: Sequence[Row], names: tuple[str, str], title: str, *, zero: bool = False, shown: str = ".3f"
) -> dict[str, Any]:
    """A dot a row beside the tick that it is held against: ``name value other``.

    Args:
        rows: from the top.
        names: of the dots and of the ticks.
        title: of the axis.
        zero: whether the axis begins there.
        shown: format of a value.
    """
    y = {
        "field": "name",
        "type": "ordinal",
        "sort": [row["name"] for row in rows],
        "title": None,
        "axis": {"labelColor": INK, "labelLimit": 150},
    }
    values = [row[key] for row in rows for key in ("value", "other")]
    low, high = (0.0 if zero else min(values)), max(values)
    room = 0.35 * (high - low) or 0.1  # for the two words above the first row
    x = {
        **measure("value", title, format=shown),
        "scale": {"domain": [low if zero else low - room / 3, high + room], "nice": False, "zero": zero},
    }
    other = {**x, "field": "other"}
    tip = tooltip(("name", "", ""), ("value", names[0], shown), ("other", names[1], shown))
    dot_is_right = rows[0]["value"] >= rows[0]["other"]
    words = {"type": "text", "fontSize": 11.5, "dy": -14}
    to_left, to_right = {"align": "right", "dx": -2}, {"align": "left", "dx": 2}
    first = [rows[0]]
    return layered(
        [
            {
                "mark": {"type": "rule", "color": FAINT, "strokeWidth": 2},
                "encoding": {"y": y, "x": other, "x2": {"field": "value"}},
            },
            {
                "mark": {"type": "tick", "color": MUTED, "thickness": 2, "size": 15},
                "encoding": {"y": y, "x": other, "tooltip": tip},
            },
            {"mark": {**DOT, "size": 62, "color": ACCENT}, "encoding": {"y": y, "x": x, "tooltip": tip}},
            {
                "data": {"values": first},
                "mark": {**words, "color": MUTED, **(to_left if dot_is_right else to_right)},
                "encoding": {"y": y, "x": other, "text": {"value": names[1]}},
            },
            {
                "data": {"values": first},
                "mark": {**words, "color": ACCENT, **(to_right if dot_is_right else to_left)},
                "encoding": {"y": y, "x": x, "text": {"value": names[0]}},
            },
        ],
        height=30 * len(rows) + 40,
        data={"values": list(rows)},
        padding={"top": 16, "left": 0, "right": 4, "bottom": 0},
    )


def label_ends(rows: Sequence[dict[str, Any]], at: str, height: float = 0.1) -> list[dict[str, Any]]:
    """Give the last row of each ``name`` a ``label``, and a place ``label_at`` where no other label stands.

    Args:
        rows: in the order of their lines.
        at: the field that says how high a line ends.
        height: of a label, as a share of what the axis spans.
    """
    values = [v for row in rows for v in (row[at], row.get("low"), row.get("high")) if v is not None]
    gap = height * (max(values) - min(values)) if values else 0.0
    ends = {row["name"]: row for row in rows}
    for row in rows:
        row["label"] = None
    place = None
    for row in sorted(ends.values(), key=lambda row: (row[at], row["name"])):
        place = row[at] if place is None else max(row[at], place + gap)
        row |= {"label": row["name"], "label_at": place}
    return list(rows)
