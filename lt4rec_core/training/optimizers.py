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

JOINT = "joint"
"""The name of the one Adam of all tasks that joint steps use."""


class Optimizers:
    """All optimisers of one network, and their state as flat tensors.

    ``tasks`` holds one Adam per task, or with joint steps one for all of them.
    """

    def __init__(
        self,
        embedding: RowwiseAdagrad,
        tasks: Mapping[str, TaskAdam],
        views: Mapping[str, RowwiseAdagrad] | None = None,
    ) -> None:
        self.embedding, self.tasks, self.views = embedding, dict(tasks), dict(views or {})

    def state(self) -> dict[str, Tensor]:
        """Flat names to tensors, ready for safetensors: what moves the table holds the table's moved rows."""
        flat = {f"table.{name}": value for name, value in self.embedding.state().items()}
        for task, view in self.views.items():
            flat |= {f"views.{task}.{name}": value for name, value in view.state().items()}
        for task, task_adam in self.tasks.items():
            flat |= {f"{task}/{name}": value for name, value in task_adam.state().items()}
        return flat

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave, into a network whose table holds its first values.

        Raises:
            ModelStoreError: it belongs to another network.
        """
        self.embedding.load(_below("table.", state))
        for task, view in self.views.items():
            view.load(_below(f"views.{task}.", state))
        for task, task_adam in self.tasks.items():
            task_adam.load(_below(f"{task}/", state))


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What stands under a prefix, without it."""
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}


def make_optimizers(net: SharedNet, config: TrainingConfig, masks: Masks | None = None) -> Optimizers:
    """Fresh optimisers of a network: row-wise Adagrad for each table, one Adam per task, or for all.

    ``masks`` are those it is trained through: what the state of a task's Adam can leave out.
    """
    rates = (config.embedding_learning_rate, config.adagrad_eps, config.adagrad_initial)
    embedding = RowwiseAdagrad(net, *rates)
    views = {task: RowwiseAdagrad(net, *rates, table=view) for task, view in net.views.items()}
    betas = (config.beta1, config.beta2)
    if config.steps in ("joint", "pcgrad"):
        everything = {name: p for task in net.tasks for name, p in net.task_parameters(task).items()}
        return Optimizers(embedding, {JOINT: TaskAdam(everything, config.learning_rate, betas)}, views)
    adams = {
        task: TaskAdam(
            net.task_parameters(task),
            config.learning_rate * config.weight_of(task),
            betas,
            (masks or {}).get(task),
        )
        for task in net.tasks
    }
    return Optimizers(embedding, adams, views)
