from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch

from lt4rec_core.errors import MaskError, MissingParentError, TrainingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.daily import Chain, load_nets, score_day, train_day
from lt4rec_core.training.rowwise_adagrad import RowwiseAdagrad
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.task_adam import TaskAdam
from lt4rec_core.training.tickets import initial_generator

DAYS = [date(2022, 4, 29), date(2022, 4, 30), date(2022, 5, 1)]
TASKS = get_tasks(["ctr", "cvr"])
TRAINING = TrainingConfig(batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1)


def run(store, chain, make_samples, days=DAYS, first=True):
    return [
        train_day(store, chain, day, make_samples(300, seed=day.day), first=first and day == DAYS[0])
        for day in days
    ]


def test_each_day_continues_the_day_before(tmp_path, chain, make_samples):
    store = ModelStore(tmp_path)

    reports = run(store, chain, make_samples)

    assert [r.parent for r in reports] == [None, reports[0].digest, reports[1].digest]
    assert store.days(chain.kind, chain.digest) == DAYS
    manifest = store.manifest(chain.kind, chain.digest, DAYS[2])
    assert manifest["digest"] == reports[2].digest
    assert manifest["identity"]["parent"] == reports[1].digest


def test_resuming_from_disk_equals_not_stopping_bit_for_bit(tmp_path, chain, make_samples):
    without_stop = run(ModelStore(tmp_path / "a"), chain, make_samples)

    stopped = [
        *run(ModelStore(tmp_path / "b"), chain, make_samples, DAYS[:1]),
        *run(ModelStore(tmp_path / "b"), chain, make_samples, DAYS[1:2]),
        *run(ModelStore(tmp_path / "b"), chain, make_samples, DAYS[2:]),
    ]

    assert [r.digest for r in stopped] == [r.digest for r in without_stop]


def forget_moments(self, state):
    """In the place of ``TaskAdam.load``."""


def forget_accumulators(self, state, load=RowwiseAdagrad.load):
    load(self, {**state, "accumulator": torch.zeros_like(state["accumulator"])})


@pytest.mark.parametrize(
    ("optimizer", "load"), [(TaskAdam, forget_moments), (RowwiseAdagrad, forget_accumulators)]
)
def test_optimiser_state_is_part_of_what_continues(
    tmp_path, chain, make_samples, monkeypatch, optimizer, load
):
    with_state = run(ModelStore(tmp_path / "a"), chain, make_samples, DAYS[:2])[-1]
    monkeypatch.setattr(optimizer, "load", load)
    without = ModelStore(tmp_path / "b")
    run(without, chain, make_samples, DAYS[:1])

    assert run(ModelStore(tmp_path / "b"), chain, make_samples, DAYS[1:2])[0].digest != with_state.digest


def test_training_a_day_again_gives_the_same_model(tmp_path, chain, make_samples):
    store = ModelStore(tmp_path)
    reports = run(store, chain, make_samples)

    assert run(store, chain, make_samples, DAYS[1:])[-1].digest == reports[-1].digest
    assert run(store, chain, make_samples, DAYS[:1])[0].digest == reports[0].digest


def test_scores_are_the_same_from_memory_and_from_disk(tmp_path, chain, make_samples):
    store, samples = ModelStore(tmp_path), make_samples(50, seed=99)
    last = run(store, chain, make_samples)[-1]

    warm, warm_digest = score_day(store, chain, DAYS[-1], samples)
    cold, cold_digest = score_day(ModelStore(tmp_path), chain, DAYS[-1], samples)

    assert warm_digest == cold_digest == last.digest
    assert set(warm) == {"p_ctr", "p_cvr"}
    for name, values in warm.items():
        assert np.array_equal(values, cold[name])
        assert values.dtype == np.float64
        assert ((values > 0) & (values < 1)).all()


def test_who_scores_with_a_model_continues_it_without_reading_it_again(
    tmp_path, chain, make_samples, monkeypatch
):
    undisturbed = run(ModelStore(tmp_path), chain, make_samples, DAYS[:2])
    store, reads = ModelStore(tmp_path), []
    load = ModelStore.load
    monkeypatch.setattr(ModelStore, "load", lambda *args: reads.append(args) or load(*args))

    score_day(store, chain, DAYS[0], make_samples(50, seed=99))
    report = run(store, chain, make_samples, DAYS[1:2])[0]

    assert len(reads) == 1
    assert report.digest == undisturbed[1].digest


def test_an_earlier_days_model_can_be_scored_while_a_later_one_is_warm(tmp_path, chain, make_samples):
    store, samples = ModelStore(tmp_path), make_samples(50, seed=99)
    reports = run(store, chain, make_samples)

    scores, digest = score_day(store, chain, DAYS[0], samples)

    assert digest == reports[0].digest
    assert not np.array_equal(scores["p_ctr"], score_day(store, chain, DAYS[-1], samples)[0]["p_ctr"])


def test_a_gap_is_refused_by_name(tmp_path, chain, make_samples):
    store = ModelStore(tmp_path)
    run(store, chain, make_samples, DAYS[:1])

    with pytest.raises(
        MissingParentError, match="model of 2022-05-01 continues that of 2022-04-30, which is missing"
    ):
        run(store, chain, make_samples, DAYS[2:])
    assert store.days(chain.kind, chain.digest) == DAYS[:1]


def test_a_model_in_memory_that_the_disk_no_longer_has_is_not_used(tmp_path, chain, make_samples):
    store = ModelStore(tmp_path)
    run(store, chain, make_samples, DAYS[:1])
    (store.folder(chain.kind, chain.digest, DAYS[0]) / "manifest.json").unlink()

    with pytest.raises(MissingParentError):
        run(store, chain, make_samples, DAYS[1:2])


def test_a_failure_within_a_day_publishes_nothing_and_leaves_nothing_half_trained_in_memory(
    tmp_path, chain, make_samples
):
    store = ModelStore(tmp_path)
    undisturbed = run(ModelStore(tmp_path / "other"), chain, make_samples, DAYS[:2])[-1].digest
    run(store, chain, make_samples, DAYS[:1])
    bad = make_samples(300, seed=30)
    bad.labels["watch_ratio"][(bad.labels["is_click"] == 1).nonzero()[-1]] = float("inf")

    with pytest.raises(TrainingError, match=r"2022-04-30, .*: The loss of task 'cvr' is"):
        train_day(store, chain, DAYS[1], bad, first=False)

    assert store.days(chain.kind, chain.digest) == DAYS[:1]
    assert run(store, chain, make_samples, DAYS[1:2])[0].digest == undisturbed


def test_a_day_without_samples_is_an_error(tmp_path, chain, make_samples):
    with pytest.raises(TrainingError, match="none of the 0 samples of 2022-04-29"):
        train_day(ModelStore(tmp_path), chain, DAYS[0], make_samples(0), first=True)


def test_a_day_without_clicks_trains_what_it_can(tmp_path, chain, make_samples):
    samples = make_samples(100)
    samples.labels["is_click"][:] = 0

    report = train_day(ModelStore(tmp_path), chain, DAYS[0], samples, first=True)

    assert (report.losses["ctr"].n, report.losses["cvr"].n) == (100, 0)


def test_a_ticket_of_another_network_is_refused(tmp_path, chain, make_samples, small_network, tickets):
    wider = replace(chain, kind="snet", tickets=tickets, network=replace(small_network, hidden=(32, 8)))

    with pytest.raises(MaskError, match="Was the ticket found with another network config"):
        run(ModelStore(tmp_path), wider, make_samples, DAYS[:1])


def test_tickets_reach_every_day_unchanged(tmp_path, catalogue, small_network, tickets, make_samples):
    chain = Chain(
        kind="snet",
        catalogue=catalogue,
        tasks=TASKS,
        network=small_network,
        training=TRAINING,
        tickets=tickets,
    )
    store = ModelStore(tmp_path)
    start = SharedNet(
        catalogue, ("ctr", "cvr"), small_network, initial_generator(0, "reinitialise", "snet", "shared")
    )

    reports = run(store, chain, make_samples)
    nets, _ = load_nets(ModelStore(tmp_path), chain, DAYS[-1])

    for name, weight in nets["shared"].trunk_weights().items():
        unused = ~(tickets["ctr"].mask[name] | tickets["cvr"].mask[name])
        assert torch.equal(weight[unused], start.trunk_weights()[name][unused])
    assert reports[0].densities == {t: ticket.density for t, ticket in tickets.items()}


def test_data_versions_stand_beside_the_model_and_do_not_change_its_digest(tmp_path, chain, make_samples):
    samples = make_samples(100)
    digests = [
        train_day(
            ModelStore(tmp_path / str(v)), chain, DAYS[0], samples, first=True, data_versions={"t": v}
        ).digest
        for v in (1, 2)
    ]

    assert digests[0] == digests[1]
    assert ModelStore(tmp_path / "2").manifest(chain.kind, chain.digest, DAYS[0])["data_versions"] == {"t": 2}
