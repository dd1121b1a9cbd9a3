import sys

import numpy as np
import pytest
import torch

from lt4rec_core.catalogue import Feature, FeatureCatalogue
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.errors import ConfigError
from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.model.boosting import Boosting, BoostingConfig, FeatureMatrix
from lt4rec_core.model.tasks import get_tasks

CTR, CVR = get_tasks(["ctr", "cvr"])
SMALL = BoostingConfig(max_iter=20)


def fitted(catalogue, samples, seed=0):
    model = Boosting(catalogue, SMALL)
    clicked = (samples.labels["is_click"] == 1).nonzero().squeeze(1).numpy()
    return model.fit(samples, CTR, np.arange(len(samples)), seed).fit(samples, CVR, clicked, seed)


def test_it_learns_clicks_and_watch_ratios_from_the_same_buckets(catalogue, make_samples):
    valid = make_samples(1000, seed=2)

    scores = fitted(catalogue, make_samples(3000, seed=1)).predict(valid)

    clicked = (valid.labels["is_click"] == 1).numpy()
    labels = valid.labels["watch_ratio"].numpy()[clicked]
    assert auc_score(valid.labels["is_click"].numpy(), scores["ctr"]) > 0.75
    assert mse_loss(labels, scores["cvr"][clicked]) < 0.3 * labels.var()


def test_equal_seeds_give_equal_scores(catalogue, make_samples):
    samples = make_samples(500)
    first, same = (fitted(catalogue, samples).predict(samples) for _ in range(2))

    assert (first["ctr"] == same["ctr"]).all()


def test_the_trees_see_bins_as_numbers_vocabularies_as_categories_and_lists_as_lengths():
    catalogue = FeatureCatalogue(
        [
            Feature(name="user_id", side="user", buckets=5000),
            Feature(name="rate", side="user", bins=(1, 2)),
            Feature(name="page", side="context", values=("home", "follow")),
            Feature(name="position", side="context", bins=(1, 2), known_when_serving=False),
            Feature(name="tags", side="video", kind="list", buckets=10, max_length=3),
        ]
    )
    ids = torch.tensor([[7, 0, 1, 1], [8, 3, 0, 2]], dtype=torch.int32)
    samples = SampleSet(ids, {"m_tags": torch.tensor([[4, 5, 0], [0, 0, 0]], dtype=torch.int32)}, {})

    matrix = FeatureMatrix(catalogue)

    np.testing.assert_array_equal(matrix.of(samples), [[np.nan, 1, 2], [3, 0, 0]])
    assert matrix.is_category == [False, True, False]


def test_the_numbers_behind_the_buckets_are_seen_too(catalogue, make_samples):
    samples, rows = make_samples(400, seed=1), np.arange(400)
    blind = SampleSet(torch.zeros_like(samples.ids), {}, samples.labels)
    clicked = samples.labels["is_click"].numpy()

    def known(asked):
        return asked.labels["is_click"].numpy()[:, None]

    flat = FeatureCatalogue([f for f in catalogue.features if f.kind == "categorical"])
    told = Boosting(flat, SMALL, known).fit(blind, CTR, rows, 0).predict(blind)["ctr"]
    untold = Boosting(flat, SMALL).fit(blind, CTR, rows, 0).predict(blind)["ctr"]

    assert auc_score(clicked, told) == 1.0
    assert auc_score(clicked, untold) == 0.5


def test_without_scikit_learn_it_says_what_to_install(catalogue, make_samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)

    with pytest.raises(ConfigError, match=r"pip install 'lt4rec\[bench\]'"):
        fitted(catalogue, make_samples(10))
