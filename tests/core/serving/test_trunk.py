import numpy as np
import pytest
import torch

from lt4rec_core.serving import trunk
from lt4rec_core.serving.compact import compact
from lt4rec_core.serving.trunk import Trunk, all_of, choose
from tests.core.serving.conftest import draw_layers, plain

X = torch.randn(70, 100, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def heads():
    return {"ctr": compact(draw_layers(seed=0)), "cvr": compact(draw_layers(seed=1, density=0.1))}


@pytest.mark.parametrize(
    "kinds",
    [
        {"ctr": ["dense"] * 3, "cvr": ["dense"] * 3},
        {"ctr": ["sparse"] * 3, "cvr": ["sparse"] * 3},
        {"ctr": ["sparse", "dense", "dense"], "cvr": ["dense", "sparse", "sparse"]},
        {"ctr": ["sparse", "dense", "sparse"], "cvr": ["sparse", "sparse", "dense"]},
    ],
)
def test_the_logits_are_the_same_however_the_layers_run(heads, kinds):
    found = Trunk(heads, kinds)(X)

    assert list(found) == ["ctr", "cvr"]
    for task, layers in heads.items():
        np.testing.assert_allclose(found[task], plain(layers, X.numpy())[:, 0], atol=1e-5)


def test_a_choice_names_every_layer_and_what_was_measured(heads):
    choice = choose(heads, batch_size=64, repeats=1)

    assert {task: len(kinds) for task, kinds in choice.kinds.items()} == {"ctr": 3, "cvr": 3}
    assert set(choice.micros) == {"dense", "sparse", "mixed"}
    assert all(micros > 0 for micros in choice.micros.values())


def test_the_fastest_candidate_is_chosen(heads, monkeypatch):
    measured = iter([{"dense": 2.0, "sparse": 1.0}] * 6 + [{"dense": 3.0, "sparse": 1.0, "mixed": 2.0}])
    monkeypatch.setattr(trunk, "_fastest", lambda candidates, repeats: next(measured))

    assert choose(heads).kinds == all_of("sparse", heads)


def test_layers_wider_than_the_kernel_can_number_run_dense(heads, monkeypatch):
    monkeypatch.setattr(trunk, "WIDEST", 99)

    assert Trunk(heads, all_of("sparse", heads)).kinds == {"ctr": ("dense",) * 3, "cvr": ("dense",) * 3}


def test_without_numba_everything_runs_dense(heads, monkeypatch):
    monkeypatch.setattr(trunk, "has_kernel", lambda: False)

    run = Trunk(heads, all_of("sparse", heads))

    assert run.kinds == {"ctr": ("dense",) * 3, "cvr": ("dense",) * 3}
    np.testing.assert_allclose(run(X)["ctr"], plain(heads["ctr"], X.numpy())[:, 0], atol=1e-5)
    assert choose(heads).kinds == all_of("dense", heads)


def test_a_mix_must_win_clearly(heads, monkeypatch):
    layers = {"dense": 2.0, "sparse": 1.0}
    for mixed, kinds in ((0.98, "dense"), (0.9, "sparse")):
        measured = iter([layers] * 6 + [{"dense": 1.0, "sparse": 2.0, "mixed": mixed}])
        monkeypatch.setattr(trunk, "_fastest", lambda candidates, repeats, m=measured: next(m))

        assert choose(heads).kinds == all_of(kinds, heads)
