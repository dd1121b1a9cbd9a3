import os
import threading
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch

from lt4rec_core.errors import MaskError, MissingParentError, ModelStoreError
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.tickets import PruneConfig, Round, Ticket, TicketKey
from lt4rec_core.training.trainer import predict

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


def test_models_cite_the_versions_they_were_trained_on_within_a_horizon(store):
    for day, version in ((1, 3), (2, 4), (3, 4), (4, 6)):
        publish(store, day=date(2022, 5, day), data_versions={"training.samples": version})

    assert store.cited_versions(date(2022, 5, 2)) == {"training.samples": {4, 6}}
    assert store.cited_versions(date(2022, 5, 5)) == {}


def test_who_asks_for_a_ticket_while_it_is_searched_waits_however_its_round_is_chosen(store):
    key = TicketKey(
        catalogue="c", network=NetworkConfig(), training=TrainingConfig(), pruning=PruneConfig(),
        first=DAY, last=DAY, seed=0,
    )  # fmt: skip
    order = []

    def ask():
        with store.searching(replace(key, pruning=PruneConfig(choose="last")), "cvr"):
            order.append("second")

    second = threading.Thread(target=ask)
    with store.searching(key, "cvr"):
        with store.searching(key, "ctr"):  # another task's is another search
            second.start()
            second.join(timeout=0.2)
        order.append("first")
    second.join(timeout=10)

    assert order == ["first", "second"]
