"""One task's optimiser of the trunk and of its own logit layer."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from lt4rec_core.errors import ModelStoreError
from lt4rec_core.model.masks import Mask


class TaskAdam:
    """A fused Adam over the trunk and one task's logit layer, with the state of that task alone.

    It calls PyTorch's functional Adam: the first ``torch.optim.Adam`` of a process imports a compiler, which
    takes a second.

    Args:
        parameters: by name, what a step moves.
        learning_rate: Adam's.
        betas: decay of the first and second moment.
        mask: of the weights the task trains through it. Moments outside it stay exactly zero, so the state
            leaves them out.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float],
        mask: Mask | None = None,
    ) -> None:
        self.parameters, self.mask = dict(parameters), mask or {}
        self.learning_rate, self.betas = learning_rate, betas
        self._state: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Apply one update; ``gradients`` are in the order of ``parameters``."""
        if not self._state:
            self._state = {name: _before_the_first_step(p) for name, p in self.parameters.items()}
        states = [self._state[name] for name in self.parameters]
        adam(
            list(self.parameters.values()),
            list(gradients),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """``<parameter>.<moment>`` to tensor, of a masked weight what the mask keeps; empty before a step."""
        return {
            f"{name}.{key}": value[self.mask[name]] if name in self.mask and key != "step" else value
            for name, state in self._state.items()
            for key, value in state.items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave; an empty state is one before the first step.

        Raises:
            ModelStoreError: a parameter's state is missing or has another shape.
        """
        self._state = {}
        if not state:
            return
        for name, p in self.parameters.items():
            fresh = _before_the_first_step(p)
            for key, value in fresh.items():
                found = state.get(f"{name}.{key}")
                kept = self.mask.get(name) if key != "step" else None
                wanted = value.shape if kept is None else (int(kept.sum()),)
                if found is None or found.shape != wanted:
                    raise ModelStoreError(
                        f"The optimiser state of {name!r} is missing or has another shape. "
                        "Was the model saved with another network config?"
                    )
                value[... if kept is None else kept] = found
            self._state[name] = fresh


def _before_the_first_step(parameter: Tensor) -> dict[str, Tensor]:
    """Adam's state of a parameter."""
    moments = {key: torch.zeros_like(parameter, requires_grad=False) for key in ("exp_avg", "exp_avg_sq")}
    return {"step": torch.zeros(()), **moments}
