from dataclasses import replace

import numpy as np
import pytest
import torch

from lt4rec_core.errors import ModelStoreError, ServingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.serving import scorer
from lt4rec_core.serving.compact import compact, layers_of
from lt4rec_core.serving.scorer import Scorer, dense_multiply_adds, multiply_adds, restore_front
from lt4rec_core.serving.trunk import Trunk, all_of
from lt4rec_core.training.trainer import predict


@pytest.fixture(params=["dot", "user_video", "none"])
def net(request, catalogue, small_network):
    config = replace(small_network, interaction=request.param)
    return SharedNet(catalogue, ("ctr", "cvr"), config, torch.Generator().manual_seed(0))


def masks_of(net):
    g = torch.Generator().manual_seed(2)
    return {
        t: {n: torch.rand(w.shape, generator=g) < 0.3 for n, w in net.trunk_weights().items()}
        for t in net.tasks
    }


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_scores_are_the_trainers_predictions(catalogue, net, make_samples, kind, monkeypatch):
    monkeypatch.setattr(scorer, "BATCH", 64)  # several passes
    masks, samples = masks_of(net), make_samples(150)
    heads = {t: compact(layers_of(net.trunk, net.logits[t], masks[t])) for t in net.tasks}

    found = Scorer(catalogue, net, Trunk(heads, all_of(kind, heads))).score(samples)

    expected = predict(net, samples, net.tasks, masks)
    assert list(found) == ["ctr", "cvr"]
    for task in net.tasks:
        np.testing.assert_allclose(found[task], expected[task], atol=1e-5)


@pytest.fixture
def dense(catalogue, small_network):
    net = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
    heads = {t: compact(layers_of(net.trunk, net.logits[t], None)) for t in net.tasks}
    return Scorer(catalogue, net, Trunk(heads, all_of("dense", heads)))


def test_no_sample_gives_no_score(dense, make_samples):
    assert {t: len(s) for t, s in dense.score(make_samples(5).select(torch.arange(0))).items()} == {
        "ctr": 0,
        "cvr": 0,
    }


def test_samples_of_another_catalogue_are_refused(dense, make_samples):
    samples = make_samples(5)

    with pytest.raises(ServingError, match="another feature catalogue: this ranker reads 4 ids"):
        dense.score(replace(samples, ids=samples.ids[:, 1:]))
    with pytest.raises(ServingError, match="reads 4 ids"):
        dense.score(replace(samples, lists={}))
    with pytest.raises(ServingError, match="beyond the buckets"):
        dense.score(replace(samples, ids=samples.ids + 1000))


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        ([1, 2], torch.zeros(1, 4), "do not fit"),
        ([10_000], torch.zeros(1, 4), "do not fit"),
        ([1], torch.full((1, 4), float("nan")), "NaN"),
    ],
)
def test_embeddings_that_cannot_be_used_are_refused(dense, rows, values, message):
    with pytest.raises(ModelStoreError, match=message):
        restore_front(dense.front, torch.tensor(rows).int(), values)


def test_multiply_adds_count_what_is_there(dense):
    widths = (dense.front.n_shared_inputs, 16, 8)
    heads = {t: layers_of(dense.front.trunk, dense.front.logits[t], None) for t in ("ctr", "cvr")}

    assert dense_multiply_adds(widths, 2) == 2 * (widths[0] * 16 + 16 * 8 + 8)
    assert multiply_adds(heads) == dense_multiply_adds(widths, 2)
