import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.errors import ModelStoreError, ServingError
from lt4rec_core.serving.export import publish
from lt4rec_core.serving.ranker import Ranker
from lt4rec_core.serving.trunk import all_of
from lt4rec_core.training.daily import score_day
from lt4rec_core.training.modelfile import MANIFEST, model_digest

AT = {"page": "feed", "occurred_at": None}
KEY = ("user_id", "video_id", "occurred_at", "page", "duration_ms")


def predictions(served):
    """The day after, as ``evaluation/predictions`` has it: each row's key and scores."""
    samples = served.samples(served.days[2], keep=KEY)
    scores, _ = score_day(served.store, served.chain, served.days[1], samples)
    return samples, scores


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_samples_score_as_in_the_predictions(served, ranker, kind):
    samples, expected = predictions(served)
    ranker.run_as(all_of(kind, ranker.heads))

    found = ranker.score(samples)

    assert len(samples) > 40
    for task in ("ctr", "cvr"):
        np.testing.assert_allclose(found[task], expected[f"p_{task}"], atol=1e-5)
        assert found[task].std() > 1e-3


def test_candidates_score_as_in_the_predictions(served, ranker):
    samples, expected = predictions(served)

    for i, row in enumerate(samples.kept.to_pylist()):
        context = {name: row[name] for name in ("page", "occurred_at")} | {
            "duration_ms": [row["duration_ms"]]
        }
        scores, seconds = ranker.score_candidates(row["user_id"], [row["video_id"]], context)

        assert seconds.tolist() == [row["duration_ms"] / 1000]
        for task in ("ctr", "cvr"):
            assert scores[task][0] == pytest.approx(expected[f"p_{task}"][i], abs=1e-5)
    assert {"u7", "u8"} <= set(samples.kept["user_id"].to_pylist())  # also one who is new on that day


def test_videos_are_ordered_by_equation_3(ranker):
    videos = [f"v{i}" for i in range(12)]
    scores, seconds = ranker.score_candidates("u1", videos, AT)

    best = ranker.rank("u1", videos, AT, a=2, b=0.5, c=0.3, k=5)

    value = scores["ctr"] ** 2 * scores["cvr"] ** 0.5 * seconds**0.3
    order = sorted(range(12), key=lambda i: -value[i])[:5]
    assert [one.video_id for one in best] == [videos[i] for i in order]
    assert [one.score for one in best] == pytest.approx(value[order])
    assert best[0].scores == pytest.approx({t: scores[t][order[0]] for t in scores})


def test_equal_scores_keep_the_order_they_came_in(ranker):
    assert [one.video_id for one in ranker.rank("u1", ["v3", "v1", "v2"], AT, a=0, b=0, c=0)] == [
        "v3",
        "v1",
        "v2",
    ]


def test_no_candidate_gives_an_empty_list(ranker):
    assert ranker.rank("u1", [], AT) == []


def test_an_unknown_video_counts_with_the_median_length(ranker):
    lengths = ranker.entities["video"].duration_ms

    _, seconds = ranker.score_candidates("u1", ["nobody has seen it"], AT)

    assert seconds.tolist() == [np.median(lengths[lengths > 0]) / 1000]


def test_unknown_users_are_told_apart_by_their_ids(ranker):
    one, other = (ranker.score_candidates(name, ["v1"], AT)[0]["ctr"][0] for name in ("stranger", "another"))

    assert one != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": -1}, "not negative"),
        ({"c": float("nan")}, "finite"),
        ({"k": 0}, "k at least 1"),
        ({"context": {"duration_ms": [1000]}}, "has 1 duration_ms for 2 candidates"),
    ],
)
def test_an_impossible_request_is_refused(ranker, options, message):
    with pytest.raises(ServingError, match=message):
        ranker.rank("u1", ["v1", "v2"], **{"context": AT, **options})


@pytest.fixture
def folder(served, tmp_path):
    """A ranker on disk."""
    store = replace(served.store, home=tmp_path)
    publish(store, served.draft(), {})
    return store.folder("ranker", served.chain.digest, served.days[1])


def test_a_ranker_comes_back_from_disk_as_it_was(served, ranker, folder):
    again = Ranker.load(folder, served.catalogue)

    samples = served.samples(served.days[2])
    assert again.day == served.days[1]
    assert again.kinds == {t: tuple(k) for t, k in again.manifest["kernels"].items()}
    np.testing.assert_allclose(again.score(samples)["cvr"], ranker.score(samples)["cvr"], atol=1e-6)


def test_a_ranker_of_another_catalogue_is_refused(served, folder):
    other = FeatureCatalogue([f for f in served.catalogue.features if f.name != "city"])

    with pytest.raises(ModelStoreError, match="is of the feature catalogue"):
        Ranker.load(folder, other)


def test_a_folder_without_a_ranker_is_refused(served, tmp_path):
    with pytest.raises(ModelStoreError, match="is not there"):
        Ranker.load(tmp_path / "nothing")
    with pytest.raises(ModelStoreError, match="not a ranker"):
        Ranker.load(served.store.folder("snet", served.chain.digest, served.days[1]))


def test_a_damaged_file_is_refused(folder):
    (file,) = folder.glob("*.safetensors")
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)

    with pytest.raises(ModelStoreError, match="is not what its manifest says"):
        Ranker.load(folder)


def test_features_edited_by_hand_are_refused(folder):
    from safetensors.torch import load_file

    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["identity"]["features"][0]["buckets"] = 999
    manifest["digest"] = model_digest(load_file(folder / manifest["tensors"]), manifest["identity"])
    (folder / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelStoreError, match="Were they edited by hand"):
        Ranker.load(folder)


def test_weights_that_are_nan_are_refused(served):
    drafted = served.draft()

    for name in ("trunk/values", "trunk/biases", "logits/ctr", "table/values"):
        broken = drafted.tensors | {name: torch.full_like(drafted.tensors[name], float("nan"))}
        with pytest.raises(ModelStoreError, match="NaN or infinite"):
            Ranker(broken, {"identity": drafted.identity})


def test_other_first_values_are_refused(served):
    drafted = served.draft()
    moved = drafted.identity | {"first_values": "0" * 64}

    with pytest.raises(ModelStoreError, match="other first values"):
        Ranker(drafted.tensors, {"identity": moved})
