import pytest
import torch

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.optimizers import make_optimizers
from lt4rec_core.training.settings import TrainingConfig


@pytest.fixture
def net(catalogue, small_network):
    return SharedNet(catalogue, ("ctr", "cvr"), small_network, torch.Generator().manual_seed(0))


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

    with pytest.raises(ModelStoreError, match=r"table's state lacks \['rows', 'values'\]"):
        optimizers.load({"table.accumulator": torch.zeros(3)})
    with pytest.raises(ModelStoreError, match=r"optimiser state of 'trunk\.0\.weight' is missing"):
        optimizers.load({**optimizers.state(), "ctr/trunk.1.weight.step": torch.tensor(1.0)})


def test_each_task_has_its_own_pace(net):
    optimizers = make_optimizers(net, TrainingConfig(learning_rate=0.01, task_weights={"cvr": 0.5}))

    assert optimizers.tasks["ctr"].learning_rate == 0.01
    assert optimizers.tasks["cvr"].learning_rate == 0.005
