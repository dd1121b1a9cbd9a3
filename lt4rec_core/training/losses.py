"""What a step minimises: each task's loss, and the balance between tasks (paper, Eq. 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def task_loss(kind: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of a batch: logits (b,) against labels (b,) in [0, 1].

    ``bce`` and ``soft_bce`` are the same formula, cross-entropy of the sigmoid; the second says that labels
    lie between 0 and 1, where its minimum is still the expected label. ``mse`` is the squared error of the
    sigmoid.
    """
    if kind == "mse":
        return F.mse_loss(torch.sigmoid(logits), labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


def balance(loss: Tensor, weight: float) -> Tensor:
    """One task's term of Eq. 2, ``a * loss_CTR + b * loss_CVR``: each batch holds one task.

    Adam ignores the scale of a loss and each task has its own, so on the trunk this changes nothing; there
    the weight multiplies the task's learning rate instead (``make_optimizers``). On the embeddings, whose
    accumulators all tasks share, it acts as the loss weight it is in the paper.
    """
    return loss if weight == 1.0 else loss * weight
