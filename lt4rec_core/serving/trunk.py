"""All tasks' trunks over one input, each layer run the way that was measured to be the faster one.

Shapes: b = batch, d_in = the interaction's width.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import groupby
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lt4rec_core.serving.compact import Layer

Kind = Literal["dense", "sparse"]
Kinds = Mapping[str, Sequence[Kind]]
"""Task name to how each of its layers runs, the logit layer last."""

Part = Callable[[Tensor], list[Tensor]]
"""Some layers of one task or more: inputs to each task's outputs."""


WIDEST = 2**16
"""Inputs of a layer that the kernel can number."""


def has_kernel() -> bool:
    """Whether numba is installed, which compiles the sparse kernel; without it every layer is dense."""
    return find_spec("numba") is not None


def can_be_sparse(heads: Mapping[str, Sequence[Layer]]) -> bool:
    """Whether the kernel can run these layers here."""
    return has_kernel() and all(layer.n_in <= WIDEST for layers in heads.values() for layer in layers)


def all_of(kind: Kind, heads: Mapping[str, Sequence[Layer]]) -> Kinds:
    """Every layer alike."""
    return {task: [kind] * len(layers) for task, layers in heads.items()}


LUCK = 1.05
"""By what factor a mix must be faster than the faster of all alike."""


class Choice(NamedTuple):
    """How the layers run, and what was measured to choose so."""

    kinds: Kinds
    micros: dict[str, float]
    """What was tried (``dense``, ``sparse``, ``mixed``) to the fastest of its passes, in microseconds."""


class Trunk:
    """Logits of all tasks from what the interaction gives.

    Layers that follow each other in one kind run together, and the first ones of all tasks too: the sparse
    ones pass the samples once, the dense ones are one matrix product.
    """

    def __init__(self, heads: Mapping[str, Sequence[Layer]], kinds: Kinds) -> None:
        """Lay out the weights.

        Args:
            heads: per task its compact layers, the logit layer last.
            kinds: how each runs. Where the kernel cannot run them all are dense, whatever it says.
        """
        kinds = kinds if can_be_sparse(heads) else all_of("dense", heads)
        self.tasks = tuple(heads)
        self.kinds = {task: tuple(kinds[task]) for task in heads}
        # Per task its runs of layers of one kind.
        self._then: dict[str, list[Part]] = {}
        firsts: dict[Kind, dict[str, Sequence[Layer]]] = {}
        for task, layers in heads.items():
            runs = [
                (kind, [layer for layer, _ in group])
                for kind, group in groupby(zip(layers, kinds[task], strict=True), key=lambda pair: pair[1])
            ]
            firsts.setdefault(runs[0][0], {})[task] = runs[0][1]
            self._then[task] = [_part(kind, [run]) for kind, run in runs[1:]]
        self._first = [(tuple(found), _part(kind, list(found.values()))) for kind, found in firsts.items()]

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """(b, d_in) to each task's logits (b,)."""
        found: dict[str, Tensor] = {}
        for tasks, part in self._first:
            found |= zip(tasks, part(x), strict=True)
        for task, parts in self._then.items():
            for part in parts:
                found[task] = part(found[task])[0]
        return {task: found[task].squeeze(1) for task in self.tasks}


def _part(kind: Kind, heads: Sequence[Sequence[Layer]]) -> Part:
    if kind == "dense":
        return _Dense(heads)
    from lt4rec_core.serving.sparse import SparseLayers  # numba comes with it

    run = SparseLayers(heads)
    return lambda x: [torch.from_numpy(out) for out in run(x.numpy())]


class _Dense:
    """Dense layers of one head or more, whose first layers are one product."""

    def __init__(self, heads: Sequence[Sequence[Layer]]) -> None:
        firsts = [head[0] for head in heads]
        self._weight = torch.cat([torch.from_numpy(layer.weight) for layer in firsts])
        self._bias = torch.cat([torch.from_numpy(layer.bias) for layer in firsts])
        self._relu = [layer.relu for layer in firsts]
        self._widths = [layer.n_out for layer in firsts]
        self._rest = [
            [(torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), layer.relu) for layer in head[1:]]
            for head in heads
        ]

    def __call__(self, x: Tensor) -> list[Tensor]:
        outs = []
        both = F.linear(x, self._weight, self._bias)
        for part, relu, rest in zip(both.split(self._widths, dim=1), self._relu, self._rest, strict=True):
            h = F.relu(part) if relu else part
            for weight, bias, relu_too in rest:
                h = F.linear(h, weight, bias)
                h = h.relu_() if relu_too else h
            outs.append(h)
        return outs


@torch.inference_mode()
def choose(heads: Mapping[str, Sequence[Layer]], batch_size: int = 1024, repeats: int = 5) -> Choice:
    """Measure how each layer runs faster, then whether the mix of these beats running all alike.

    The scores do not depend on the choice, beyond rounding. Of each candidate the fastest of its passes
    counts: other work on the machine only ever slows one down. A mix must win clearly, since luck finds one
    easily.

    Args:
        heads: per task its compact layers, the logit layer last.
        batch_size: samples of a pass.
        repeats: passes of each candidate, in turn.
    """
    generator = torch.Generator().manual_seed(0)
    dense = all_of("dense", heads)
    if not can_be_sparse(heads):
        return Choice(dense, {})
    mixed: dict[str, list[Kind]] = {}
    for task, layers in heads.items():
        mixed[task] = []
        for layer in layers:
            x = torch.rand(batch_size, layer.n_in, generator=generator)
            parts: dict[Kind, Part] = {kind: _part(kind, [[layer]]) for kind in ("dense", "sparse")}
            seconds = _fastest({kind: partial(part, x) for kind, part in parts.items()}, repeats)
            mixed[task].append("sparse" if seconds["sparse"] < seconds["dense"] else "dense")
    candidates: dict[str, Kinds] = {"dense": dense, "sparse": all_of("sparse", heads), "mixed": mixed}
    x = torch.rand(batch_size, next(iter(heads.values()))[0].n_in, generator=generator)
    trunks = {name: Trunk(heads, kinds) for name, kinds in candidates.items()}
    seconds = _fastest({name: partial(trunk, x) for name, trunk in trunks.items()}, repeats)
    best = min(seconds, key=lambda name: seconds[name] * (LUCK if name == "mixed" else 1))
    return Choice(candidates[best], {name: 1e6 * taken for name, taken in seconds.items()})


def _fastest(candidates: Mapping[Any, Callable[[], object]], repeats: int) -> dict[Any, float]:
    """Seconds of each candidate's fastest pass, after one that does not count."""
    for run in candidates.values():
        run()
    # The thread's own time leaves out the machine's other work, and also what further threads of ours do.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = {name: float("inf") for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            started = clock()
            run()
            best[name] = min(best[name], clock() - started)
    return best
