import pytest
import torch

from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.tasks import KNOWN_TASKS
from lt4rec_core.training.trainer import predict


def net_of(catalogue, config, tasks=("ctr", "cvr"), seed=0):
    return SharedNet(catalogue, tasks, config, torch.Generator().manual_seed(seed))


def test_a_feature_that_shares_an_embedding_looks_up_the_same_rows(catalogue, small_network, make_samples):
    net, samples = net_of(catalogue, small_network), make_samples(1)
    samples.ids[:, 1] = 7  # video_id
    samples.lists["m_history"][:] = torch.tensor([7, 0, 0, 0])

    fields = net.embed(net.lookup(samples.ids, samples.lists))

    names = [*net.layout.columns, *net.layout.lists]
    assert torch.equal(fields[0, names.index("f_video_id")], fields[0, names.index("m_history")])
    assert net.layout.n_rows == sum(catalogue.embeddings.values())


def test_a_list_is_the_mean_of_its_ids_and_padding_does_not_count(catalogue, small_network, make_samples):
    net, samples = net_of(catalogue, small_network), make_samples(1)
    samples.lists["m_history"][:] = torch.tensor([3, 0, 5, 0])

    field = net.embed(net.lookup(samples.ids, samples.lists))[0, -1]

    first = net.layout.list_offsets["m_history"]
    assert torch.allclose(field, (net.table[first + 3] + net.table[first + 5]) / 2)


def test_an_empty_list_is_the_zero_vector(catalogue, small_network, make_samples):
    net, samples = net_of(catalogue, small_network), make_samples(1)
    samples.lists["m_history"][:] = 0

    assert not net.embed(net.lookup(samples.ids, samples.lists))[0, -1].any()


def test_missing_has_a_row_of_its_own_per_feature(catalogue, small_network, make_samples):
    net, samples = net_of(catalogue, small_network), make_samples(1)
    samples.ids[:] = 0

    rows = net.lookup(samples.ids, samples.lists).ids[0]

    assert len(set(rows.tolist())) == len(net.layout.columns)
    assert net.table[rows.long()].any(dim=1).all()


def test_dot_interaction_is_the_embeddings_then_the_dot_product_of_each_pair(catalogue, small_network):
    net = net_of(catalogue, small_network)
    fields = torch.randn(3, 5, 4)

    x = net.interact(fields)

    pairs = [(fields[:, i] * fields[:, j]).sum(1) for i in range(5) for j in range(i + 1, 5)]
    assert torch.allclose(x, torch.cat([fields.flatten(1), torch.stack(pairs, 1)], 1), atol=1e-6)


def test_the_gradient_of_the_dot_interaction_is_that_of_its_definition(catalogue, small_network):
    net = net_of(catalogue, small_network)
    fields = torch.randn(3, 5, 4, dtype=torch.double, requires_grad=True)

    assert torch.autograd.gradcheck(net.interact, (fields,))


def test_user_video_interaction_multiplies_each_user_field_with_each_video_field(catalogue):
    config = NetworkConfig(embedding_dim=4, hidden=(8,), interaction="user_video")
    net = net_of(catalogue, config)
    fields = torch.randn(2, 5, 4)
    names = [*net.layout.columns, *net.layout.lists]
    user, history, video = (names.index(n) for n in ("f_user_id", "m_history", "f_video_id"))

    x = net.interact(fields)

    expected = [fields.flatten(1), fields[:, user] * fields[:, video], fields[:, history] * fields[:, video]]
    assert torch.equal(x, torch.cat(expected, 1))


@pytest.mark.parametrize("interaction", ["dot", "user_video", "none"])
def test_the_trunk_is_as_wide_as_what_enters_it(catalogue, interaction):
    net = net_of(catalogue, NetworkConfig(embedding_dim=4, hidden=(8, 6), interaction=interaction))

    assert net.interact(torch.randn(2, 5, 4)).shape[1] == net.trunk[0].in_features
    assert [tuple(w.shape) for w in net.trunk_weights().values()][1:] == [(6, 8)]


def test_equal_seeds_give_equal_values_and_others_others(catalogue, small_network):
    first, same, other = (net_of(catalogue, small_network, seed=seed) for seed in (1, 1, 2))

    for name, value in first.named_parameters():
        assert torch.equal(value, dict(same.named_parameters())[name])
    assert not torch.equal(first.table, other.table)


def test_first_values_of_the_trunk_do_not_depend_on_how_many_tasks_there_are(catalogue, small_network):
    one, two = (net_of(catalogue, small_network, tasks) for tasks in (("ctr",), ("ctr", "cvr")))

    for name, weight in one.trunk_weights().items():
        assert torch.equal(weight, two.trunk_weights()[name])
    assert torch.equal(one.logits["ctr"].weight, two.logits["ctr"].weight)


def test_a_task_may_move_the_trunk_and_its_own_logit_layer_only(catalogue, small_network):
    moved = set(net_of(catalogue, small_network).task_parameters("ctr"))

    assert "logits.ctr.weight" in moved
    assert not {name for name in moved if "cvr" in name or name == "table"}


def test_a_view_is_seen_by_its_task_alone_beside_what_all_share(catalogue, small_network, make_samples):
    plain = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))
    net = SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0), {"cvr": 2})
    samples = make_samples(6)
    lookup = net.lookup(samples.ids, samples.lists)

    shared, private = net.embed(lookup, "ctr"), net.embed(lookup, "cvr")

    n, f = plain.trunk[0].in_features, net.layout.n_fields
    assert torch.equal(shared, plain.embed(lookup))
    assert torch.equal(private[..., :4], shared)
    assert private.shape == (6, f, 6)
    assert net.trunk[0].in_features == n + 2 * f
    assert torch.equal(net.interact(shared, "ctr")[:, :n], plain.interact(shared))
    assert not net.interact(shared, "ctr")[:, n:].any()
    assert torch.equal(net.interact(private, "cvr")[:, n:], private[..., 4:].flatten(1))


def test_every_known_task_can_have_a_logit_layer_whatever_it_is_called(
    catalogue, small_network, make_samples
):
    net = net_of(catalogue, small_network, tasks=tuple(KNOWN_TASKS))

    scores = predict(net, make_samples(5), KNOWN_TASKS)

    assert set(scores) == set(KNOWN_TASKS)
    assert {f"logits.{task}.weight" for task in KNOWN_TASKS} <= set(net.state_dict())
