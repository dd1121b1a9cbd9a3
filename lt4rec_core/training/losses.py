"""What a step minimises: each task's loss, the balance between tasks (paper, Eq. 2), their conflicts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def task_loss(kind: str, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean loss of a batch: logits (b,) against labels (b,) in [0, 1].

    ``bce`` and ``soft_bce`` are the same formula, cross-entropy of the sigmoid; the second says that labels
    lie between 0 and 1, where its minimum is still the expected label. ``mse`` is the squared error of the
    sigmoid. ``weights`` (b,) multiply the samples' losses; the mean is still over b.
    """
    if kind == "mse":
        squared = (torch.sigmoid(logits) - labels).square()
        return (squared if weights is None else squared * weights).mean()
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def loss_and_slope(
    kind: str, logits: Tensor, labels: Tensor, weights: Tensor | None, weight: float
) -> tuple[float, Tensor]:
    """``task_loss``, and the derivative (b,) of ``balance`` of it with respect to the logits.

    The loss that is returned is without the task's ``weight`` in Eq. 2.
    """
    loss = task_loss(kind, logits, labels, weights)
    p = torch.sigmoid(logits)
    slope = p - labels
    if kind == "mse":
        slope = 2 * slope * p * (1 - p)
    if weights is not None:
        slope = slope * weights
    return loss.item(), slope.mul_(weight / len(labels))


def balance(loss: Tensor, weight: float) -> Tensor:
    """One task's term of Eq. 2, ``a * loss_CTR + b * loss_CVR``: each batch holds one task.

    Adam ignores the scale of a loss and each task has its own, so on the trunk this changes nothing; there
    the weight multiplies the task's learning rate instead (``make_optimizers``). On the embeddings, whose
    accumulators all tasks share, it acts as the loss weight it is in the paper.
    """
    return loss if weight == 1.0 else loss * weight


def conflict_weights(
    form: str, task: str, labels: Mapping[str, Tensor], strength: float, below: float
) -> Tensor | None:
    """Weights of samples on which click and watch pull apart: clicked, and hardly watched.

    How hardly is 1 at a watch ratio of 0, falls linearly and is 0 from ``below`` on. Weighting a loss by its
    own label bends calibration; it is to be reported with these samples.

    Args:
        form: ``raise_cvr`` weighs CVR by 1 + strength * hardly (paper, section 2.2), ``damp_ctr`` weighs CTR
            by 1 - strength * hardly (section 3.2), ``none`` weighs nothing.
        task: whose loss.
        labels: ``is_click`` and ``watch_ratio`` (n,); an unknown watch ratio is no conflict.
        strength: how much.
        below: the watch ratio from which there is no conflict.

    Returns:
        (n,), or None where the form does not touch the task.
    """
    if (form, task) not in (("raise_cvr", "cvr"), ("damp_ctr", "ctr")):
        return None
    hardly = (1 - labels["watch_ratio"] / below).nan_to_num(0.0).clamp(min=0)
    hardly = hardly * (labels["is_click"] == 1)
    return 1 + strength * hardly if form == "raise_cvr" else 1 - strength * hardly


def project_conflicts(
    gradients: Sequence[Sequence[Tensor]], generator: torch.Generator
) -> list[list[Tensor]]:
    """PCGrad (Yu et al., 2020, Algorithm 1): take from each task's gradient what opposes another task's.

    Args:
        gradients: per task its gradients of the shared parameters, which together are one vector.
        generator: draws the order in which the others are met; it matters from three tasks on.

    Returns:
        Per task its projected gradients, to be summed.
    """
    projected = []
    for i, own in enumerate(gradients):
        left = list(own)
        for j in torch.randperm(len(gradients), generator=generator).tolist():
            other = gradients[j]
            inner = _dot(left, other)
            if i == j or inner >= 0:
                continue
            share = inner / _dot(other, other)
            left = [mine - share * theirs for mine, theirs in zip(left, other, strict=True)]
        projected.append(left)
    return projected


def _dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    return sum(float((a * b).sum()) for a, b in zip(first, second, strict=True))
