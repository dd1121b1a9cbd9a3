"""Every row of Table 2, the controls and the outside baselines, as configurations of one training loop.

A row says how the tasks share, through which masks, and which training settings belong to its definition.
Everything else (learning rates, epochs, …) is tuned alike for all rows. This is the table alone, which can be
read without PyTorch; ``building`` makes the networks and masks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from lt4rec_core.config import check
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import ENTIRE_SPACE, Task, get_tasks

if TYPE_CHECKING:
    from lt4rec_core.model.network import NetworkConfig

ENTIRE_SPACE_LABEL = "click_watch_ratio"
"""Click times watch ratio, of all impressions: what ESMM's second loss compares with."""

_ESMM_TASK = Task(name=ENTIRE_SPACE, label=ENTIRE_SPACE_LABEL, sample="all", loss="soft_bce", metric="mse")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of the comparison: what it is, not how well it is tuned."""

    name: str
    group: Literal["paper", "control", "outside", "beyond"]
    description: str

    scores: tuple[str, ...] = ("ctr", "cvr")
    """The tasks it predicts."""

    sharing: Literal["trunk", "trunks", "esmm", "mmoe", "ple", "trees"] = "trunk"
    """What the tasks have in common: one trunk, embeddings only, experts, or (boosting) nothing."""

    masks: Literal["none", "tickets", "random_same", "random_independent"] = "none"
    """Through which masks they see the one trunk."""

    width: int = 1
    """Multiple of the trunk's widths."""

    views: tuple[tuple[str, int], ...] = ()
    """Pairs of task and number of dimensions that only it sees."""

    training: tuple[tuple[str, Any], ...] = ()
    """Training settings that define the row."""

    pruning: tuple[tuple[str, Any], ...] = ()
    """Pruning settings that define the row."""

    tuned: tuple[str, ...] = ()
    """What only this row tunes beside what all rows tune: ``cvr_weight``, ``conflict_strength``."""

    def __post_init__(self) -> None:
        check(
            self.masks == "none" or self.sharing == "trunk",
            f"{self.name}: masks are for one shared trunk, got sharing {self.sharing!r}.",
        )

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks it is trained on; ESMM learns CVR from click and watch over all impressions."""
        return (*get_tasks(["ctr"]), _ESMM_TASK) if self.sharing == "esmm" else get_tasks(self.scores)

    def network_config(self, base: "NetworkConfig") -> "NetworkConfig":
        """The shape of its network, from that of the single-task one."""
        return replace(base, hidden=tuple(self.width * n for n in base.hidden))


_SPARSE: dict[str, Any] = {"group": "paper", "masks": "tickets"}
_RAISE = (("conflict", "raise_cvr"),)
_BEYOND: dict[str, Any] = {"group": "beyond", "masks": "tickets"}
_LAST = (("choose", "last"),)
"""At a fixed density: rows beyond the paper are compared with random masks as dense as they are."""
_TOGETHER = (("steps", "together"),)
_4_PERCENT = (*_LAST, ("n_pruning", 8))
"""0.669 to the eighth, where which weights are left should matter most."""

_ROWS = (
    Variant(
        name="base_ctr", group="paper", scores=("ctr",),
        description="The single-task network, for CTR",
    ),
    Variant(
        name="base_cvr", group="paper", scores=("cvr",),
        description="The single-task network, for CVR",
    ),
    Variant(
        name="hard_sharing", group="paper", sharing="trunks",
        description="Shared embeddings, a whole trunk for each task",
    ),
    Variant(name="s_weight", description="Algorithm 1: one trunk, each task through its ticket", **_SPARSE),
    Variant(
        name="s_weight_fixed_sparsity", pruning=_LAST, **_SPARSE,
        description="S-Weight at the last round's sparsity, whatever validation says of it",
    ),
    Variant(
        name="s_neuron", pruning=(("unit", "neuron"),), **_SPARSE,
        description="Tickets of whole neurons",
    ),
    Variant(
        name="s_weight_taskbalance", tuned=("cvr_weight",), **_SPARSE,
        description="S-Weight with Eq. 2's weight of the CVR loss",
    ),
    Variant(
        name="s_weight_gradientconflict_raise", training=_RAISE, tuned=("conflict_strength",), **_SPARSE,
        description="S-Weight, CVR loss raised on clicks hardly watched (section 2.2)",
    ),
    Variant(
        name="s_weight_gradientconflict_damp", training=(("conflict", "damp_ctr"),),
        tuned=("conflict_strength",), **_SPARSE,
        description="S-Weight, CTR gradient damped on clicks hardly watched (section 3.2)",
    ),
    Variant(
        name="s_weight_multiview", views=(("cvr", 8),), **_SPARSE,
        description="S-Weight with 8 dimensions of every embedding that only CVR sees",
    ),
    Variant(name="s_weight_biggernet", width=2, description="S-Weight in a trunk twice as wide", **_SPARSE),
    Variant(
        name="s_weight_tuning", training=_RAISE, tuned=("cvr_weight", "conflict_strength"), **_SPARSE,
        description="Task balance and gradient conflict (section 2.2) together",
    ),
    Variant(name="full_sharing", group="control", description="One trunk, wholly shared"),
    Variant(
        name="random_masks_same", group="control", masks="random_same",
        description="One random mask for both tasks, as dense as CVR's ticket",
    ),
    Variant(
        name="random_masks_independent", group="control", masks="random_independent",
        description="A random mask for each task, as dense as its ticket",
    ),
    Variant(
        name="random_masks_fixed_sparsity", group="control", masks="random_independent",
        pruning=_LAST,
        description="A random mask for each task, as dense as the last round's",
    ),
    Variant(
        name="full_sharing_joint", group="control", training=(("steps", "joint"),),
        description="One trunk, both losses in each step: what PCGrad changes is seen against it",
    ),
    Variant(
        name="pcgrad", group="control", training=(("steps", "pcgrad"),),
        description="One trunk, conflicting gradients projected",
    ),
    Variant(
        name="esmm", group="outside", sharing="esmm", training=(("steps", "joint"),),
        description="CVR learnt through pCTCVR = pCTR x pCVR over all impressions",
    ),
    Variant(
        name="mmoe", group="outside", sharing="mmoe", training=(("steps", "joint"),),
        description="Experts shared by all, a gate for each task",
    ),
    Variant(
        name="ple", group="outside", sharing="ple", training=(("steps", "joint"),),
        description="Shared and own experts, level upon level",
    ),
    Variant(
        name="boosting_ctr", group="outside", scores=("ctr",), sharing="trees",
        description="Gradient-boosted trees on the same features, for CTR",
    ),
    Variant(
        name="boosting_cvr", group="outside", scores=("cvr",), sharing="trees",
        description="Gradient-boosted trees on the same features, for CVR",
    ),
    Variant(
        name="s_weight_taylor", pruning=(*_LAST, ("saliency", "taylor")), **_BEYOND,
        description="Tickets of what the task's loss would lose to first order",
    ),
    Variant(
        name="s_weight_fisher", pruning=(*_LAST, ("saliency", "fisher")), **_BEYOND,
        description="Tickets of what the task's loss would lose to second order",
    ),
    Variant(
        name="s_weight_rewind", pruning=(*_LAST, ("restart", "rewind")), **_BEYOND,
        description="Tickets and sNET from the same first values, as the lottery-ticket hypothesis has it",
    ),
    Variant(
        name="s_weight_global", pruning=(*_LAST, ("scope", "global")), **_BEYOND,
        description="Tickets of one ranking over all layers",
    ),
    Variant(
        name="s_weight_gradual", pruning=(*_LAST, ("n_pruning", 8), ("q", 0.1822)), **_BEYOND,
        description="Tickets of eight small rounds instead of four",
    ),
    Variant(
        name="s_weight_long", pruning=(*_LAST, ("epochs", 3)), **_BEYOND,
        description="Tickets of networks that met the training days three times",
    ),
    Variant(
        name="s_weight_together", pruning=_LAST, training=_TOGETHER, **_BEYOND,
        description="Batches of impressions for all tasks: an embedding moves once a pass, not once a task",
    ),
    Variant(
        name="hard_sharing_together", group="control", sharing="trunks", training=_TOGETHER,
        description="Hard sharing trained on the same batches",
    ),
    Variant(
        name="random_masks_together", group="control", masks="random_independent", pruning=_LAST,
        training=_TOGETHER, description="Random masks of the last round's density on the same batches",
    ),
    Variant(
        name="s_weight_4percent", pruning=_4_PERCENT, **_BEYOND,
        description="Tickets of 4 % of the weights",
    ),
    Variant(
        name="s_weight_4percent_taylor", pruning=(*_4_PERCENT, ("saliency", "taylor")), **_BEYOND,
        description="Tickets of 4 % of the weights, by what the loss would lose to first order",
    ),
    Variant(
        name="random_masks_4percent", group="control", masks="random_independent", pruning=_4_PERCENT,
        description="A random mask for each task that keeps 4 % of each layer",
    ),
)  # fmt: skip

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _ROWS}
"""Every row there is, in the order of the table."""

SINGLE_TASK = ("base_ctr", "base_cvr")
"""Tuned first: their settings search the tickets of all rows."""

SCARCITY_ROWS = (
    *SINGLE_TASK,
    "hard_sharing",
    "s_weight",
    "random_masks_independent",
    "s_weight_fixed_sparsity",
    "random_masks_fixed_sparsity",
)
"""The rows of the scarcity curve."""


def get_variants(names: Iterable[str]) -> tuple[Variant, ...]:
    """The rows of these names, in this order.

    Raises:
        ConfigError: a name is unknown.
    """
    names = tuple(names)
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise ConfigError(f"Unknown variant: {', '.join(unknown)}. Known are {', '.join(VARIANTS)}.")
    return tuple(VARIANTS[name] for name in names)
