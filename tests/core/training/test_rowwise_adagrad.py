import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.rowwise_adagrad import RowwiseAdagrad


def new_net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))


@pytest.fixture
def net(catalogue, small_network):
    return new_net(catalogue, small_network)


@pytest.fixture
def trained(net, make_samples):
    optimizer = RowwiseAdagrad(net, learning_rate=0.1, eps=1e-8, initial=0.0)
    samples = make_samples(3)
    optimizer.step(net.lookup(samples.ids, samples.lists), torch.randn(3, net.layout.n_fields, 4))
    return optimizer


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


def test_its_state_holds_the_rows_that_moved_and_no_other(trained, make_samples):
    samples = make_samples(3)
    lookup = trained.layout.offsets + samples.ids
    history = samples.lists["m_history"]
    videos = history[history != 0] + trained.layout.list_offsets["m_history"]

    state = trained.state()

    assert state["rows"].tolist() == sorted({*lookup.flatten().tolist(), *videos.tolist()})
    assert torch.equal(state["values"], trained.table[state["rows"]])
    assert torch.equal(state["accumulator"], trained.accumulator[state["rows"]])


@pytest.mark.parametrize("initial", [0.0, 0.5])
def test_its_state_brings_every_row_back_over_the_same_first_values(
    catalogue, small_network, make_samples, initial
):
    nets = [new_net(catalogue, small_network) for _ in range(2)]
    ours, theirs = (RowwiseAdagrad(net, learning_rate=0.1, eps=1e-8, initial=initial) for net in nets)
    samples, first = make_samples(3), nets[0].table.detach().clone()
    ours.step(nets[0].lookup(samples.ids, samples.lists), torch.full((3, ours.layout.n_fields, 4), 1e-6))

    theirs.load(ours.state())

    assert torch.equal(nets[1].table, nets[0].table)
    assert torch.equal(theirs.accumulator, ours.accumulator)
    assert torch.equal(theirs.touched, ours.touched)
    moved = (nets[0].table != first).any(1)
    assert torch.equal(ours.touched, moved)
    assert not moved.all()
    if initial:  # 0.5 + 1e-12 is 0.5: the accumulators alone would not tell
        assert (ours.accumulator == initial).all()


def damaged(state, **changes):
    return {name: value for name, value in {**state, **changes}.items() if value is not None}


def test_a_state_that_does_not_fit_the_table_is_refused_and_changes_nothing(trained, net):
    state, table, n_rows = trained.state(), net.table.detach().clone(), net.layout.n_rows
    beyond = state["rows"].clone()
    beyond[-1] = n_rows
    cases = [
        (damaged(state, rows=None), r"lacks \['rows'\]. Materialise"),
        (damaged(state, rows=beyond), f"names rows .* to {n_rows}, the table has {n_rows}"),
        (damaged(state, rows=-1 - state["rows"]), "names rows -"),
        (damaged(state, values=state["values"][:, :3]), "does not fit: .* for vectors of 4. Was the model"),
        (damaged(state, accumulator=state["accumulator"][1:]), "does not fit"),
    ]

    for broken, message in cases:
        with pytest.raises(ModelStoreError, match=message):
            trained.load(broken)
    assert torch.equal(net.table, table)
