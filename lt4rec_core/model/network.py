"""The shared network (paper, Fig. 1): embeddings, interaction, trunk, one logit layer per task.

Shapes are written with b = batch, f = fields (categorical first, then lists), d = embedding dimension.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.config import check
from lt4rec_core.model.pages import prefer_huge_pages
from lt4rec_core.model.sharing import masked_trunk


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The shape of the network and the scale of its first values."""

    embedding_dim: int = 32
    """Length of every field's vector."""

    hidden: tuple[int, ...] = (512, 256, 128)
    """Widths of the trunk's layers, first to last."""

    interaction: Literal["dot", "user_video", "none"] = "dot"
    """Products beside the embeddings: dot products of all pairs of fields, element-wise products of every
    user field with every video field, or none."""

    embedding_std: float = 0.001
    """Standard deviation of the first embeddings. Small matters: a hashed id seen once should say little."""

    def __post_init__(self) -> None:
        check(self.embedding_dim > 0, f"embedding_dim must be positive, got {self.embedding_dim}.")
        check(
            len(self.hidden) > 0 and all(width > 0 for width in self.hidden),
            f"hidden must name at least one positive width, got {self.hidden}.",
        )
        known = ("dot", "user_video", "none")
        check(self.interaction in known, f"interaction must be one of {known}, got {self.interaction!r}.")
        check(self.embedding_std > 0, f"embedding_std must be positive, got {self.embedding_std}.")


class FieldLayout:
    """Where each feature of a catalogue lies: its column, its rows of the one embedding table, its side.

    Features that share an embedding share rows. Row ``offset + bucket`` holds a bucket's vector; bucket 0,
    "missing", has a learnt vector of its own. In a list 0 is padding: a list is the mean of its ids that are
    not 0, and an empty list is the zero vector (no history is not the same as a video whose id is missing).
    """

    def __init__(self, catalogue: FeatureCatalogue) -> None:
        first, n_rows = {}, 0
        for name, buckets in catalogue.embeddings.items():
            first[name] = n_rows
            n_rows += buckets
        categorical = [f for f in catalogue.features if f.kind == "categorical"]
        lists = [f for f in catalogue.features if f.kind == "list"]
        self.n_rows = n_rows
        self.columns = tuple(f.column for f in categorical)
        self.lists = tuple(f.column for f in lists)
        self.offsets = torch.tensor([first[f.embedding] for f in categorical], dtype=torch.int64)
        self.list_offsets = {f.column: first[f.embedding] for f in lists}
        self.sides = tuple(f.side for f in (*categorical, *lists))
        self.unknown_columns = tuple(i for i, f in enumerate(categorical) if not f.known_when_serving)
        self.unknown_lists = tuple(f.column for f in lists if not f.known_when_serving)

    @property
    def n_fields(self) -> int:
        """Categorical fields and lists together."""
        return len(self.sides)


class Lookup(NamedTuple):
    """The rows of the embedding table that a batch needs."""

    ids: Tensor
    """(b, n_categorical) int64 rows: what PyTorch indexes fastest with."""

    lists: dict[str, Tensor]
    """Per list (b, K) int64 rows; the list's own offset marks padding."""


class _PairDots(torch.autograd.Function):
    """Dot products of all pairs of fields.

    Its backward gathers where autograd's own would scatter, which is what costs time.
    """

    @staticmethod
    def forward(ctx: Any, fields: Tensor, pairs: Tensor, position: Tensor) -> Tensor:
        """(b, f, d) -> (b, f (f - 1) / 2)."""
        ctx.save_for_backward(fields, position)
        return torch.bmm(fields, fields.mT).flatten(1).index_select(1, pairs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Each pair's gradient flows to both of its fields; ``position`` of the diagonal points at a zero."""
        fields, position = ctx.saved_tensors
        b, f, _ = fields.shape
        both = F.pad(grads[0], (0, 1)).index_select(1, position).view(b, f, f)
        return torch.bmm(both, fields), None, None


class PerTask(nn.ModuleDict):
    """A module per task, whatever the task is called: a ModuleDict refuses the names of its methods.

    ``forward`` is such a name, and a task.
    """

    def __setitem__(self, task: str, module: nn.Module) -> None:
        self._modules[task] = module


class SharedNet(nn.Module):
    """One embedding table and one trunk for all tasks, and a logit layer for each.

    The embedding table takes no part in autograd: a batch's field vectors are looked up, their gradient is
    read, and the row-wise optimiser moves only the rows the batch used.
    """

    rectified: tuple[str, ...] = ("trunk.",)
    """Parameters whose layers end in a ReLU, by the first part of their names."""

    def __init__(
        self,
        catalogue: FeatureCatalogue,
        tasks: Sequence[str],
        config: NetworkConfig,
        generator: torch.Generator,
        views: Mapping[str, int] | None = None,
    ) -> None:
        """Draw a network.

        Args:
            catalogue: the features.
            tasks: one logit layer each.
            config: shape and scale.
            generator: where first values come from.
            views: task name to the number of dimensions that only this task sees beside every shared field
                vector (paper, section 2.2, multi-view); none by default.
        """
        super().__init__()
        self.config, self.layout, self.tasks = config, FieldLayout(catalogue), tuple(tasks)
        d, f = config.embedding_dim, self.layout.n_fields
        left, right = self.pairs()
        n_products = {"dot": len(left), "user_video": len(left) * d, "none": 0}[config.interaction]
        self.n_shared_inputs = f * d + n_products
        table = prefer_huge_pages(torch.empty(self.layout.n_rows, d))
        self.table = nn.Parameter(table, requires_grad=False)
        self.views = nn.ParameterDict(
            {
                task: nn.Parameter(torch.empty(self.layout.n_rows, dims), requires_grad=False)
                for task, dims in (views or {}).items()
                if task in self.tasks
            }
        )
        self._build(self.n_shared_inputs + f * sum(view.shape[1] for view in self.views.values()))
        self._left, self._right = left, right
        position = torch.full((f, f), len(left))
        position[left, right] = position[right, left] = torch.arange(len(left))
        self._pair_index, self._pair_position = left * f + right, position.flatten()
        self.initialise(generator)

    def _build(self, n_inputs: int) -> None:
        """Make what stands above the interaction."""
        widths = (n_inputs, *self.config.hidden)
        self.trunk = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.logits = PerTask({task: nn.Linear(widths[-1], 1) for task in self.tasks})

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The pairs of fields that meet, as two index vectors."""
        sides = self.layout.sides
        if self.config.interaction == "user_video":
            users = [i for i, side in enumerate(sides) if side == "user"]
            videos = [i for i, side in enumerate(sides) if side == "video"]
            both = [(u, v) for u in users for v in videos]
            pairs = torch.tensor(both, dtype=torch.long).view(-1, 2).T
            return pairs[0], pairs[1]
        i, j = torch.triu_indices(len(sides), len(sides), offset=1)
        return i, j

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw new values for everything: He's uniform scale in the trunk, small embeddings.

        Each tensor has a stream of its own, named by the tensor, so that the trunk's first values do not
        depend on how many tasks there are: a rewound ticket meets the same values in sNET that it was drawn
        from. NumPy draws, because PyTorch's draws differ between processors, and a chain may move.
        """
        base = int(torch.randint(2**62, (), generator=generator))
        for name, value in self.named_parameters():
            if name == "table" or name.startswith("views."):
                bound = self.config.embedding_std * math.sqrt(3)
            elif name.endswith("bias"):
                bound = 0.0
            else:
                bound = math.sqrt((6 if name.startswith(self.rectified) else 1) / value.shape[1])
            seed = hashlib.sha256(f"{base}/{name}".encode()).digest()
            drawn = np.random.default_rng(list(seed)).random(value.shape, dtype=np.float32)
            value.copy_(torch.from_numpy(drawn).mul_(2 * bound).sub_(bound))

    def trunk_weights(self) -> dict[str, nn.Parameter]:
        """The weights that a mask covers, by name: ``trunk.<layer>.weight`` of shape (out, in)."""
        return {f"trunk.{i}.weight": layer.weight for i, layer in enumerate(self.trunk)}  # type: ignore[misc]

    def maskable(self, mask: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
        """What a mask like this one covers: the trunk's weights, and its biases where it removes neurons."""
        biases = {f"trunk.{i}.bias": layer.bias for i, layer in enumerate(self.trunk)}
        weights = self.trunk_weights()
        return {**weights, **biases} if any(name in mask for name in biases) else weights  # type: ignore[dict-item]

    def forward(self, task: str, fields: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
        """Logits (b,) of one task; see ``sharing.task_logits``."""
        return self.from_inputs(task, self.interact(fields, task), mask)

    def from_inputs(self, task: str, inputs: Tensor, mask: Mapping[str, Tensor] | None) -> Tensor:
        """Logits (b,) of one task from what the interaction gives, (b, d_in)."""
        layers = {f"trunk.{i}": layer for i, layer in enumerate(self.trunk)}
        hidden = masked_trunk(layers, inputs, mask)  # type: ignore[arg-type]
        return self.logits[task](hidden).squeeze(1)

    def task_parameters(self, task: str) -> dict[str, nn.Parameter]:
        """What one task's step may move beside the embeddings: the trunk, its own logit layer."""
        own = f"logits.{task}."
        return {n: p for n, p in self.named_parameters() if n.startswith("trunk.") or n.startswith(own)}

    def lookup(self, ids: Tensor, lists: dict[str, Tensor]) -> Lookup:
        """Bucket ids (b, n_categorical) and lists (b, K) to rows of the table."""
        rows = {name: lists[name].long() + offset for name, offset in self.layout.list_offsets.items()}
        return Lookup(ids + self.layout.offsets, rows)

    @torch.no_grad()
    def embed(self, lookup: Lookup, task: str | None = None) -> Tensor:
        """The field vectors of a batch, (b, f, d): categorical fields, then lists as means.

        For a task with a view of its own (b, f, d + p), the private dimensions last.
        """
        tables = [self.table, *(view for owner, view in self.views.items() if owner == task)]
        parts = [self._embed(table, lookup) for table in tables]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    def _embed(self, table: Tensor, lookup: Lookup) -> Tensor:
        fields = table.new_empty(len(lookup.ids), self.layout.n_fields, table.shape[1])
        self.embed_into(fields, lookup, table)
        return fields

    @torch.no_grad()
    def embed_into(self, fields: Tensor, lookup: Lookup, table: Tensor | None = None) -> None:
        """Write the field vectors of a batch into ``fields`` (b, f, d), from the shared table or another."""
        table = self.table if table is None else table
        # One gather makes all of it, lists' places too: copying vectors costs as much as finding them.
        rows = F.pad(lookup.ids, (0, len(lookup.lists))) if lookup.lists else lookup.ids
        torch.index_select(table, 0, rows.flatten(), out=fields.view(-1, table.shape[1]))
        for i, (name, ids) in enumerate(lookup.lists.items(), start=lookup.ids.shape[1]):
            padding = self.layout.list_offsets[name]
            fields[:, i] = F.embedding_bag(ids, table, mode="mean", padding_idx=padding)

    def interact(self, fields: Tensor, task: str | None = None) -> Tensor:
        """The trunk's input (b, d_in): the field vectors (b, f, d) side by side, then their products.

        In a network with views each view has inputs of its own at the end, which are zero for the tasks that
        do not see it.
        """
        if not self.views:
            return self._interact(fields)
        d = self.config.embedding_dim
        parts = [self._interact(fields[..., :d])]
        for owner, view in self.views.items():
            shape = (len(fields), self.layout.n_fields * view.shape[1])
            parts.append(fields[..., d:].flatten(1) if owner == task else fields.new_zeros(shape))
        return torch.cat(parts, dim=1)

    def _interact(self, fields: Tensor) -> Tensor:
        flat = fields.flatten(1)
        if self.config.interaction == "dot":
            return torch.cat([flat, _PairDots.apply(fields, self._pair_index, self._pair_position)], dim=1)
        if self.config.interaction == "user_video":
            products = fields[:, self._left] * fields[:, self._right]
            return torch.cat([flat, products.flatten(1)], dim=1)
        return flat
