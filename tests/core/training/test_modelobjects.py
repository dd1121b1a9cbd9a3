"""Models in a bucket: replaced in one step, by one writer at a time, and never seen half."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lt4rec_core.data import objects
from lt4rec_core.data.places import listed, place
from lt4rec_core.errors import ModelStoreError
from lt4rec_core.training import modelfile, modelobjects


@pytest.fixture
def folder(in_store, tmp_path):
    return place(f"s3://bucket-of-models/{tmp_path.parent.name}/{tmp_path.name}")


def tensors(value):
    return {"w": torch.full((3, 2), float(value))}


def names(folder):
    return [p.name for p in listed(folder, "*")]


def test_a_model_has_the_digest_that_it_has_in_a_folder(folder, tmp_path):
    here = modelfile.publish(tmp_path / "model", tensors(1), {"day": "2026-01-05"}, {"rows": 3})
    there = modelfile.publish(folder, tensors(1), {"day": "2026-01-05"}, {"rows": 3})

    saved = modelfile.load(folder, "the model")
    assert here == there == saved.digest
    assert torch.equal(saved.tensors["w"], tensors(1)["w"])
    assert saved.manifest["rows"] == 3


def test_a_model_that_is_replaced_leaves_nothing(folder):
    modelfile.publish(folder, tensors(1), {}, {})
    modelfile.publish(folder, tensors(2), {}, {})

    assert modelfile.load(folder, "the model").tensors["w"][0, 0] == 2
    assert len(names(folder)) == 2


def test_a_writer_that_dies_before_the_manifest_leaves_the_old_model(folder, monkeypatch):
    modelfile.publish(folder, tensors(1), {}, {})

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(objects, "write_over", killed)
    with pytest.raises(KeyboardInterrupt):
        modelfile.publish(folder, tensors(2), {}, {})
    monkeypatch.undo()

    assert len(names(folder)) == 3  # what was sent waits to be swept
    assert json.loads((folder / "manifest.json").read_text())["tensors"] in names(folder)


def test_writers_of_one_model_at_once_leave_one_of_theirs(folder):
    with ThreadPoolExecutor(4) as pool:
        digests = list(pool.map(lambda i: modelfile.publish(folder, tensors(i % 2), {}, {}), range(8)))

    assert modelfile.load(folder, "the model").digest in digests
    assert len(names(folder)) == 2


def test_whoever_is_slower_each_time_gives_up_and_says_so(folder, monkeypatch):
    monkeypatch.setattr(objects, "write_over", lambda *args: False)

    with pytest.raises(ModelStoreError, match=f"written by others {modelobjects.ATTEMPTS} times"):
        modelfile.publish(folder, tensors(1), {}, {})
    assert names(folder) == []


def test_an_answer_that_is_lost_on_its_way_is_no_lost_model(folder, monkeypatch):
    real = objects.write_over
    monkeypatch.setattr(objects, "write_over", lambda *args: real(*args) and False)

    modelfile.publish(folder, tensors(1), {}, {})

    assert len(names(folder)) == 2


def test_a_model_that_is_not_there_and_one_that_cannot_be_read_are_told_apart(folder, monkeypatch):
    assert modelfile.read_manifest(folder, "the model") is None
    with pytest.raises(ModelStoreError, match=r"the model is not there\. Looked in s3://bucket-of-models"):
        modelfile.load(folder, "the model")

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    objects.forget()
    with pytest.raises(ModelStoreError, match=r"the model cannot be read: .* refuses these credentials"):
        modelfile.load(folder, "the model")
    with pytest.raises(ModelStoreError, match=r"cannot be written: .* refuses these credentials"):
        modelfile.publish(folder, tensors(1), {}, {})
