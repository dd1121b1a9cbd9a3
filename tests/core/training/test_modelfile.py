import json
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.training import modelfile
from lt4rec_core.training.modelfile import MANIFEST, load, publish, read_manifest, tensors_digest

WHAT = "the model of a day"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def put(folder, value=1.0, **beside):
    return publish(folder, {"w": torch.full((3, 2), value)}, {"parent": None}, beside)


def test_a_model_comes_back_as_it_was(folder):
    digest = put(folder, data_versions={"training.samples": 4})

    saved = load(folder, WHAT)

    assert torch.equal(saved.tensors["w"], torch.ones(3, 2))
    assert saved.digest == digest
    assert saved.manifest["data_versions"] == {"training.samples": 4}


def test_equal_models_have_equal_digests_whatever_stands_beside_them(tmp_path):
    first, same, other = (put(tmp_path / str(i), value, seed=i) for i, value in enumerate((1.0, 1.0, 2.0)))

    assert first == same != other


def test_the_tensor_digest_tells_names_shapes_and_types_apart():
    same = torch.zeros(4)
    found = [
        tensors_digest({"a": same}),
        tensors_digest({"b": same}),
        tensors_digest({"a": same.view(2, 2)}),
        tensors_digest({"a": same.int()}),
    ]

    assert len(set(found)) == 4


def test_publishing_again_replaces_and_leaves_one_tensor_file(folder):
    put(folder, 1.0)
    put(folder, 2.0)

    assert load(folder, WHAT).tensors["w"][0, 0] == 2
    assert len(list(folder.glob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    ("stage", "had_one"),
    [
        ("tensors written", True),
        ("tensors in place", True),
        ("tensors in place", False),
        ("manifest written", True),
    ],
)
def test_killed_at_any_moment_the_old_model_stands_and_the_next_run_heals(tmp_path, folder, stage, had_one):
    if had_one:
        put(folder, 1.0)
    code = f"""
        import os, signal
        from pathlib import Path
        import torch
        from lt4rec_core.training import modelfile as s

        place, n = s._into_place, 0
        def killed(temporary, final):
            global n
            if {stage!r} == ("tensors written" if n == 0 else "manifest written"):
                os.kill(os.getpid(), signal.SIGKILL)
            place(temporary, final)
            n += 1
            if {stage!r} == "tensors in place":
                os.kill(os.getpid(), signal.SIGKILL)
        s._into_place = killed
        s.publish(Path({str(folder)!r}), {{"w": torch.full((3, 2), 2.0)}}, {{"parent": None}}, {{}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60)
    assert done.returncode == -signal.SIGKILL

    if had_one:
        assert load(folder, WHAT).tensors["w"][0, 0] == 1
    else:
        assert read_manifest(folder, WHAT) is None

    digest = put(folder, 2.0)
    assert digest == put(tmp_path / "undisturbed", 2.0)
    names = {p.name for p in folder.iterdir()}
    assert names == {MANIFEST, ".lock", f"model-{digest[:16]}.safetensors"}


def test_a_reader_who_meets_a_replacement_reads_the_new_model(folder, monkeypatch):
    put(folder, 1.0)
    read, calls = modelfile.read_manifest, []

    def replaced_meanwhile(folder, what):
        found = read(folder, what)
        if not calls:
            calls.append(folder)
            put(folder, 2.0)
        return found

    monkeypatch.setattr(modelfile, "read_manifest", replaced_meanwhile)

    assert load(folder, WHAT).tensors["w"][0, 0] == 2


def tensor_file(folder):
    return next(folder.glob("*.safetensors"))


def test_a_truncated_model_is_a_clear_error(folder):
    put(folder)
    path = tensor_file(folder)
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(ModelStoreError, match=r"the model of a day is damaged.*Materialise it again"):
        load(folder, WHAT)


def test_a_changed_byte_is_a_clear_error(folder):
    put(folder)
    path = tensor_file(folder)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    with pytest.raises(ModelStoreError, match="is not what its manifest says: digest"):
        load(folder, WHAT)


def test_a_changed_identity_is_a_clear_error(folder):
    put(folder)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["identity"]["parent"] = "another"
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelStoreError, match="is not what its manifest says"):
        load(folder, WHAT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 99}',
        '{"digest": "x"}',
        "\x00",
        '{"format": 1, "digest": "", "tensors": "../other", "identity": {}}',
    ],
)
def test_a_damaged_manifest_is_a_clear_error_and_can_be_replaced(folder, text):
    put(folder, 1.0)
    (folder / MANIFEST).write_text(text)

    with pytest.raises(ModelStoreError, match="is damaged"):
        load(folder, WHAT)
    put(folder, 2.0)
    assert load(folder, WHAT).tensors["w"][0, 0] == 2


def test_a_model_whose_tensor_file_is_gone_is_a_clear_error(folder):
    put(folder)
    tensor_file(folder).unlink()

    with pytest.raises(ModelStoreError, match="its manifest names model-"):
        load(folder, WHAT)


def test_a_model_that_is_not_there_says_where_it_looked(folder):
    with pytest.raises(ModelStoreError, match=r"the model of a day is not there. Looked in .*model"):
        load(folder, WHAT)


def test_a_home_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be")

    with pytest.raises(ModelStoreError, match="Is the home writable"):
        put(tmp_path / "home" / "models")


def test_writers_of_one_day_take_turns(folder):
    code = """
        import sys
        from pathlib import Path
        import torch
        from lt4rec_core.training.modelfile import publish
        for value in range(30):
            publish(Path(sys.argv[1]), {"w": torch.full((50, 50), value + float(sys.argv[2]))}, {}, {})
    """
    args = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    writers = [subprocess.Popen([*args, half]) for half in ("0", "0.5")]
    n_read = 0
    while any(w.poll() is None for w in writers):
        if read_manifest(folder, WHAT):
            load(folder, WHAT)
            n_read += 1

    assert [w.wait() for w in writers] == [0, 0]
    assert n_read > 5
    assert load(folder, WHAT).tensors["w"][0, 0] in (29, 29.5)
