"""What can be predicted: CTR, CVR, and every further engagement as one more task."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lt4rec_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Task:
    """One label, the samples that have it, its loss and the metric that judges it."""

    name: str
    """Short lower-case name; the score column is ``p_<name>``."""

    label: str
    """Column of ``training.samples`` that holds the label."""

    sample: Literal["all", "clicked"]
    """Which impressions are its samples."""

    loss: Literal["bce", "mse", "soft_bce"]
    """``soft_bce`` is cross-entropy against a label in [0, 1]; ``mse`` is of the sigmoid."""

    metric: Literal["auc", "mse"]
    """What validation judges by: AUC up is good, MSE down is good."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger metric is the better one."""
        return self.metric == "auc"


_TASKS = (
    Task(name="ctr", label="is_click", sample="all", loss="bce", metric="auc"),
    Task(name="cvr", label="watch_ratio", sample="clicked", loss="soft_bce", metric="mse"),
    Task(name="like", label="is_like", sample="all", loss="bce", metric="auc"),
    Task(name="follow", label="is_follow", sample="all", loss="bce", metric="auc"),
    Task(name="comment", label="is_comment", sample="all", loss="bce", metric="auc"),
    Task(name="forward", label="is_forward", sample="all", loss="bce", metric="auc"),
    Task(name="long_view", label="is_long_view", sample="all", loss="bce", metric="auc"),
)
KNOWN_TASKS: dict[str, Task] = {task.name: task for task in _TASKS}
"""Every task there is. Adding one here needs a label column in ``training.samples`` and nothing else."""

ENTIRE_SPACE = "ctcvr"
"""The product pCTR x pCVR over all impressions: what two tasks' scores make, and what ESMM learns CVR by."""

CLICK_LABEL = "is_click"
"""The label that says whether an impression is a click, hence a sample of the tasks on clicks."""


def get_tasks(names: Iterable[str]) -> tuple[Task, ...]:
    """The tasks of these names, in this order.

    Raises:
        ConfigError: a name is unknown or stands twice, or there is none.
    """
    names = tuple(names)
    unknown = [name for name in names if name not in KNOWN_TASKS]
    if unknown:
        raise ConfigError(f"Unknown task: {', '.join(unknown)}. Known tasks are {', '.join(KNOWN_TASKS)}.")
    if not names or len(set(names)) != len(names):
        raise ConfigError(
            f"Tasks must be named once each and there must be at least one, got {list(names)}. "
            "Look at LT4REC_TASKS."
        )
    return tuple(KNOWN_TASKS[name] for name in names)
