from lt4rec_core.report import figures

ROUND = {"density": 1.0, "value": 0.6, "low": 0.5, "high": 0.7, "chosen": ""}


def test_pruning_goes_from_left_to_right():
    spec = figures.pruning([ROUND, {**ROUND, "density": 0.2, "chosen": "ticket"}], "CTR AUC")

    x = spec["layer"][0]["encoding"]["x"]
    assert x["scale"]["reverse"]
    assert x["field"] == "density"


def test_a_layers_bar_is_stacked_by_who_keeps_the_weights_in_the_order_given():
    row = {
        "layer": "trunk.0", "part": "shared", "n": 10, "share": 0.5, "start": 0.0, "end": 0.5, "middle": 0.25
    }  # fmt: skip

    spec = figures.sharing([row], ["trunk.0"], {"shared": "var(--accent)", "unused": "var(--line)"})

    assert spec["layer"][0]["encoding"]["fill"]["scale"]["domain"] == ["shared", "unused"]
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["trunk.0"]
