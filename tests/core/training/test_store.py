import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch

from lt4rec_core.errors import MaskError, MissingParentError, ModelStoreError
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.training import store as store_module
from lt4rec_core.training.store import MANIFEST, ModelStore, tensors_digest
from lt4rec_core.training.tickets import PruneConfig, Round, Ticket, TicketKey
from lt4rec_core.training.trainer import TrainingConfig, predict

DAY, CHAIN = date(2022, 5, 1), "c" * 64


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path)


def publish(store, value=1.0, day=DAY, **beside):
    identity = {"chain": CHAIN, "day": day.isoformat(), "parent": None}
    return store.publish("snet", CHAIN, day, {"w": torch.full((3, 2), value)}, identity, beside)


def test_a_model_comes_back_as_it_was(store):
    digest = publish(store, data_versions={"training.samples": 4})

    saved = store.load("snet", CHAIN, DAY)

    assert torch.equal(saved.tensors["w"], torch.ones(3, 2))
    assert saved.digest == digest
    assert saved.manifest["data_versions"] == {"training.samples": 4}
    assert store.days("snet", CHAIN) == [DAY]


def test_equal_models_have_equal_digests_whatever_stands_beside_them(tmp_path):
    digests = [publish(ModelStore(tmp_path / name), value, seed=value) for name, value in
               (("a", 1.0), ("b", 1.0), ("c", 2.0))]  # fmt: skip

    assert digests[0] == digests[1] != digests[2]


def test_the_tensor_digest_tells_names_shapes_and_types_apart():
    same = torch.zeros(4)
    found = [
        tensors_digest({"a": same}),
        tensors_digest({"b": same}),
        tensors_digest({"a": same.view(2, 2)}),
        tensors_digest({"a": same.int()}),
    ]

    assert len(set(found)) == 4


def test_publishing_again_replaces_and_leaves_one_tensor_file(store):
    publish(store, 1.0)
    publish(store, 2.0)

    assert store.load("snet", CHAIN, DAY).tensors["w"][0, 0] == 2
    assert len(list(store.folder("snet", CHAIN, DAY).glob("*.safetensors"))) == 1


@pytest.mark.parametrize("stage", ["tensors written", "tensors in place", "manifest written"])
@pytest.mark.parametrize("had_one", [True, False])
def test_killed_at_any_moment_of_publishing_the_old_model_stands_and_the_next_run_heals(
    tmp_path, stage, had_one
):
    store = ModelStore(tmp_path)
    if had_one:
        publish(store, 1.0)
    code = f"""
        import os, signal
        from pathlib import Path
        import torch
        from lt4rec_core.training import store as s
        from datetime import date

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
        s.ModelStore(Path({str(tmp_path)!r})).publish(
            "snet", {CHAIN!r}, date(2022, 5, 1), {{"w": torch.full((3, 2), 2.0)}},
            {{"chain": {CHAIN!r}, "day": "2022-05-01", "parent": None}}, {{}},
        )
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60)
    assert done.returncode == -signal.SIGKILL

    if had_one:
        assert store.load("snet", CHAIN, DAY).tensors["w"][0, 0] == 1
    else:
        assert store.manifest("snet", CHAIN, DAY) is None
        assert store.days("snet", CHAIN) == []

    digest = publish(store, 2.0)
    assert digest == publish(ModelStore(tmp_path / "undisturbed"), 2.0)
    names = {p.name for p in store.folder("snet", CHAIN, DAY).iterdir()}
    assert names == {MANIFEST, ".lock", f"model-{digest[:16]}.safetensors"}


def test_a_reader_who_meets_a_replacement_reads_the_new_model(store, monkeypatch):
    publish(store, 1.0)
    read, calls = store_module._read_manifest, []

    def replaced_meanwhile(folder, what):
        found = read(folder, what)
        if not calls:
            calls.append(folder)
            publish(store, 2.0)
        return found

    monkeypatch.setattr(store_module, "_read_manifest", replaced_meanwhile)

    assert store.load("snet", CHAIN, DAY).tensors["w"][0, 0] == 2


def tensor_file(store):
    return next(store.folder("snet", CHAIN, DAY).glob("*.safetensors"))


def test_a_truncated_model_is_a_clear_error(store):
    publish(store)
    path = tensor_file(store)
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(
        ModelStoreError, match=r"the snet model of 2022-05-01 is damaged.*Materialise it again"
    ):
        store.load("snet", CHAIN, DAY)


def test_a_changed_byte_is_a_clear_error(store):
    publish(store)
    path = tensor_file(store)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    with pytest.raises(ModelStoreError, match="is not what its manifest says: digest"):
        store.load("snet", CHAIN, DAY)


def test_a_changed_identity_is_a_clear_error(store):
    publish(store)
    path = store.folder("snet", CHAIN, DAY) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["identity"]["parent"] = "another"
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelStoreError, match="is not what its manifest says"):
        store.load("snet", CHAIN, DAY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"digest": "x"}', "\x00"])
def test_a_damaged_manifest_is_a_clear_error_and_can_be_replaced(store, text):
    publish(store, 1.0)
    (store.folder("snet", CHAIN, DAY) / MANIFEST).write_text(text)

    with pytest.raises(ModelStoreError, match="is damaged"):
        store.load("snet", CHAIN, DAY)
    publish(store, 2.0)
    assert store.load("snet", CHAIN, DAY).tensors["w"][0, 0] == 2


def test_a_model_whose_tensor_file_is_gone_is_a_clear_error(store):
    publish(store)
    tensor_file(store).unlink()

    with pytest.raises(ModelStoreError, match="its manifest names model-"):
        store.load("snet", CHAIN, DAY)


def test_a_model_that_is_not_there_says_where_it_looked(store):
    with pytest.raises(
        ModelStoreError, match=r"the snet model of 2022-05-01 is not there. Looked in .*models"
    ):
        store.load("snet", CHAIN, DAY)


def test_a_gap_is_named_with_the_days_there_are(store):
    for day in (1, 2):
        publish(store, day=date(2022, 5, day))

    with pytest.raises(
        MissingParentError,
        match=r"of 2022-05-06 continues that of 2022-05-05, .* for 2022-05-01 to 2022-05-02",
    ):
        store.require_parent("snet", CHAIN, date(2022, 5, 6))
    assert store.require_parent("snet", CHAIN, date(2022, 5, 3))["identity"]["day"] == "2022-05-02"


def test_a_home_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "models").write_text("a file where the folder should be")

    with pytest.raises(ModelStoreError, match="Is the home writable"):
        publish(ModelStore(tmp_path))


def test_writers_of_one_day_take_turns(tmp_path):
    code = """
        import sys
        from pathlib import Path
        import torch
        from datetime import date
        from lt4rec_core.training.store import ModelStore
        for value in range(30):
            tensors = {"w": torch.full((50, 50), value + float(sys.argv[2]))}
            ModelStore(Path(sys.argv[1])).publish("snet", "c" * 64, date(2022, 5, 1), tensors, {}, {})
    """
    args = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    writers = [subprocess.Popen([*args, half]) for half in ("0", "0.5")]
    store, n_read = ModelStore(tmp_path), 0
    while any(w.poll() is None for w in writers):
        if store.manifest("snet", CHAIN, DAY):
            store.load("snet", CHAIN, DAY)
            n_read += 1

    assert [w.wait() for w in writers] == [0, 0]
    assert n_read > 5
    assert store.load("snet", CHAIN, DAY).tensors["w"][0, 0] in (29, 29.5)


# Tickets


@pytest.fixture
def key(catalogue, small_network):
    return TicketKey(
        catalogue=catalogue.digest, network=small_network, training=TrainingConfig(), pruning=PruneConfig(),
        first=date(2022, 4, 25), last=date(2022, 5, 1), seed=0,
    )  # fmt: skip


def net_of(catalogue, config):
    return SharedNet(catalogue, ("ctr", "cvr"), config, torch.Generator().manual_seed(0))


def ticket_of(net, seed=0):
    g = torch.Generator().manual_seed(seed)
    mask = {name: torch.rand(w.shape, generator=g) < 0.3 for name, w in net.trunk_weights().items()}
    done = Round(i=1, density=0.3, layer_densities={"trunk.0.weight": 0.3}, train_loss=0.1, metric=1 / 3,
                 standard_error=0.01)  # fmt: skip
    return Ticket(task="ctr", metric="auc", best_i=1, rounds=(done,), mask=mask)


def test_a_ticket_saved_and_loaded_gives_identical_scores(store, key, catalogue, small_network, make_samples):
    net, samples = net_of(catalogue, small_network), make_samples(50)
    ticket = ticket_of(net)
    assert not store.has_ticket(key, "ctr")

    store.save_ticket(key, ticket, {"data_versions": {"training.samples": 1}})
    loaded = store.load_ticket(key, "ctr", net.trunk_weights())

    assert store.has_ticket(key, "ctr")
    assert loaded.digest == ticket.digest
    assert (loaded.rounds, loaded.best_i, loaded.metric) == (ticket.rounds, 1, "auc")
    scores = [predict(net, samples, ("ctr",), {"ctr": t.mask})["ctr"] for t in (ticket, loaded)]
    assert np.array_equal(*scores)
    assert not np.array_equal(scores[0], predict(net, samples, ("ctr",))["ctr"])


def test_a_ticket_of_another_network_is_refused(store, key, catalogue, small_network):
    store.save_ticket(key, ticket_of(net_of(catalogue, small_network)))
    wider = net_of(catalogue, replace(small_network, hidden=(32, 8)))

    with pytest.raises(MaskError, match="Was the ticket found with another network config"):
        store.load_ticket(key, "ctr", wider.trunk_weights())
    with pytest.raises(ModelStoreError, match="the ticket of task 'ctr' is not there"):
        store.load_ticket(replace(key, network=NetworkConfig(hidden=(32, 8))), "ctr")


def test_a_ticket_copied_into_another_settings_folder_is_refused(store, key, catalogue, small_network):
    other = replace(key, seed=1)
    store.save_ticket(key, ticket_of(net_of(catalogue, small_network)))
    target = store.ticket_folder(other, "ctr")
    target.parent.mkdir(parents=True)
    os.rename(store.ticket_folder(key, "ctr"), target)

    with pytest.raises(ModelStoreError, match="Was a folder copied by hand"):
        store.load_ticket(other, "ctr")


def test_a_ticket_that_empties_a_layer_is_refused(store, key, catalogue, small_network):
    net = net_of(catalogue, small_network)
    mask = keep_all(net.trunk_weights())
    mask["trunk.1.weight"][:] = False
    store.save_ticket(key, replace(ticket_of(net), mask=mask))

    with pytest.raises(MaskError, match=r"'trunk\.1\.weight' keeps none"):
        store.load_ticket(key, "ctr")
