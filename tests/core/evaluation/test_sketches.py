import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from lt4rec_core.evaluation.sketches import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    calibration_sketch,
    calibration_sketches,
    day_sketches,
    roc_sketch,
    watch_ratio_sketch,
)

SVG = "{http://www.w3.org/2000/svg}"
LABELS, SCORES = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])


def texts(svg):
    return [e.text for e in ET.fromstring(svg).iter(SVG + "text")]


def lines(svg):
    """The corners of each model's line, in the pixels of the picture."""
    paths = [e.get("d") for e in ET.fromstring(svg).iter(SVG + "path") if e.get("stroke-width") == "1.6"]
    return [[tuple(map(float, point.split())) for point in path[1:].split("L")] for path in paths]


def test_a_roc_curve_goes_from_corner_to_corner_and_names_its_auc():
    svg = roc_sketch({"snet": (LABELS, SCORES)}, "ROC")

    (curve,) = lines(svg)
    assert curve[0] == (LEFT, BOTTOM)
    assert curve[-1] == (RIGHT, TOP)
    assert all(a[0] <= b[0] and a[1] >= b[1] for a, b in pairwise(curve))
    assert {"ROC", "snet, AUC 0.7500"} <= set(texts(svg))  # three of the four pairs are in order


def test_a_day_of_one_class_has_no_curve():
    assert lines(roc_sketch({"snet": (np.ones(4), SCORES)}, "ROC")) == []


def test_calibration_puts_predicted_along_and_actual_up_on_equal_axes():
    svg = calibration_sketch({"snet": ([0.0, 0.2], [0.1, 0.4])}, "Calibration")

    (line,) = lines(svg)
    middle = ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
    assert line == [(LEFT, pytest.approx(BOTTOM - (BOTTOM - TOP) / 4)), (middle[0], TOP)]  # axes end at 0.4


def test_bars_are_the_shares_of_the_clicks():
    svg = watch_ratio_sketch(
        np.array([0.01, 0.02, 0.03, 0.99]), {"snet": np.array([0.5, 0.5])}, "Watch ratio"
    )

    bars = [e for e in ET.fromstring(svg).iter(SVG + "rect") if float(e.get("x") or 0) >= LEFT]
    heights = [float(bar.get("height")) for bar in bars][:20]
    assert heights[0] == pytest.approx(3 * heights[-1], abs=0.2)
    assert not any(heights[1:-1])


def day(models, n=200, clicked=True):
    generator = np.random.default_rng(0)
    is_click = (generator.random(n) < 0.4) & clicked
    watched = pa.array(np.where(is_click, generator.random(n), np.nan), from_pandas=True)
    parts = [
        pa.table(
            {
                "model": [model] * n,
                "is_click": is_click,
                "p_ctr": generator.random(n),
                "p_cvr": generator.random(n),
                "watch_ratio": watched,
            }
        )
        for model in models
    ]
    return pa.concat_tables(parts)


def test_a_days_pictures_are_small_well_formed_and_the_same_each_time():
    sketches = day_sketches(day(["snet", "baseline"], n=20_000), "2026-01-06")

    assert set(sketches) == {"roc", "watch_ratio"}
    assert sketches == day_sketches(day(["snet", "baseline"], n=20_000), "2026-01-06")
    for svg in sketches.values():
        assert len(svg) < 20_000
        assert len(lines(svg)) == 2
        assert "2026-01-06" in "".join(t for t in texts(svg) if t)


def test_a_day_without_a_click_is_drawn_empty():
    sketches = day_sketches(day(["snet"], clicked=False), "2026-01-06")

    assert lines(sketches["roc"]) == []
    assert ET.fromstring(sketches["watch_ratio"]) is not None


def test_calibration_is_drawn_per_task_in_the_order_of_the_parts():
    calibration = pa.table(
        {
            "model": ["snet"] * 3,
            "task": ["ctr", "ctr", "cvr"],
            "decile": [2, 1, 1],
            "predicted": [0.8, 0.2, 0.5],
            "actual": [1.0, 0.0, 0.5],
        }
    )

    sketches = calibration_sketches(calibration, "2026-01-06")

    assert set(sketches) == {"calibration_ctr", "calibration_cvr"}
    ((first, second),) = lines(sketches["calibration_ctr"])
    assert first[0] < second[0]


def test_names_cannot_break_out_of_the_picture():
    svg = roc_sketch({"<script>": (LABELS, SCORES)}, "a & b")

    assert "<script>" not in svg
    assert "a & b" in texts(svg)
