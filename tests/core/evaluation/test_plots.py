import struct
import zlib

import numpy as np
import pytest

from lt4rec_core.evaluation import plots
from lt4rec_core.evaluation.metrics import auc_score, calibration_table


def roc(seed):
    generator = np.random.default_rng(seed)
    scores = generator.random(500)
    labels = (generator.random(500) < scores).astype(float)
    return plots.roc_picture({"snet": (labels, scores), "baseline": (labels, 1 - scores)}, "CTR")


def calibration(seed):
    generator = np.random.default_rng(seed)
    scores = generator.random(500)
    return plots.calibration_picture({"snet": calibration_table(scores**2, scores)}, "CVR")


def pruning(seed):
    values = np.random.default_rng(seed).random(3)
    return plots.pruning_picture(
        [1.0, 0.67, 0.45], {"CTR AUC": values, "CVR MSE": values}, "Ticket", chosen={"CVR MSE": 1}
    )


def sharing(seed):
    counts = np.random.default_rng(seed).integers(1, 100, (4, 3))
    names = ("only ctr", "only cvr", "shared", "unused")
    return plots.sharing_picture(["trunk.0", "trunk.2", "trunk.4"], dict(zip(names, counts, strict=True)))


def scarcity(seed):
    values = np.random.default_rng(seed).random((2, 3, 5))
    rows = {"base_cvr": values[0], "s_weight": values[1]}
    return plots.scarcity_picture([1.0, 0.3, 0.1], {"CVR MSE": rows, "CTR AUC": {"s_weight": values[1]}})


def seeds(seed):
    low = np.random.default_rng(seed).random(3)
    return plots.pruning_picture(
        [1.0, 0.67, 0.45], {"CTR AUC": low + 1}, "5", spread={"CTR AUC": (low, low + 2)}
    )


PICTURES = [roc, calibration, pruning, sharing, scarcity, seeds]


def pixels(png):
    """Width, height and the unpacked image data of a PNG file."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return width, height, zlib.decompress(data)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.__name__)
def test_a_picture_is_a_small_png_with_something_drawn_on_it(picture):
    png = picture(0)

    width, height, data = pixels(png)

    assert width >= 400
    assert height >= 300
    assert len(png) < 150_000
    assert len(set(data)) > 20


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.__name__)
def test_the_same_data_give_the_same_bytes_and_other_data_others(picture):
    assert picture(0) == picture(0)
    assert picture(0) != picture(1)


@pytest.mark.parametrize("decimals", [1, 17])
def test_the_area_under_the_roc_points_is_the_auc(decimals):
    generator = np.random.default_rng(0)
    scores = np.round(generator.random(300), decimals)
    is_positive = generator.random(300) < scores

    false_rate, true_rate = plots.roc_points(is_positive, scores)

    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(auc_score(is_positive, scores), abs=1e-12)


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    scores = np.random.default_rng(0).random(100_000)
    false_rate, true_rate = plots.roc_points(scores > 0.5, scores)
    assert len(false_rate) <= plots.MAX_POINTS
    assert (false_rate[0], false_rate[-1], true_rate[-1]) == (0, 1, 1)


def test_pictures_of_nothing_are_still_pictures():
    nothing = np.array([])
    for png in (
        plots.roc_picture({"one class": (np.ones(3), np.ones(3)), "no row": (nothing, nothing)}, "CTR"),
        plots.calibration_picture({"snet": calibration_table(nothing, nothing)}, "CVR"),
        plots.pruning_picture([1.0, 0.5], {"CVR MSE": [float("nan"), 0.1]}, "Ticket"),
        plots.sharing_picture(["trunk.0"], {"shared": [0], "unused": [0]}),
    ):
        assert pixels(png)[0] > 0


def test_drawing_leaves_no_figure_in_global_state():
    import matplotlib.pyplot as plt

    roc(0)

    assert plt.get_fignums() == []
