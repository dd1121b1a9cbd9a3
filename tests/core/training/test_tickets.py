from dataclasses import replace
from datetime import date

import pytest
import torch

from lt4rec_core.errors import ConfigError, TrainingError
from lt4rec_core.model.masks import density, keep_all, n_kept
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.tickets import (
    PruneConfig,
    Round,
    TicketKey,
    choose_round,
    find_ticket,
    initial_generator,
    validate,
)
from lt4rec_core.training.trainer import TrainingConfig

CTR, CVR = get_tasks(["ctr", "cvr"])
TRAINING = TrainingConfig(batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1)


@pytest.fixture
def search(catalogue, small_network, make_samples):
    """``search(task, n_train=..., on_round=..., **pruning)``: a ticket of the small network."""

    def find(task=CTR, n_train=600, seed=0, on_round=None, progress=None, **pruning):
        return find_ticket(
            catalogue,
            task,
            make_samples(n_train, seed=1),
            make_samples(400, seed=2),
            network=small_network,
            training=TRAINING,
            pruning=PruneConfig(**{"n_pruning": 2, "q": 0.5, **pruning}),
            seed=seed,
            on_round=on_round,
            progress=progress,
        )

    return find


def test_the_search_trains_once_more_than_it_prunes_starting_dense(search):
    seen = []

    ticket = search(on_round=seen.append, n_pruning=3)

    assert [r.i for r in seen] == [0, 1, 2, 3]
    assert [r.density for r in seen] == pytest.approx([1, 0.5, 0.25, 0.125])
    assert ticket.rounds == tuple(seen)


@pytest.mark.parametrize("task", [CTR, CVR])
def test_the_ticket_is_the_mask_of_the_best_pruned_round(search, task):
    ticket = search(task)

    metrics = {r.i: r.metric for r in ticket.rounds if r.i >= 1}
    best = max(metrics.values()) if task is CTR else min(metrics.values())
    assert metrics[ticket.best_i] == best
    assert density(ticket.mask) == ticket.rounds[ticket.best_i].density


def test_the_metric_of_a_round_is_that_of_a_network_trained_through_its_mask(
    search, catalogue, small_network, make_samples
):
    ticket = search(n_pruning=1)

    # Once more by hand: a fresh draw for round 1, trained through mask 1 and validated through it.
    from lt4rec_core.training.batches import generator_for
    from lt4rec_core.training.optimizers import make_optimizers
    from lt4rec_core.training.trainer import train

    net = SharedNet(catalogue, ("ctr",), small_network, initial_generator(0, "reinitialise", "ctr", 1))
    masks = {"ctr": ticket.mask}
    stream = generator_for(0, "ticket", "ctr", 1)
    train(
        net, make_optimizers(net, TRAINING), make_samples(600, seed=1), (CTR,), TRAINING, stream, masks=masks
    )

    assert validate(net, CTR, ticket.mask, make_samples(400, seed=2))[0] == ticket.rounds[1].metric


def test_masks_are_nested_and_exact_per_layer(search, catalogue, small_network):
    first, second = search(n_pruning=1), search(n_pruning=2, choose="sparsest_within_one_se")
    dense = keep_all(SharedNet(catalogue, ("ctr",), small_network, torch.Generator()).trunk_weights())

    assert second.best_i in (1, 2)
    for name, m in second.mask.items():
        assert not (m & ~first.mask[name]).any()  # a removed weight never returns
    kept = {name: m.numel() - int(0.5 * m.numel()) for name, m in dense.items()}
    assert {name: int(m.sum()) for name, m in first.mask.items()} == kept


def test_equal_seeds_find_equal_tickets_and_others_others(search):
    first, same, other = search(seed=1), search(seed=1), search(seed=2)

    assert first.digest == same.digest
    assert first.rounds == same.rounds
    assert first.digest != other.digest


def test_rewind_returns_to_the_same_first_values_and_reinitialise_draws_new_ones(catalogue, small_network):
    def table(restart, *purpose):
        return SharedNet(catalogue, ("ctr",), small_network, initial_generator(7, restart, *purpose)).table

    assert torch.equal(table("rewind", "ctr", 0), table("rewind", "snet", "shared"))
    assert not torch.equal(table("reinitialise", "ctr", 0), table("reinitialise", "ctr", 1))


def test_rewinding_is_another_search(search):
    assert search(restart="rewind").rounds[2] != search().rounds[2]


def test_global_ranking_keeps_the_promised_number_over_all_layers(search):
    ticket = search(scope="global", n_pruning=1, q=0.25)

    total = sum(m.numel() for m in ticket.mask.values())
    assert n_kept(ticket.mask) == total - int(0.25 * total)


def test_progress_names_the_round(search):
    seen = []

    search(n_pruning=1, progress=lambda i, p: seen.append((i, p.done, p.total)))

    assert seen[-1] == (1, 600, 600)
    assert {i for i, _, _ in seen} == {0, 1}


def rounds(*metrics, error=0.01):
    return [
        Round(i=i, density=0.5**i, layer_densities={}, train_loss=0.1, metric=m, standard_error=error)
        for i, m in enumerate(metrics)
    ]


def test_the_unpruned_round_is_no_candidate():
    assert choose_round(rounds(0.9, 0.7, 0.6), CTR, PruneConfig()) == 1


def test_auc_is_best_large_and_mse_small():
    assert choose_round(rounds(0.5, 0.7, 0.8, 0.6), CTR, PruneConfig()) == 2
    assert choose_round(rounds(0.5, 0.7, 0.8, 0.6), CVR, PruneConfig()) == 3


def test_of_equal_rounds_the_sparser_is_chosen():
    assert choose_round(rounds(0.5, 0.7, 0.7), CTR, PruneConfig()) == 2


@pytest.mark.parametrize(
    ("task", "metrics"), [(CTR, (0.5, 0.8, 0.795, 0.78)), (CVR, (0.5, 0.1, 0.105, 0.12))]
)
def test_the_sparsest_within_one_standard_error_may_be_sparser_than_the_best(task, metrics):
    choose = PruneConfig(choose="sparsest_within_one_se")

    assert choose_round(rounds(*metrics), task, PruneConfig()) == 1
    assert choose_round(rounds(*metrics), task, choose) == 2


def test_a_validation_day_of_one_class_is_an_error():
    with pytest.raises(TrainingError, match="No round of task 'ctr' has a AUC"):
        choose_round(rounds(float("nan"), float("nan")), CTR, PruneConfig())


def test_an_empty_validation_day_is_an_error(catalogue, small_network, make_samples):
    net = SharedNet(catalogue, ("ctr",), small_network, torch.Generator())

    with pytest.raises(TrainingError, match="No validation sample has the label of task 'ctr'"):
        validate(net, CTR, None, make_samples(0))


def test_the_standard_error_of_an_mse_is_that_of_a_mean(catalogue, small_network, make_samples):
    net, samples = SharedNet(catalogue, ("cvr",), small_network, torch.Generator()), make_samples(500)

    mse, error = validate(net, CVR, None, samples)

    assert 0 < error < mse / 5
    assert error == pytest.approx(validate(net, CVR, None, make_samples(2000))[1] * 2, rel=0.2)


def test_a_key_depends_on_how_a_ticket_is_found_and_not_on_what_data_said(small_network):
    key = TicketKey(
        catalogue="c", network=small_network, training=TRAINING, pruning=PruneConfig(),
        first=date(2022, 4, 25), last=date(2022, 5, 1), seed=0,
    )  # fmt: skip
    others = [
        replace(key, catalogue="d"),
        replace(key, network=replace(small_network, hidden=(8,))),
        replace(key, training=replace(TRAINING, batch_size=64)),
        replace(key, pruning=PruneConfig(q=0.2)),
        replace(key, last=date(2022, 5, 2)),
        replace(key, seed=1),
    ]

    assert len({key.digest, *(other.digest for other in others)}) == 7
    assert replace(key).digest == key.digest


def test_neurons_are_pruned_by_share_of_each_layer_and_the_ticket_covers_their_biases(search):
    ticket = search(unit="neuron", n_pruning=2, choose="sparsest_within_one_se", q=0.25)

    kept = {name: int(m.sum()) for name, m in ticket.mask.items() if name.endswith("bias")}
    rounds_done = ticket.best_i
    assert (
        kept
        == [{}, {"trunk.0.bias": 12, "trunk.1.bias": 6}, {"trunk.0.bias": 9, "trunk.1.bias": 5}][rounds_done]
    )
    assert int(ticket.mask["trunk.1.weight"].sum()) == kept["trunk.0.bias"] * kept["trunk.1.bias"]


def test_neurons_are_ranked_within_their_layer_only():
    with pytest.raises(ConfigError, match="within their layer"):
        PruneConfig(unit="neuron", scope="global")


def test_the_last_round_is_chosen_where_a_fixed_sparsity_is_asked_for():
    assert choose_round(rounds(0.5, 0.8, 0.7, 0.6), CTR, PruneConfig(choose="last")) == 3
