import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.training.task_adam import TaskAdam

SHAPES = {"w": (7, 5), "b": (7,)}


def parameters():
    g = torch.Generator().manual_seed(0)
    return {name: nn.Parameter(torch.randn(shape, generator=g)) for name, shape in SHAPES.items()}


def gradients(step):
    g = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=g) for shape in SHAPES.values()]


@pytest.fixture
def mask():
    return {"w": torch.rand(7, 5, generator=torch.Generator().manual_seed(1)) < 0.4}


def test_it_is_pytorchs_adam_bit_for_bit():
    ours, theirs = parameters(), parameters()
    task_adam = TaskAdam(ours, 0.01, (0.8, 0.99))
    reference = torch.optim.Adam(theirs.values(), lr=0.01, betas=(0.8, 0.99), fused=True)

    for step in range(5):
        task_adam.step(gradients(step))
        for parameter, gradient in zip(theirs.values(), gradients(step), strict=True):
            parameter.grad = gradient
        reference.step()

    for name, parameter in theirs.items():
        assert torch.equal(ours[name], parameter)
        for key, value in reference.state[parameter].items():
            assert torch.equal(task_adam.state()[f"{name}.{key}"], value)


def test_under_a_mask_the_state_holds_what_the_mask_keeps_and_comes_back_whole(mask):
    ours = TaskAdam(parameters(), 0.01, (0.9, 0.999), mask)
    for step in range(3):
        w, b = gradients(step)
        ours.step([w * mask["w"], b])
    theirs = TaskAdam(parameters(), 0.01, (0.9, 0.999), mask)

    theirs.load(ours.state())

    assert ours.state()["w.exp_avg"].shape == (int(mask["w"].sum()),)
    assert ours.state()["b.exp_avg"].shape == (7,)
    ours.mask = theirs.mask = {}  # from here on the state leaves nothing out
    whole, restored = ours.state(), theirs.state()
    assert whole.keys() == restored.keys()
    assert all(torch.equal(whole[name], restored[name]) for name in whole)
    assert not whole["w.exp_avg"][~mask["w"]].any()


def test_a_state_of_other_shapes_is_refused(mask):
    dense, masked = (TaskAdam(parameters(), 0.01, (0.9, 0.999), m) for m in (None, mask))
    dense.step(gradients(0))

    with pytest.raises(ModelStoreError, match="optimiser state of 'w' is missing or has another shape"):
        masked.load(dense.state())
    with pytest.raises(ModelStoreError, match="optimiser state of 'b' is missing"):
        dense.load({n: v for n, v in dense.state().items() if n != "b.step"})


def test_it_imports_no_compiler():
    code = """
        import sys, torch
        from lt4rec_core.training.task_adam import TaskAdam
        p = torch.nn.Parameter(torch.ones(3))
        TaskAdam({"p": p}, 0.01, (0.9, 0.999)).step([torch.ones(3)])
        assert p[0] < 1 and "torch._dynamo" not in sys.modules
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60).returncode == 0
