import math

import pytest
import torch

from lt4rec_core.errors import ConfigError, MaskError
from lt4rec_core.model.masks import keep_all
from lt4rec_core.model.network import NetworkConfig, SharedNet
from lt4rec_core.model.towers import EsmmNet, HardSharingNet, MmoeNet, PleNet, product_logits

THREE_LAYERS = NetworkConfig(embedding_dim=4, hidden=(12, 8, 6), embedding_std=0.1)
NETS = [HardSharingNet, EsmmNet, MmoeNet, PleNet]


@pytest.fixture
def make(catalogue):
    def build(cls, config=THREE_LAYERS):
        net = cls(catalogue, ("ctr", "cvr"), config, torch.Generator().manual_seed(0))
        with torch.no_grad():
            for p in net.parameters():  # biases, too, must show
                p.normal_(std=0.3, generator=torch.Generator().manual_seed(p.numel()))
        return net

    return build


@pytest.fixture
def fields():
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))


# The definitions, in plain Python over lists of numbers.


def linear(layer, x):
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def relu(x):
    return [max(v, 0.0) for v in x]


def softmax(x):
    total = sum(math.exp(v) for v in x)
    return [math.exp(v) / total for v in x]


def mlp(layers, x):
    for layer in layers:
        x = relu(linear(layer, x))
    return x


def mixture(gate, experts):
    return [sum(g * e[i] for g, e in zip(gate, experts, strict=True)) for i in range(len(experts[0]))]


def mmoe(net, task, x):
    experts = [mlp(expert, x) for expert in net.experts]
    mixed = mixture(softmax(linear(net.gates[task], x)), experts)
    return linear(net.logits[task], mlp(net.towers[task], mixed))[0]


def ple(net, task, x):
    flow = {"ctr": x, "cvr": x, "shared": x}
    for level, gates in zip(net.levels, net.gates, strict=True):
        made = {who: [relu(linear(e, flow[who])) for e in level[who]] for who in ("ctr", "cvr", "shared")}
        every = made["ctr"] + made["cvr"] + made["shared"]
        seen = {"ctr": made["ctr"] + made["shared"], "cvr": made["cvr"] + made["shared"], "shared": every}
        flow = {who: mixture(softmax(linear(gates[who], flow[who])), seen[who]) for who in gates}
    return linear(net.logits[task], mlp(net.towers[task], flow[task]))[0]


def hard(net, task, x):
    return linear(net.logits[task], mlp(net.trunks[task], x))[0]


@pytest.mark.parametrize("task", ["ctr", "cvr"])
@pytest.mark.parametrize(("cls", "plain"), [(HardSharingNet, hard), (MmoeNet, mmoe), (PleNet, ple)])
def test_scores_are_those_of_the_plain_definition(make, fields, cls, plain, task):
    net = make(cls)

    expected = [plain(net, task, x) for x in net.interact(fields).tolist()]

    assert net(task, fields, None).tolist() == pytest.approx(expected, abs=1e-5)


def test_esmm_multiplies_the_probabilities_of_click_and_watch(make, fields):
    net = make(EsmmNet)
    inputs = net.interact(fields).tolist()

    p_ctcvr = torch.sigmoid(net("ctcvr", fields, None)).tolist()

    sigmoid = [[1 / (1 + math.exp(-hard(net, task, x))) for x in inputs] for task in ("ctr", "cvr")]
    assert p_ctcvr == pytest.approx([a * b for a, b in zip(*sigmoid, strict=True)], abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(80.0, 80.0), (-80.0, 0.0), (-60.0, -60.0), (0.0, 0.0), (30.0, 2.0)])
def test_the_logit_of_a_product_stays_exact_where_probabilities_leave_float32(a, b):
    logits = torch.tensor([a, b], dtype=torch.float32, requires_grad=True)

    found = product_logits(logits[:1], logits[1:])
    found.sum().backward()

    p, q = (math.exp(-math.log1p(math.exp(-v))) for v in (a, b))
    neither = 1 / (1 + math.exp(a)) + p / (1 + math.exp(b))  # 1 - pq without cancellation
    assert found.item() == pytest.approx(math.log(p) + math.log(q) - math.log(neither), rel=1e-5, abs=1e-6)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("hidden", [(8, 6), (12, 8, 6), (12, 8, 8, 6)])
@pytest.mark.parametrize("cls", NETS)
@pytest.mark.parametrize("task", ["ctr", "cvr"])
def test_the_parameters_of_a_task_are_exactly_those_its_score_depends_on(make, fields, cls, task, hidden):
    net = make(cls, NetworkConfig(embedding_dim=4, hidden=hidden))

    net(task, fields, None).sum().backward()

    moved = {name for name, p in net.named_parameters() if p.grad is not None}
    assert set(net.task_parameters(task)) == moved


def test_hard_sharing_shares_the_embeddings_and_nothing_of_the_trunks(make):
    net = make(HardSharingNet)

    assert not set(net.task_parameters("ctr")) & set(net.task_parameters("cvr"))
    assert len(net.task_parameters("ctr")) == 2 * 4  # three layers and the logit layer, weight and bias each


def test_each_task_of_hard_sharing_has_the_trunk_of_a_single_task_network(make, catalogue):
    single = SharedNet(catalogue, ("ctr",), THREE_LAYERS, torch.Generator())

    shapes = [layer.weight.shape for layer in make(HardSharingNet).trunks["ctr"]]

    assert shapes == [w.shape for w in single.trunk_weights().values()]


@pytest.mark.parametrize("cls", NETS)
def test_a_mask_is_refused(make, fields, cls, catalogue):
    mask = keep_all(SharedNet(catalogue, ("ctr",), THREE_LAYERS, torch.Generator()).trunk_weights())

    with pytest.raises(MaskError, match="takes no mask"):
        make(cls)("ctr", fields, mask)


@pytest.mark.parametrize("cls", [MmoeNet, PleNet])
def test_experts_need_a_layer_for_the_towers_beside_theirs(make, cls):
    with pytest.raises(ConfigError, match="at least two hidden layers"):
        make(cls, NetworkConfig(embedding_dim=4, hidden=(8,)))
