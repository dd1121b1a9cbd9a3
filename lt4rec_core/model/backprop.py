"""The plain shared network's gradients, written out: what autograd would give, in fewer passes over memory.

Autograd makes a new tensor at every operation and puts field vectors and products side by side before the
first layer. Here every intermediate has a buffer that the next step uses again, and the first layer is two
products over two inputs, so nothing is copied together or taken apart. The matrix products can be computed in
bf16 while weights, gradients and moments stay fp32.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lt4rec_core.model.network import Lookup, SharedNet

CACHED = 2**17
"""Numbers that are worked on together: half a megabyte, for what comes next finds them in the cache."""

Slope = Callable[[Tensor], tuple[float, Tensor]]
"""From logits (b,) to the loss, and its gradient with respect to them (b,)."""


class Backprop:
    """Forward and backward of one task through its mask, step after step.

    Args:
        net: what it computes the gradients of; read anew at every step.
        keep: task name to its mask as 0/1 floats, None where it is dense.
        dtype: of the matrix products: ``torch.float32`` or ``torch.bfloat16``, which rounds weights and
            activations to 8 bits of mantissa and sums in fp32.
    """

    def __init__(
        self,
        net: SharedNet,
        keep: Mapping[str, Mapping[str, Tensor] | None],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.net, self.dtype = net, dtype
        # All bits or none: taking bits away costs a quarter of multiplying by 0 or 1.
        bits = torch.int32 if dtype == torch.float32 else torch.int16
        self.keep = {
            task: {name: -m.to(bits) for name, m in (mask or {}).items() if not m.all()}
            for task, mask in keep.items()
        }
        self.weights: list[Tensor] = [layer.weight.detach() for layer in net.trunk]  # type: ignore[operator]
        self.biases: list[Tensor] = [layer.bias.detach() for layer in net.trunk]  # type: ignore[operator]
        n = net.layout.n_fields * net.config.embedding_dim
        self.columns = [slice(0, n), slice(n, None)] if net.config.interaction == "dot" else [slice(0, n)]
        self.chunk = max(CACHED // n, 1)
        self._room: dict[str, Tensor] = {}

    @staticmethod
    def takes(net: SharedNet) -> bool:
        """Whether this is a network it knows; the others are left to autograd."""
        return type(net) is SharedNet and not net.views and net.config.interaction != "user_video"

    @torch.no_grad()
    def gradients(self, task: str, lookup: Lookup, slope: Slope) -> tuple[float, Tensor, list[Tensor]]:
        """One batch.

        Args:
            task: whose logit layer and mask.
            lookup: the rows of the table.
            slope: the loss and its derivative.

        Returns:
            The loss; its gradient with respect to the field vectors (b, f, d), and to
            ``net.task_parameters(task)`` in their order. All lie in buffers that the next call uses again.
            Where the loss is not finite there are none.
        """
        keep = self.keep.get(task, {})
        fields, parts = self._inputs(lookup)
        weights = [self._weight(i, keep) for i in range(len(self.weights))]
        hidden = self._forward(parts, weights, keep)
        head: Any = self.net.logits[task]
        last = hidden[-1].float()
        loss, above = slope(torch.addmv(head.bias, last, head.weight[0]))
        if not math.isfinite(loss):
            return loss, fields, []
        found = [torch.mv(last.T, above).unsqueeze(0), above.sum(0, keepdim=True)]
        g = torch.outer(above, head.weight[0]).to(self.dtype)
        for i in range(len(self.weights) - 1, -1, -1):
            torch.ops.aten.threshold_backward.grad_input(g, hidden[i], 0, grad_input=g)
            found = [*self._own_gradients(i, g, [hidden[i - 1]] if i else parts, keep), *found]
            if i:
                g = torch.mm(g, weights[i][0], out=self._buffer(f"g{i}", len(g), weights[i][0].shape[1]))
        return loss, self._field_gradient(fields, g, weights[0]), found

    def _inputs(self, lookup: Lookup) -> tuple[Tensor, list[Tensor]]:
        """Field vectors (b, f, d), and the parts of the first layer's input.

        Some rows at a time, so that a row's vectors are still in the processor's cache when its products are
        made.
        """
        net, b, f = self.net, len(lookup.ids), self.net.layout.n_fields
        fields = self._buffer("fields", b, f, net.config.embedding_dim, dtype=torch.float32)
        flat = fields.view(b, -1)
        parts = [flat if self.dtype == torch.float32 else self._buffer("flat", *flat.shape)]
        if len(self.columns) > 1:
            parts.append(self._buffer("pairs", b, len(net._pair_index)))
        for start in range(0, b, self.chunk):
            rows = slice(start, start + self.chunk)
            net.embed_into(
                fields[rows], Lookup(lookup.ids[rows], {k: v[rows] for k, v in lookup.lists.items()})
            )
            if parts[0] is not flat:
                parts[0][rows] = flat[rows]
            if len(parts) > 1:
                some = fields[rows]
                square = self._buffer("square", len(some), f, f, dtype=torch.float32)
                torch.bmm(some, some.mT, out=square)
                pairs = self._buffer("chunk of pairs", len(some), len(net._pair_index), dtype=torch.float32)
                torch.index_select(square.view(len(some), f * f), 1, net._pair_index, out=pairs)
                parts[1][rows] = pairs
        return fields, parts

    def _weight(self, i: int, keep: Mapping[str, Tensor]) -> list[Tensor]:
        """A layer's weight inside the mask, in the precision of the products; the first one by its parts."""
        weight, mask, found = self.weights[i], keep.get(f"trunk.{i}.weight"), []
        if mask is None and self.dtype == torch.float32:
            return [weight[:, columns] for columns in self._columns_of(i)]
        for j, columns in enumerate(self._columns_of(i)):
            part = weight[:, columns]
            room = self._buffer(f"weight{i}.{j}", *part.shape)
            if mask is None or self.dtype != torch.float32:
                part = room.copy_(part)
            if mask is not None:
                torch.bitwise_and(part.view(mask.dtype), mask[:, columns], out=room.view(mask.dtype))
            found.append(room)
        return found

    def _columns_of(self, i: int) -> list[slice]:
        return [slice(None)] if i else self.columns

    def _forward(
        self, parts: list[Tensor], weights: list[list[Tensor]], keep: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """What every layer gives, after its ReLU."""
        hidden: list[Tensor] = []
        for i, bias in enumerate(self.biases):
            bias = bias.to(self.dtype)
            if f"trunk.{i}.bias" in keep:
                bias = bias * keep[f"trunk.{i}.bias"].bool()
            inputs = [hidden[-1]] if i else parts
            out = self._buffer(f"hidden{i}", len(inputs[0]), len(bias))
            torch.addmm(bias, inputs[0], weights[i][0].T, out=out)
            for x, weight in zip(inputs[1:], weights[i][1:], strict=True):
                out.addmm_(x, weight.T)
            hidden.append(out.relu_())
        return hidden

    def _own_gradients(
        self, i: int, g: Tensor, below: list[Tensor], keep: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Of a layer's weight and bias, zero outside the mask."""
        weight, bias = f"trunk.{i}.weight", f"trunk.{i}.bias"
        gradient = self._buffer(f"own{i}", *self.weights[i].shape)
        for columns, x in zip(self._columns_of(i), below, strict=True):
            torch.mm(g.T, x, out=gradient[:, columns])
        if weight in keep:
            gradient.view(keep[weight].dtype).bitwise_and_(keep[weight])
        of_bias = g.sum(0, dtype=torch.float32)
        return self._float(f"own{i}", gradient), of_bias.mul_(keep[bias].bool()) if bias in keep else of_bias

    def _field_gradient(self, fields: Tensor, g: Tensor, weights: list[Tensor]) -> Tensor:
        """Through the first layer directly, and through the products: a pair's flows to both its fields."""
        b, f, d = fields.shape
        flat = torch.mm(g, weights[0], out=self._buffer("for fields", b, f * d))
        gradient = self._buffer("for fields", b, f * d, dtype=torch.float32)
        if len(weights) == 1:
            return self._float("for fields", flat).view(b, f, d)
        n = weights[1].shape[1]
        pairs = torch.mm(g, weights[1], out=self._buffer("for pairs", b, n))
        for start in range(0, b, self.chunk):
            rows = slice(start, start + self.chunk)
            some = fields[rows]
            # One column more stays zero: it is where the diagonal looks.
            padded = self._buffer("padded pairs", len(some), n + 1, dtype=torch.float32)
            padded[:, :n], padded[:, n] = pairs[rows], 0
            both = self._buffer("both", len(some), f * f, dtype=torch.float32)
            torch.index_select(padded, 1, self.net._pair_position, out=both)
            if self.dtype != torch.float32:  # else the two are one buffer
                gradient[rows] = flat[rows]
            gradient[rows].view(-1, f, d).baddbmm_(both.view(-1, f, f), some)
        return gradient.view(b, f, d)

    def _float(self, name: str, value: Tensor) -> Tensor:
        """The value in fp32, itself where it is."""
        same = value.dtype == torch.float32
        return value if same else self._buffer(name, *value.shape, dtype=torch.float32).copy_(value)

    def _buffer(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Memory for an intermediate, the same at every step: new pages cost as much as filling them."""
        dtype, n = dtype or self.dtype, math.prod(shape)
        key = f"{name}/{dtype}"
        room = self._room.get(key)
        if room is None or len(room) < n:
            room = self._room[key] = torch.empty(n, dtype=dtype)
        return room[:n].view(shape)
