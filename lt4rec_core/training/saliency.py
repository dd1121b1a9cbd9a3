"""Which weights a task needs, by its gradients: other answers to Algorithm 1's line 5 than magnitude."""

from typing import Literal, get_args

import torch
from torch import Tensor

from lt4rec_core.data.streaming import Samples, blocks_of
from lt4rec_core.model.masks import Mask
from lt4rec_core.model.network import SharedNet
from lt4rec_core.model.sharing import task_logits
from lt4rec_core.model.tasks import Task
from lt4rec_core.training.batches import iterate_batches
from lt4rec_core.training.losses import task_loss
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.trainer import drop_unknown

Saliency = Literal["magnitude", "taylor", "fisher"]
SALIENCIES: tuple[Saliency, ...] = get_args(Saliency)
"""What ranks the weights: their size (the paper), or what the loss would lose with them."""


def weight_saliency(
    kind: Saliency,
    net: SharedNet,
    task: Task,
    mask: Mask,
    samples: Samples,
    training: TrainingConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """How much each trunk weight matters to a task, in a network that was trained for it.

    - ``magnitude``: |w|, the paper's.
    - ``taylor``: mean over batches of |w * dL/dw|, the first-order change of a batch's loss when the weight
      is set to zero (Molchanov et al., 2017).
    - ``fisher``: w^2 times the mean over batches of (dL/dw)^2, half of which estimates the second-order
      change at a minimum (LeCun et al., 1990, with the empirical Fisher information for the Hessian).

    Args:
        kind: which of them.
        net: trained through ``mask``; left as it is.
        task: whose loss.
        mask: the weights that take part; what it removes is worth 0.
        samples: one pass over the task's own, in batches as training makes them.
        training: batch size, loss, dropout of unknown features.
        generator: shuffles and drops.

    Returns:
        Weight name to a tensor of its shape, at least 0: only its order means anything.
    """
    weights = {name: weight.detach() for name, weight in net.trunk_weights().items()}
    if kind == "magnitude":
        return {name: weight.abs() for name, weight in weights.items()}
    keep = {name: m.float() for name, m in mask.items()}
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    parameters = list(net.trunk_weights().values())
    n = 0
    batches = (
        batch
        for block in blocks_of(samples, generator)
        for batch in iterate_batches(block, (task,), training.batch_size, generator, {})
    )
    for batch in batches:
        batch = drop_unknown(net, batch, training.unknown_dropout, generator)
        fields = net.embed(net.lookup(batch.ids, batch.lists), task.name)
        loss = task_loss(
            training.loss_of(task), task_logits(net, task.name, fields, keep), batch.labels, batch.weights
        )
        n += 1
        for (name, weight), gradient in zip(
            weights.items(), torch.autograd.grad(loss, parameters), strict=True
        ):
            met = (weight * gradient).abs() if kind == "taylor" else gradient.square()
            sums[name] += met
    if kind == "fisher":
        sums = {name: total * weights[name].square() for name, total in sums.items()}
    return {name: total / max(n, 1) for name, total in sums.items()}
