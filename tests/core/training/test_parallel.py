from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from lt4rec_core.data.streaming import share_of
from lt4rec_core.errors import TrainingError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.training.batches import Batch, generator_for
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.parallel import Reached, Rounds, Together, check_alike
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.steps import single_step
from lt4rec_core.training.trainer import train

TASKS = CTR, CVR = get_tasks(["ctr", "cvr"])
CONFIG = TrainingConfig(
    batch_size=32, learning_rate=0.01, embedding_learning_rate=0.1, unknown_dropout=0.0,
    task_weights=(("cvr", 2.0),),
)  # fmt: skip


@pytest.fixture
def make_net(catalogue, small_network):
    def make(interaction="dot", views=None):
        network = replace(small_network, interaction=interaction)
        return SharedNet(catalogue, ("ctr", "cvr"), network, generator_for(3), views)

    return make


def masks_of(net, share=0.5):
    g = generator_for(5)
    return {
        task: {n: torch.rand(w.shape, generator=g) < share for n, w in net.trunk_weights().items()}
        for task in net.tasks
    }


def trained(side_by_side, net, samples, config=CONFIG, masks=None, workers=2):
    """The network and its optimisers as each worker has them afterwards, and the losses it met."""

    def work(exchange):
        mine = deepcopy(net)
        optimizers = make_optimizers(mine, config, masks)
        share = share_of(samples, exchange.rank, exchange.workers)
        losses = train(
            mine, optimizers, share, TASKS, config, generator_for(0), masks=masks, together=Together(exchange)
        )
        return mine, optimizers, losses

    return side_by_side(workers, work)


def batches_of(side_by_side, samples, workers=2, config=CONFIG):
    """The batches that each worker meets."""

    def work(exchange):
        share = share_of(samples, exchange.rank, exchange.workers)
        together, skip = Together(exchange), lambda block: {}
        rounds = Rounds(together, share, TASKS, config, generator_for(0), skip, lambda number: None)
        return [deepcopy(batch) for batch in rounds]

    return side_by_side(workers, work)


def joined(parts):
    """The batch that a single process would have met."""
    parts = [part for part in parts if len(part.labels)]
    lists = {name: torch.cat([p.lists[name] for p in parts]) for name in parts[0].lists}
    ids, labels = torch.cat([p.ids for p in parts]), torch.cat([p.labels for p in parts])
    return Batch(parts[0].task, ids, lists, labels)


@pytest.mark.parametrize(
    ("interaction", "views", "masked"),
    [("dot", None, True), ("user_video", None, True), ("dot", {"cvr": 2}, False)],
    ids=["written out", "autograd", "views"],
)
def test_two_workers_make_the_steps_of_one_process_with_both_their_samples(
    side_by_side, make_net, make_samples, interaction, views, masked
):
    net, samples = make_net(interaction, views), make_samples(300)
    masks = masks_of(net) if masked else None
    keep = {t: {n: m.float() for n, m in masks[t].items()} if masks else None for t in net.tasks}

    (one, ones, losses), (two, twos, _) = trained(side_by_side, net, samples, masks=masks)
    alone = deepcopy(net)
    optimizers = make_optimizers(alone, CONFIG, masks)
    met = [
        single_step(alone, optimizers, CONFIG, TASKS, keep, joined(parts), 0)
        for parts in zip(*batches_of(side_by_side, samples), strict=True)
    ]

    for name, p in one.named_parameters():
        assert torch.equal(p, two.get_parameter(name)), name
        assert torch.allclose(p, alone.get_parameter(name), atol=2e-5), name
    assert any((p - net.get_parameter(n)).abs().max() > 0.01 for n, p in one.named_parameters())
    assert torch.equal(ones.embedding.accumulator, twos.embedding.accumulator)
    assert torch.allclose(ones.embedding.accumulator, optimizers.embedding.accumulator, rtol=1e-3, atol=1e-9)
    assert torch.equal(ones.embedding.touched, optimizers.embedding.touched)
    for task in ("ctr", "cvr"):
        seen = [m[task] for m in met if task in m]
        assert losses[task].n == sum(n for _, n in seen)
        assert losses[task].loss == pytest.approx(sum(v * n for v, n in seen) / losses[task].n, abs=1e-5)


def test_no_task_of_any_worker_moves_a_trunk_weight_outside_its_mask(side_by_side, make_net, make_samples):
    net = make_net()
    masks = masks_of(net)

    (one, optimizers, _), _ = trained(side_by_side, net, make_samples(400), masks=masks)

    for name, weight in one.trunk_weights().items():
        nobodys = ~(masks["ctr"][name] | masks["cvr"][name])
        assert torch.equal(weight[nobodys], net.trunk_weights()[name][nobodys])
        for task in ("ctr", "cvr"):
            moments = optimizers.tasks[task]._state[name]
            assert not moments["exp_avg"][~masks[task][name]].any()
            assert moments["exp_avg"][masks[task][name]].any()
            ((only, _, _), _) = trained_alone(side_by_side, net, make_samples(200), masks, task)
            outside = ~masks[task][name]
            assert torch.equal(only.trunk_weights()[name][outside], net.trunk_weights()[name][outside])


def trained_alone(side_by_side, net, samples, masks, task):
    """Of one task alone, after a day of both: its momentum is what could still move the other's weights."""
    (task,) = get_tasks([task])

    def work(exchange):
        mine = deepcopy(net)
        optimizers = make_optimizers(mine, CONFIG, masks)
        share = share_of(samples, exchange.rank, exchange.workers)
        train(
            mine,
            optimizers,
            share,
            (task,),
            CONFIG,
            generator_for(0),
            masks=masks,
            together=Together(exchange),
        )
        return mine, optimizers, None

    return side_by_side(2, work)


@pytest.mark.parametrize("sizes", [(200, 3), (100, 40, 90), (64, 64, 64, 1), (50,)])
def test_workers_of_uneven_shares_make_the_same_steps_and_meet_every_sample_once(
    side_by_side, make_blocks, sizes
):
    samples = make_blocks(sizes)

    met = batches_of(side_by_side, samples)

    assert [b.task for b in met[0]] == [b.task for b in met[1]]
    together = [joined(parts) for parts in zip(*met, strict=True)]
    for task in TASKS:
        of_task = [b for b in together if b.task == task.name]
        assert sum(len(b.labels) for b in of_task) == sum(
            int((block.labels[task.label] == block.labels[task.label]).sum()) for block in samples.blocks
        )
        assert max(len(b.labels) for b in of_task) <= CONFIG.batch_size + 1
    met_users = torch.cat([b.ids[:, 0] for b in together if b.task == "ctr"]).bincount(minlength=41)
    assert torch.equal(met_users, torch.cat([b.ids[:, 0] for b in samples.blocks]).bincount(minlength=41))


def test_a_worker_without_any_sample_still_has_the_network(side_by_side, make_net, make_blocks):
    (one, _, losses), (two, _, _) = trained(side_by_side, make_net(), make_blocks((100,)))

    assert all(torch.equal(p, two.get_parameter(name)) for name, p in one.named_parameters())
    assert losses["ctr"].n == 100


def test_two_workers_learn_as_one_does(side_by_side, make_net, make_samples):
    net, samples = make_net(), make_samples(3000)
    config = replace(CONFIG, unknown_dropout=0.5)
    alone = deepcopy(net)

    (_, _, losses), _ = trained(side_by_side, net, samples, config)
    by_one = train(alone, make_optimizers(alone, config), samples, TASKS, config, generator_for(0))

    assert losses["ctr"].n == by_one["ctr"].n
    assert losses["ctr"].loss == pytest.approx(by_one["ctr"].loss, abs=0.02)
    assert losses["ctr"].loss < 0.66  # of knowing nothing 0.693


def test_a_loss_that_is_not_finite_at_one_worker_stops_all_of_them(side_by_side, make_net, make_samples):
    net, samples = make_net(), make_samples(100)
    samples.labels["is_click"][::2] = float("inf")  # at the first worker

    def work(exchange):
        mine = deepcopy(net)
        share = share_of(samples, exchange.rank, exchange.workers)
        with pytest.raises(TrainingError, match="loss of task 'ctr' is"):
            train(
                mine, make_optimizers(mine, CONFIG), share, (CTR,), CONFIG, generator_for(0),
                together=Together(exchange),
            )  # fmt: skip
        return mine

    for mine in side_by_side(2, work):
        assert all(torch.equal(p, net.get_parameter(name)) for name, p in mine.named_parameters())


def test_rounds_are_told_with_what_was_met_so_far(side_by_side, make_net, make_blocks):
    samples = make_blocks((60, 60, 60))

    def work(exchange):
        net, told = make_net(), []
        share = share_of(samples, exchange.rank, exchange.workers)
        train(
            net, make_optimizers(net, CONFIG), share, TASKS, CONFIG, generator_for(0),
            together=Together(exchange, after_round=told.append),
        )  # fmt: skip
        return told

    for told in side_by_side(2, work):
        assert [reached.rounds for reached in told] == [1, 2]
        assert [reached.sums["ctr"][1] for reached in told] in ([120, 180], [60, 180])


def test_networks_that_differ_are_refused_before_anything_moves(side_by_side, make_net, make_samples):
    def work(exchange):
        net = make_net()
        with torch.no_grad():
            net.logits["ctr"].bias += exchange.rank
        with pytest.raises(TrainingError, match="no longer hold the same network"):
            check_alike(exchange, net)

    side_by_side(2, work)


@pytest.mark.parametrize("steps", ["together", "joint", "pcgrad"])
def test_steps_of_all_tasks_at_once_are_refused(side_by_side, make_net, make_samples, steps):
    config = replace(CONFIG, steps=steps)

    with pytest.raises(TrainingError, match=r"steps of single tasks, asked for steps = .*\[ray\] workers"):
        trained(side_by_side, make_net(), make_samples(50), config)


def test_several_passes_are_refused(side_by_side, make_net, make_samples):
    def work(exchange):
        net = make_net()
        optimizers = make_optimizers(net, CONFIG)
        with pytest.raises(TrainingError, match="train one pass"):
            train(
                net, optimizers, make_samples(40), TASKS, CONFIG, generator_for(0), epochs=2,
                together=Together(exchange, Reached()),
            )  # fmt: skip

    side_by_side(2, work)
