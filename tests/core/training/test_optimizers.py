import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.optimizers import RowwiseAdagrad
from lt4rec_core.training.trainer import TrainingConfig, make_optimizers


@pytest.fixture
def net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))


def test_adagrad_moves_rows_as_its_definition_says(net, make_samples):
    samples = make_samples(6)
    lookup = net.lookup(samples.ids, samples.lists)
    gradient = torch.randn(6, net.layout.n_fields, 4)
    before = net.table.detach().clone()

    # The definition, with loops: a list spreads its gradient evenly over its ids that are not padding.
    total = torch.zeros_like(before)
    for b in range(6):
        for f, row in enumerate(lookup.ids[b].tolist()):
            total[row] += gradient[b, f]
        real = [r for r in lookup.lists["m_history"][b].tolist() if r != net.layout.list_offsets["m_history"]]
        for row in real:
            total[row] += gradient[b, -1] / len(real)
    accumulator = 0.5 + (total**2).mean(1)
    expected = before - 0.1 * total / (accumulator.sqrt() + 1e-3).unsqueeze(1)

    optimizer = RowwiseAdagrad(net, learning_rate=0.1, eps=1e-3, initial=0.5)
    optimizer.step(lookup, gradient)

    assert torch.allclose(net.table, expected, atol=1e-6)
    assert torch.allclose(optimizer.accumulator, accumulator, atol=1e-6)


def test_adagrad_leaves_rows_outside_the_batch_bit_identical(net, make_samples):
    samples = make_samples(3)
    lookup = net.lookup(samples.ids, samples.lists)
    used = torch.cat([lookup.ids.flatten(), lookup.lists["m_history"].flatten()]).unique().long()
    unused = torch.ones(net.layout.n_rows, dtype=torch.bool)
    unused[used] = False
    before = net.table.detach().clone()
    optimizer = RowwiseAdagrad(net, learning_rate=0.1, eps=1e-8, initial=0.0)

    for _ in range(3):
        optimizer.step(lookup, torch.randn(3, net.layout.n_fields, 4))

    assert torch.equal(net.table[unused], before[unused])
    assert not optimizer.accumulator[unused].any()
    assert not torch.equal(net.table[used], before[used])


def test_the_state_survives_a_round_trip_and_steps_on_alike(net, catalogue, small_network, make_samples):
    twin = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
    ours, theirs = make_optimizers(net, TrainingConfig()), make_optimizers(twin, TrainingConfig())
    gradients = [torch.randn(p.shape) for p in ours.tasks["ctr"].parameters.values()]
    ours.tasks["ctr"].step([g.clone() for g in gradients])

    twin.load_state_dict(net.state_dict())
    theirs.load(ours.state())
    for optimizers in (ours, theirs):
        optimizers.tasks["ctr"].step([g.clone() for g in gradients])

    for name, value in net.named_parameters():
        assert torch.equal(value, dict(twin.named_parameters())[name])
    assert "cvr/trunk.0.weight.exp_avg" not in ours.state()  # it has not stepped yet
    assert ours.state().keys() == theirs.state().keys()


def test_a_state_of_another_network_is_refused(net):
    optimizers = make_optimizers(net, TrainingConfig())

    with pytest.raises(ModelStoreError, match="missing or has another number of rows"):
        optimizers.load({"table.accumulator": torch.zeros(3)})
    with pytest.raises(ModelStoreError, match=r"optimiser state of 'trunk\.0\.weight' is missing"):
        optimizers.load({**optimizers.state(), "ctr/trunk.1.weight.step": torch.tensor(1.0)})
