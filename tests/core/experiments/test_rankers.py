from dataclasses import replace

import numpy as np
import pytest

from lt4rec_core.errors import ServingError
from lt4rec_core.experiments.fitting import Fitted
from lt4rec_core.experiments.rankers import can_be_ranked, fitted_weights, weights_of
from lt4rec_core.model.variants import VARIANTS
from lt4rec_core.serving.entities import Entities
from tests.core.experiments.conftest import DAYS


@pytest.fixture
def nobody(catalogue):
    """Entities of a platform that knows nobody: samples carry their own features."""

    def of(side):
        features = catalogue.side(side)
        n = sum(f.kind == "categorical" for f in features)
        lists = {f.column: np.zeros((1, f.max_length), np.int32) for f in features if f.kind == "list"}
        lengths = np.array([-1] if side == "video" else [], dtype=np.int64)
        return Entities([], np.zeros((1, n), np.int32), lists, lengths)

    return {side: of(side) for side in ("user", "video")}


@pytest.mark.parametrize("row", ["base_ctr", "hard_sharing", "s_weight", "s_neuron"])
def test_a_rows_ranker_scores_as_its_cell(make_race, nobody, row):
    race = make_race()
    cell = race.run_cell(row, 3)

    ranker = fitted_weights(race, row, 3).ranker(nobody, DAYS[-3], "UTC")

    scores = ranker.score(race.test)
    tasks = {"ctr", "cvr"} & set(cell.scores)
    assert tasks <= set(scores)
    for task in tasks:
        np.testing.assert_allclose(scores[task], cell.scores[task], atol=1e-5)


def test_weights_are_fitted_once_and_then_read(make_race, monkeypatch):
    race = make_race()
    first = fitted_weights(race, "base_cvr", 0)
    monkeypatch.setattr(type(race), "fit", None)

    again = fitted_weights(race, "base_cvr", 0)

    assert again.identity == first.identity
    assert all(np.array_equal(first.tensors[n], again.tensors[n]) for n in first.tensors)


def test_damaged_weights_are_fitted_again(make_race):
    race = make_race()
    first = fitted_weights(race, "base_cvr", 0)
    (file,) = race.records.root.glob("fitted/base_cvr/*/0/*.safetensors")
    file.write_bytes(b"damaged")

    again = fitted_weights(race, "base_cvr", 0)

    assert np.array_equal(first.tensors["trunk/values"], again.tensors["trunk/values"])


def test_rows_with_experts_trees_or_views_of_their_own_have_no_ranker(make_race, base):
    cannot = {name for name in VARIANTS if not can_be_ranked(name)}

    assert cannot == {"mmoe", "ple", "boosting_ctr", "boosting_cvr", "s_weight_multiview"}
    with pytest.raises(ServingError, match=r"mmoe cannot be exported as a ranker.*Rows that can: base_ctr"):
        fitted_weights(make_race(), "mmoe", 0)
    trees = Fitted(replace(base, variant="boosting_ctr"), None)
    with pytest.raises(ServingError, match="boosting_ctr cannot be exported"):
        weights_of(trees, None, 0)
