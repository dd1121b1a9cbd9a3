import json
import sys

import numpy as np
import pytest
import torch

from lt4rec_core.errors import ConfigError, ServingError
from lt4rec_core.serving import onnxfile
from lt4rec_core.serving.onnxfile import write_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def feed(samples):
    return {"ids": samples.ids.numpy()} | {name: values.numpy() for name, values in samples.lists.items()}


@pytest.mark.parametrize("interaction", ["dot", "user_video", "none"])
def test_onnx_runtime_gives_the_rankers_scores(served, interaction, tmp_path):
    ranker = served.draft(served.trained(served.make_chain(0.4, interaction))).ranker
    samples = served.samples(served.days[2])

    session = onnxruntime.InferenceSession(write_onnx(ranker, tmp_path / "ranker.onnx"))

    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, feed(samples)), strict=True))
    assert names == ["p_ctr", "p_cvr"]
    for task, expected in ranker.score(samples).items():
        np.testing.assert_allclose(found[f"p_{task}"], expected, atol=1e-5)


def test_the_file_says_what_it_is_fed_with(served, ranker, tmp_path):
    session = onnxruntime.InferenceSession(write_onnx(ranker, tmp_path / "ranker.onnx"))

    told = session.get_modelmeta().custom_metadata_map
    assert told["catalogue"] == served.catalogue.digest
    assert told["day"] == served.days[1].isoformat()
    columns = [f.column for f in served.catalogue.features if f.kind == "categorical"]
    assert json.loads(told["ids"]) == columns
    assert {i.name: i.shape for i in session.get_inputs()} == {
        "ids": ["b", len(columns)],
        "m_clicked_videos": ["b", 3],
        "m_tags": ["b", 2],
    }


def test_any_batch_size_fits(served, ranker, tmp_path):
    session = onnxruntime.InferenceSession(write_onnx(ranker, tmp_path / "ranker.onnx"))
    samples = served.samples(served.days[2])

    for n in (0, 1, 7):
        assert [len(p) for p in session.run(None, feed(samples.select(torch.arange(n))))] == [n, n]


def test_a_table_too_large_for_one_file_is_refused(ranker, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxfile, "LARGEST", 100)

    with pytest.raises(ServingError, match="an ONNX file ends at 100"):
        write_onnx(ranker, tmp_path / "ranker.onnx")


def test_without_onnx_the_extra_is_named(ranker, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(ConfigError, match=r"lt4rec\[onnx\]"):
        write_onnx(ranker, tmp_path / "ranker.onnx")
