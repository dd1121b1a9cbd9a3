"""Other ways to share, beside masks: whole trunks (hard sharing, ESMM), experts and gates (MMoE, PLE).

All share the embeddings and the interaction, end in one logit layer per task and are trained by the one loop.
None takes a mask. Shapes: b = batch, d_in = the interaction's width, e = number of experts.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt4rec_core.config import check
from lt4rec_core.errors import MaskError
from lt4rec_core.model.network import PerTask, SharedNet
from lt4rec_core.model.tasks import ENTIRE_SPACE

SHARED_EXPERTS, OWN_EXPERTS, MMOE_EXPERTS = 2, 1, 4
"""PLE's experts per level that all tasks share, and that each task has to itself; MMoE's experts."""


class UnmaskedNet(SharedNet):
    """What the networks of this file have in common: no mask fits them."""

    def trunk_weights(self) -> dict[str, nn.Parameter]:
        """None: there is no trunk that all tasks share weight by weight."""
        return {}

    def maskable(self, mask: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
        """Nothing."""
        return {}

    def task_parameters(self, task: str) -> dict[str, nn.Parameter]:
        """Whatever is not another task's own (a part of the name says whose)."""
        others = set(self.tasks) - {task}
        return {
            name: p
            for name, p in self.named_parameters()
            if p.requires_grad and not others & set(name.split("."))
        }

    def from_inputs(self, task: str, inputs: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
        """Logits (b,) of one task from what the interaction gives, (b, d_in).

        Raises:
            MaskError: a mask was given; these networks take none.
        """
        if mask is not None:
            raise MaskError(
                f"{type(self).__name__} takes no mask, got one for {task!r}. "
                "Masks are for the networks of s_weight, s_neuron and full_sharing."
            )
        return self.logits[task](self.hidden(task, inputs)).squeeze(1)

    def hidden(self, task: str, x: Tensor) -> Tensor:
        """What the task's logit layer sees, (b, d_out), of inputs (b, d_in)."""
        raise NotImplementedError


class HardSharingNet(UnmaskedNet):
    """Hard sharing (paper, Fig. 2): one embedding table, a whole trunk for each task."""

    rectified = ("trunks.",)

    def _build(self, n_inputs: int) -> None:
        widths = (n_inputs, *self.config.hidden)
        self.trunks = PerTask({task: _layers(widths) for task in self.tasks})
        self.logits = PerTask({task: nn.Linear(widths[-1], 1) for task in self.tasks})

    def hidden(self, task: str, x: Tensor) -> Tensor:
        """The task's own trunk."""
        return _through(self.trunks[task], x)


class EsmmNet(HardSharingNet):
    """ESMM (Ma et al., 2018): hard sharing whose CVR trunk learns through pCTCVR = pCTR * pCVR."""

    def from_inputs(self, task: str, inputs: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
        """As for any network; ``ctcvr`` is the logit of the product."""
        if task != ENTIRE_SPACE:
            return super().from_inputs(task, inputs, mask)
        return product_logits(*(super(EsmmNet, self).from_inputs(t, inputs, mask) for t in ("ctr", "cvr")))


class MmoeNet(UnmaskedNet):
    """MMoE (Ma et al., 2018): experts shared by all, mixed by a gate of each task, under a tower of each.

    An expert has the trunk's layers but the last at half their widths, a tower the last.
    """

    rectified = ("experts.", "towers.")

    def _build(self, n_inputs: int) -> None:
        widths = (n_inputs, *_expert_widths(self.config.hidden))
        self.experts = nn.ModuleList(_layers(widths) for _ in range(MMOE_EXPERTS))
        self.gates = PerTask({task: nn.Linear(n_inputs, MMOE_EXPERTS) for task in self.tasks})
        top = (widths[-1], self.config.hidden[-1])
        self.towers = PerTask({task: _layers(top) for task in self.tasks})
        self.logits = PerTask({task: nn.Linear(top[-1], 1) for task in self.tasks})

    def hidden(self, task: str, x: Tensor) -> Tensor:
        """The task's tower over its mixture of the experts."""
        experts = torch.stack([_through(expert, x) for expert in self.experts], dim=1)  # (b, e, d)
        return _through(self.towers[task], _mix(self.gates[task](x), experts))


class PleNet(UnmaskedNet):
    """PLE (Tang et al., 2020): levels of shared and own experts; each trunk layer but the last is a level.

    A task's gate mixes its own experts and the shared ones of its level; what flows on beside the tasks is
    mixed of all experts, up to the last level, above which only towers stand.
    """

    rectified = ("levels.", "towers.")

    def _build(self, n_inputs: int) -> None:
        widths = (n_inputs, *_expert_widths(self.config.hidden))
        self.levels, self.gates = nn.ModuleList(), nn.ModuleList()
        n_seen = OWN_EXPERTS + SHARED_EXPERTS
        n_all = OWN_EXPERTS * len(self.tasks) + SHARED_EXPERTS
        for level, (n, m) in enumerate(pairwise(widths), start=2):
            counts = {task: OWN_EXPERTS for task in self.tasks} | {"shared": SHARED_EXPERTS}
            experts = {o: nn.ModuleList(nn.Linear(n, m) for _ in range(c)) for o, c in counts.items()}
            gates = {task: nn.Linear(n, n_seen) for task in self.tasks}
            if level < len(widths):
                gates["shared"] = nn.Linear(n, n_all)
            self.levels.append(PerTask(experts))
            self.gates.append(PerTask(gates))
        top = (widths[-1], self.config.hidden[-1])
        self.towers = PerTask({task: _layers(top) for task in self.tasks})
        self.logits = PerTask({task: nn.Linear(top[-1], 1) for task in self.tasks})

    def task_parameters(self, task: str) -> dict[str, nn.Parameter]:
        """Below the last level a task sees the other tasks' experts through the shared flow.

        The other tasks' gates feed the experts one level up, so they are seen up to one level less.
        """
        last = len(self.levels) - 1
        below = tuple(f"levels.{i}." for i in range(last)) + tuple(f"gates.{i}." for i in range(last - 1))
        own = super().task_parameters(task)
        return {n: p for n, p in self.named_parameters() if n in own or n.startswith(below)}

    def hidden(self, task: str, x: Tensor) -> Tensor:
        """The task's tower over its flow through the levels."""
        flow = {owner: x for owner in (*self.tasks, "shared")}
        last = len(self.levels) - 1
        for i in range(last + 1):
            level: Any = self.levels[i]
            gates: Any = self.gates[i]
            found = {
                owner: torch.stack([F.relu(expert(flow[owner])) for expert in level[owner]], dim=1)
                for owner in ((task,) if i == last else self.tasks) + ("shared",)
            }  # (b, e, d) each
            above = {
                t: _mix(gates[t](flow[t]), torch.cat([found[t], found["shared"]], dim=1))
                for t in (self.tasks if i < last - 1 else (task,))
            }
            if i < last:
                every = torch.cat([found[owner] for owner in (*self.tasks, "shared")], dim=1)
                above["shared"] = _mix(gates["shared"](flow["shared"]), every)
            flow = above
        return _through(self.towers[task], flow[task])


def product_logits(first: Tensor, second: Tensor) -> Tensor:
    """The logit of sigmoid(first) * sigmoid(second), finite also where the product is 0 or 1 in float32."""
    log_p = F.logsigmoid(first) + F.logsigmoid(second)
    # 1 - ab = (1 - a) + a (1 - b), a sum of positive terms.
    log_not = torch.logaddexp(F.logsigmoid(-first), F.logsigmoid(first) + F.logsigmoid(-second))
    return log_p - log_not


def _expert_widths(hidden: Sequence[int]) -> tuple[int, ...]:
    check(
        len(hidden) >= 2,
        f"Experts need at least two hidden layers, the last for the towers; hidden is {tuple(hidden)}.",
    )
    return tuple(max(width // 2, 1) for width in hidden[:-1])


def _layers(widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))


def _through(layers: nn.Module, x: Tensor) -> Tensor:
    for layer in layers:  # type: ignore[attr-defined]
        x = F.relu(layer(x))
    return x


def _mix(gate: Tensor, experts: Tensor) -> Tensor:
    """(b, e) gate logits, (b, e, d) experts -> (b, d)."""
    return torch.einsum("be,bed->bd", gate.softmax(dim=1), experts)
