"""How the workers of one training speak with each other: ``torch.distributed``, whoever started them."""

from typing import Any, Protocol

import torch
from torch import Tensor, distributed


class Exchange(Protocol):
    """What training needs of its other workers. Every worker makes the same calls in the same order."""

    @property
    def rank(self) -> int:
        """Which of the workers this is, from 0 on."""

    @property
    def workers(self) -> int:
        """How many there are."""

    def add(self, values: Tensor) -> None:
        """Sum over all workers, in place; all get the same bits."""

    def gather(self, values: Tensor) -> list[Tensor]:
        """What every worker handed in, by rank; shapes and types are the same for all."""


class Group:
    """An exchange through a process group of ``torch.distributed``, such as gloo's."""

    def __init__(self, group: Any = None) -> None:
        """``group`` is the one that ``init_process_group`` made if it is not given."""
        self._group: Any = distributed.group.WORLD if group is None else group

    @property
    def rank(self) -> int:
        """Which of the workers this is."""
        return int(self._group.rank())

    @property
    def workers(self) -> int:
        """How many there are."""
        return int(self._group.size())

    def add(self, values: Tensor) -> None:
        """Sum over all workers, in place."""
        self._group.allreduce([values]).wait()

    def gather(self, values: Tensor) -> list[Tensor]:
        """What every worker handed in, by rank."""
        found = [torch.empty_like(values) for _ in range(self.workers)]
        self._group.allgather([found], [values.contiguous()]).wait()
        return found
