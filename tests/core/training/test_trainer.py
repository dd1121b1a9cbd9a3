import numpy as np
import pytest
import torch

from lt4rec_core.data.streaming import SampleStream
from lt4rec_core.errors import MaskError, TrainingError
from lt4rec_core.evaluation.metrics import auc_score, mse_loss
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.pruning import expand_neurons
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import generator_for, rows_of_task
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.trainer import predict, train

CTR, CVR = get_tasks(["ctr", "cvr"])
CONFIG = TrainingConfig(batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1)


@pytest.fixture
def net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))


def masks_of(net, share=0.5):
    g = torch.Generator().manual_seed(1)
    return {
        task: {n: torch.rand(w.shape, generator=g) < share for n, w in net.trunk_weights().items()}
        for task in net.tasks
    }


def fit(net, samples, tasks=(CTR, CVR), config=CONFIG, seed=0, **options):
    return train(net, make_optimizers(net, config), samples, tasks, config, generator_for(seed), **options)


def weights(net):
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def test_one_loop_learns_both_tasks_from_mixed_batches(net, make_samples):
    train_set, valid = make_samples(3000, seed=1), make_samples(1000, seed=2)

    fit(net, train_set, epochs=2)

    scores = predict(net, valid, ("ctr", "cvr"))
    clicked = (valid.labels["is_click"] == 1).numpy()
    labels = valid.labels["watch_ratio"].numpy()[clicked]
    assert auc_score(valid.labels["is_click"].numpy(), scores["ctr"]) > 0.75  # the best there is: 0.8
    assert mse_loss(labels, scores["cvr"][clicked]) < 0.3 * labels.var()


def test_steps_of_one_task_leave_weights_outside_its_mask_bit_identical_momentum_included(net, make_samples):
    masks, optimizers, stream = masks_of(net), make_optimizers(net, CONFIG), generator_for(0)
    train(net, optimizers, make_samples(500), (CTR, CVR), CONFIG, stream, masks=masks)  # momentum for both

    for seed in range(20):
        for task in (CTR, CVR):
            before = weights(net)
            train(net, optimizers, make_samples(100, seed), (task,), CONFIG, stream, masks=masks)
            for name, weight in net.trunk_weights().items():
                outside = ~masks[task.name][name]
                assert torch.equal(weight[outside], before[name][outside])
                assert not torch.equal(weight[~outside], before[name][~outside])


def test_steps_of_one_task_leave_the_other_tasks_logit_layer_alone(net, make_samples):
    before = weights(net)

    fit(net, make_samples(200), (CTR,))

    assert torch.equal(net.logits["cvr"].weight, before["logits.cvr.weight"])
    assert not torch.equal(net.logits["ctr"].weight, before["logits.ctr.weight"])


def test_weights_that_no_task_keeps_never_move(net, make_samples):
    masks, before = masks_of(net, 0.2), weights(net)

    fit(net, make_samples(1000), masks=masks)

    for name, weight in net.trunk_weights().items():
        unused = ~(masks["ctr"][name] | masks["cvr"][name])
        assert torch.equal(weight[unused], before[name][unused])


def test_all_true_masks_are_the_same_as_none(catalogue, small_network, make_samples):
    nets = [SharedNet(catalogue, ("ctr",), small_network, generator_for(3)) for _ in range(2)]

    fit(nets[0], make_samples(300), (CTR,))
    fit(nets[1], make_samples(300), (CTR,), masks={"ctr": keep_all(nets[1].trunk_weights())})

    assert torch.equal(nets[0].table, nets[1].table)


def test_equal_inputs_and_seeds_give_equal_bits(catalogue, small_network, make_samples):
    found = []
    for seed in (5, 5, 6):
        net = SharedNet(catalogue, ("ctr", "cvr"), small_network, generator_for(3))
        fit(net, make_samples(500), seed=seed, masks=masks_of(net))
        found.append(weights(net))

    first, same, other = found
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["table"], other["table"])


def test_a_feature_unknown_when_serving_never_moves_a_prediction(net, make_samples):
    samples = make_samples(50)
    fit(net, make_samples(300))
    before = predict(net, samples, ("ctr",))["ctr"]

    samples.ids[:, net.layout.columns.index("f_position")] = 3

    assert np.array_equal(predict(net, samples, ("ctr",))["ctr"], before)


@pytest.mark.parametrize(("share", "moves"), [(1.0, False), (0.0, True)])
def test_unknown_features_are_dropped_in_training_in_the_share_asked_for(net, make_samples, share, moves):
    samples, before = make_samples(200), weights(net)
    column = net.layout.columns.index("f_position")
    samples.ids[:, column] = 3
    row = int(net.layout.offsets[column]) + 3

    fit(net, samples, config=TrainingConfig(unknown_dropout=share))

    assert (not torch.equal(net.table[row], before["table"][row])) == moves


def test_predictions_do_not_depend_on_the_batch(net, make_samples):
    samples = make_samples(100)

    whole, parts = predict(net, samples, ("ctr",)), predict(net, samples, ("ctr",), batch_size=7)

    assert whole["ctr"].dtype == np.float64
    np.testing.assert_allclose(whole["ctr"], parts["ctr"], atol=1e-6)


def test_the_loss_reported_is_the_mean_over_the_samples_met(net, make_samples):
    samples = make_samples(300)

    losses = fit(net, samples, epochs=2)

    assert losses["ctr"].n == 600
    assert losses["cvr"].n == 2 * len(rows_of_task(samples, CVR))
    assert 0 < losses["ctr"].loss < 0.8


def test_a_loss_that_is_not_finite_names_task_and_batch_and_leaves_the_weights_finite(net, make_samples):
    samples = make_samples(100)
    samples.labels["watch_ratio"][:] = float("inf")

    with pytest.raises(TrainingError, match=r"loss of task 'cvr' is .* at batch 0"):
        fit(net, samples, (CVR,))
    assert all(p.isfinite().all() for p in net.parameters())


def test_nothing_to_train_on_is_an_error(net, make_samples):
    with pytest.raises(TrainingError, match="Nothing to train on"):
        fit(net, make_samples(0))


def test_a_mask_of_another_network_is_refused(net, make_samples):
    with pytest.raises(MaskError, match="Was the ticket found with another network config"):
        fit(net, make_samples(50), masks={"ctr": {"trunk.0.weight": torch.ones(2, 2, dtype=torch.bool)}})


def test_progress_ends_at_the_total(net, make_samples):
    seen = []

    fit(net, make_samples(500), (CTR,), report=seen.append, config=TrainingConfig(batch_size=4))

    assert (seen[-1].done, seen[-1].total) == (500, 500)
    assert 50 <= len(seen) <= 102
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_a_task_weight_scales_the_trunks_rate_and_the_embeddings_loss(catalogue, small_network, make_samples):
    samples, moved = make_samples(32), {}
    for weight in (1.0, 0.5):
        net = SharedNet(catalogue, ("ctr",), small_network, generator_for(3))
        before = weights(net)
        config = TrainingConfig(batch_size=32, task_weights=(("ctr", weight),), unknown_dropout=0.0)
        optimizers = make_optimizers(net, config)
        train(net, optimizers, samples, (CTR,), config, generator_for(0))
        step = net.trunk_weights()["trunk.0.weight"] - before["trunk.0.weight"]
        moved[weight] = (step, optimizers.embedding.accumulator.clone())

    big = moved[1.0][0].abs() > 9.95e-4  # elsewhere Adam's epsilon shows
    assert big.any()
    assert torch.allclose(moved[0.5][0][big], 0.5 * moved[1.0][0][big], rtol=1e-2)
    assert torch.allclose(moved[0.5][1], 0.25 * moved[1.0][1], rtol=1e-3)


def neuron_masks_of(net):
    weights, g = net.trunk_weights(), torch.Generator().manual_seed(1)
    halves = {t: {n: torch.rand(len(w), generator=g) < 0.5 for n, w in weights.items()} for t in net.tasks}
    return {task: expand_neurons(half, weights) for task, half in halves.items()}


def test_with_neurons_too_a_step_leaves_all_outside_the_mask_bit_identical_biases_included(net, make_samples):
    masks, optimizers, stream = neuron_masks_of(net), make_optimizers(net, CONFIG), generator_for(0)
    train(net, optimizers, make_samples(500), (CTR, CVR), CONFIG, stream, masks=masks)  # momentum for both

    for seed in range(10):
        for task in (CTR, CVR):
            before = weights(net)
            train(net, optimizers, make_samples(100, seed), (task,), CONFIG, stream, masks=masks)
            for name, kept in masks[task.name].items():
                parameter = dict(net.named_parameters())[name]
                assert torch.equal(parameter[~kept], before[name][~kept])
            gone = ~masks[task.name]["trunk.1.bias"]
            logit = net.logits[task.name].weight
            assert torch.equal(logit[:, gone], before[f"logits.{task.name}.weight"][:, gone])


def test_a_removed_neuron_with_a_bias_says_nothing(net, make_samples):
    masks, samples = neuron_masks_of(net), make_samples(50)
    before = predict(net, samples, ("ctr",), masks)["ctr"]

    with torch.no_grad():
        for i, layer in enumerate(net.trunk):
            layer.bias[~masks["ctr"][f"trunk.{i}.bias"]] = 5.0

    assert np.array_equal(predict(net, samples, ("ctr",), masks)["ctr"], before)


class InMemory(SampleStream):
    """A stream over blocks that are there already; in the lake's place."""

    def __len__(self):
        return sum(map(len, self.snapshot))

    def shuffled(self, generator):
        order = torch.randperm(len(self.snapshot), generator=generator).tolist()
        return iter([self.snapshot[i] for i in order])

    def in_order(self, keep=()):
        return iter(self.snapshot)

    def labels(self, names):
        return iter(self.snapshot)


def stream_of(*blocks):
    return InMemory(blocks, None, None, None, 0)


def test_a_stream_of_one_block_trains_like_its_samples(catalogue, small_network, make_samples):
    samples, found = make_samples(300), []
    for given in (samples, stream_of(samples)):
        net = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
        stream = generator_for(0)
        if given is samples:
            torch.randperm(1, generator=stream)  # what the order of one block draws
        losses = train(net, make_optimizers(net, CONFIG), given, (CTR, CVR), CONFIG, stream)
        found.append((losses, weights(net)))

    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_a_stream_is_learnt_and_predicted_block_by_block(net, make_samples):
    blocks = [make_samples(1000, seed=seed) for seed in (1, 2, 3)]
    seen = []

    losses = fit(net, stream_of(*blocks), epochs=2, report=seen.append)

    assert losses["ctr"].n == 6000
    assert seen[-1].done == seen[-1].total == sum(loss.n for loss in losses.values())
    scores = predict(net, stream_of(*blocks), ("ctr",))["ctr"]
    assert np.array_equal(scores, np.concatenate([predict(net, b, ("ctr",))["ctr"] for b in blocks]))
    labels = np.concatenate([b.labels["is_click"].numpy() for b in blocks])
    assert auc_score(labels, scores) > 0.75


def test_samples_of_a_stream_take_no_weights_of_their_own(net, make_samples):
    samples = make_samples(50)
    with pytest.raises(TrainingError, match="Load them into memory"):
        fit(net, stream_of(samples), sample_weights={"ctr": torch.ones(50)})
