"""Who moves which numbers: row-wise Adagrad for the embedding table, one fused Adam per task for the rest.

A gradient of zero is not a standstill: with one Adam for all tasks the momentum of one task's steps keeps
moving weights that only another task keeps. With one Adam per task the moments of a weight outside the task's
mask stay exactly zero, and so does its update. There is no weight decay, which would move everything.
"""

from collections.abc import Mapping

from torch import Tensor

from lt4rec_core.model.masks import Masks
from lt4rec_core.model.network import SharedNet
from lt4rec_core.training.rowwise_adagrad import RowwiseAdagrad
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.task_adam import TaskAdam


class Optimizers:
    """All optimisers of one network, and their state as flat tensors."""

    def __init__(self, embedding: RowwiseAdagrad, tasks: Mapping[str, TaskAdam]) -> None:
        self.embedding, self.tasks = embedding, dict(tasks)

    def state(self) -> dict[str, Tensor]:
        """Flat names to tensors, ready for safetensors: what moves the table holds the table's moved rows."""
        flat = {f"table.{name}": value for name, value in self.embedding.state().items()}
        for task, task_adam in self.tasks.items():
            flat |= {f"{task}/{name}": value for name, value in task_adam.state().items()}
        return flat

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave, into a network whose table holds its first values.

        Raises:
            ModelStoreError: it belongs to another network.
        """
        self.embedding.load(_below("table.", state))
        for task, task_adam in self.tasks.items():
            task_adam.load(_below(f"{task}/", state))


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What stands under a prefix, without it."""
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}


def make_optimizers(net: SharedNet, config: TrainingConfig, masks: Masks | None = None) -> Optimizers:
    """Fresh optimisers of a network: row-wise Adagrad for the table, one Adam per task.

    ``masks`` are those it is trained through: what the state of a task's Adam can leave out.
    """
    embedding = RowwiseAdagrad(
        net, config.embedding_learning_rate, config.adagrad_eps, config.adagrad_initial
    )
    betas = (config.beta1, config.beta2)
    adams = {
        task: TaskAdam(
            net.task_parameters(task),
            config.learning_rate * config.weight_of(task),
            betas,
            (masks or {}).get(task),
        )
        for task in net.tasks
    }
    return Optimizers(embedding, adams)
