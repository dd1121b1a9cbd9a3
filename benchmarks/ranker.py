"""The ranker against dense single-task models in PyTorch: time of the trunks, of a whole pass, and bytes.

A trunk of 512-256-128 over 1,280 inputs, two tasks, one thread. S-Weight's masks keep a random share of each
layer, drawn for each task by itself: nothing to fold, and no more in common than by chance. S-Neuron's keep a
random fifth of each layer's neurons. The dense reference is what two single-task models do: each its own
trunk, in PyTorch. CPU time of the one thread; all candidates take turns and of each the fastest of its passes
counts, because other work on the machine only ever slows one down.

A whole pass begins with bucket ids: 28 fields of dimension 32 and the dot products of all pairs, 1,274
inputs. Two single-task models look up and interact twice, hard sharing once.

Bytes count what is stored: the rows of the table that the model's own samples touched (impressions, for CVR
clicks), trunk and logit layer. Ids are drawn with a long tail.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from benchmarks.measure import Figure, script

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lt4rec_core.data.loading import SampleSet
    from lt4rec_core.model.masks import Mask
    from lt4rec_core.serving.compact import Layer

WIDTHS = (1280, 512, 256, 128)
N_FIELDS, DIM = 28, 32
TASKS = ("ctr", "cvr")
TARGETS = {"S-Neuron, 20 % of the neurons": 4, "S-Weight, 80 % removed": 2.5, "S-Weight, 90 % removed": 4}
SECONDS = 3.0
"""How long the candidates of one figure take turns in a run."""


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Trunks alone, then whole passes, then bytes."""
    import torch

    torch.set_num_threads(1)
    seconds = 0.01 if asked.quick else SECONDS
    yield from _trunks(asked.runs, seconds)
    n, n_ids = (500, 2_800) if asked.quick else (65_536, 280_000)
    model = _Model(n_ids)
    samples = model.samples(n)
    yield from _passes(model, samples, asked.runs, seconds)
    yield from _bytes(model, samples)


def _trunks(runs: int, seconds: float) -> Iterator[Figure]:
    import torch

    from lt4rec_core.serving.compact import compact
    from lt4rec_core.serving.trunk import Trunk, choose

    nets = {task: _dense_trunk(seed) for seed, task in enumerate(TASKS)}
    candidates: dict[str, Trunk] = {}
    for name, keep in _masks().items():
        heads = {task: compact(_masked(net, keep(seed))) for seed, (task, net) in enumerate(nets.items())}
        candidates[name] = Trunk(heads, choose(heads, repeats=20).kinds)
    for batch in (1024, 1):
        x = torch.randn(batch, WIDTHS[0], generator=torch.Generator().manual_seed(9))
        passes: dict[str, Callable[[], object]] = {"dense": partial(_through, list(nets.values()), x)}
        passes |= {name: partial(trunk, x) for name, trunk in candidates.items()}
        times = [take_turns(passes, seconds) for _ in range(runs)]
        of = f"ranker, trunks, batch {batch:,}"
        yield Figure(f"{of}, two dense in PyTorch", "CPU ms", [1e3 * t["dense"] for t in times])
        for name, trunk in candidates.items():
            ran = " and ".join(sorted({kind for kinds in trunk.kinds.values() for kind in kinds}))
            target = f"at least {TARGETS[name] if batch > 1 else 1}"
            faster = [t["dense"] / t[name] for t in times]
            yield Figure(f"{of}, {name} ({ran})", "times faster", faster, target)


def _through(nets: Sequence[Callable[["Tensor"], object]], x: "Tensor") -> None:
    for net in nets:
        net(x)


def _dense_trunk(seed: int) -> "nn.Sequential":
    import torch
    from torch import nn

    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n, m in pairwise(WIDTHS):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 1)).requires_grad_(False)


def _masks() -> Mapping[str, Callable[[int], list["Tensor"]]]:
    """What each row keeps of each layer, by the seed of the task."""
    import torch

    def weights(density: float, seed: int) -> list["Tensor"]:
        g = torch.Generator().manual_seed(100 + seed)
        return [torch.rand(m, n, generator=g) < density for n, m in pairwise(WIDTHS)]

    def neurons(seed: int) -> list["Tensor"]:
        g = torch.Generator().manual_seed(200 + seed)
        kept = [torch.ones(WIDTHS[0], dtype=torch.bool)]
        for m in WIDTHS[1:]:
            some = torch.zeros(m, dtype=torch.bool)
            some[torch.randperm(m, generator=g)[: m // 5]] = True
            kept.append(some)
        return [out.unsqueeze(1) & into for into, out in pairwise(kept)]

    return dict(
        zip(TARGETS, (neurons, lambda seed: weights(0.2, seed), lambda seed: weights(0.1, seed)), strict=True)
    )


def _masked(net: "nn.Sequential", masks: list["Tensor"]) -> list["Layer"]:
    from lt4rec_core.serving.compact import layers_of

    linear: list[Any] = [layer for layer in net if hasattr(layer, "weight")]
    mask = {f"trunk.{i}.weight": m for i, m in enumerate(masks)}
    mask |= {f"trunk.{i}.bias": m.any(1) for i, m in enumerate(masks)}
    return layers_of(linear[:-1], linear[-1], mask)


def take_turns(passes: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Seconds of each candidate's fastest pass."""
    import torch

    best = dict.fromkeys(passes, float("inf"))
    with torch.inference_mode():
        for run in passes.values():
            run()
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends or float("inf") in best.values():
            for name, run in passes.items():
                started = time.thread_time()
                run()
                best[name] = min(best[name], time.thread_time() - started)
    return best


class _Model:
    """One shared network with a ticket of 20 % per task, and dense networks of the same shape."""

    def __init__(self, n_ids: int) -> None:
        import torch

        from lt4rec_core.catalogue import Feature, FeatureCatalogue
        from lt4rec_core.model.network import NetworkConfig, SharedNet

        buckets = n_ids // N_FIELDS
        hashed = [
            Feature(name=f"f{i}", side=("user", "video")[i % 2], buckets=buckets) for i in range(N_FIELDS - 1)
        ]
        self.catalogue = FeatureCatalogue(
            [*hashed, Feature(name="hour", side="context", bins=tuple(range(24)))]
        )
        config = NetworkConfig(embedding_dim=DIM, hidden=WIDTHS[1:])
        g = torch.Generator().manual_seed(0)
        self.shared = SharedNet(self.catalogue, TASKS, config, g)
        self.single = {task: SharedNet(self.catalogue, (task,), config, g) for task in TASKS}
        self.masks: dict[str, Mask] = {
            task: {
                name: torch.rand(weight.shape, generator=g) < 0.2
                for name, weight in self.shared.trunk_weights().items()
            }
            for task in TASKS
        }

    def samples(self, n: int) -> "SampleSet":
        """Impressions whose ids have a long tail; two in five are clicks."""
        import torch

        from lt4rec_core.data.loading import SampleSet

        g = torch.Generator().manual_seed(1)
        columns = [self.catalogue.embeddings[f.embedding] for f in self.catalogue.features]
        ids = [(torch.rand(n, generator=g).pow(3) * buckets).int() for buckets in columns]
        click = (torch.rand(n, generator=g) < 0.4).float()
        return SampleSet(torch.stack(ids, dim=1), {}, {"is_click": click})


def _passes(model: _Model, samples: "SampleSet", runs: int, seconds: float) -> Iterator[Figure]:
    import torch

    from lt4rec_core.serving.compact import compact, layers_of
    from lt4rec_core.serving.scorer import Scorer
    from lt4rec_core.serving.trunk import Trunk, all_of, choose

    net, trunk, logits = model.shared, cast(Any, model.shared.trunk), cast(Any, model.shared.logits)
    heads = {t: compact(layers_of(trunk, logits[t], model.masks[t])) for t in TASKS}
    whole = {t: layers_of(trunk, logits[t], None) for t in TASKS}
    ranker = Scorer(model.catalogue, net, Trunk(heads, choose(heads, repeats=20).kinds))
    hard = Scorer(model.catalogue, net, Trunk(whole, all_of("dense", whole)))
    for batch in (1024, 1):
        some = samples.select(torch.arange(min(batch, len(samples))))
        passes: dict[str, Callable[[], object]] = {
            "single": partial(_apart, model.single, some),
            "hard": partial(hard.score, some),
            "ranker": partial(ranker.score, some),
        }
        times = [take_turns(passes, seconds) for _ in range(runs)]
        of = f"ranker, whole pass, batch {batch:,}"
        yield Figure(f"{of}, two single-task models", "CPU ms", [1e3 * t["single"] for t in times])
        yield Figure(f"{of}, S-Weight, 80 % removed", "CPU ms", [1e3 * t["ranker"] for t in times])
        faster = [t["single"] / t["ranker"] for t in times]
        yield Figure(f"{of}, S-Weight, 80 % removed, than single-task", "times faster", faster)
        faster = [t["hard"] / t["ranker"] for t in times]
        yield Figure(f"{of}, S-Weight, 80 % removed, than hard sharing", "times faster", faster)


def _apart(single: Mapping[str, Any], some: "SampleSet") -> None:
    """Each task by a network of its own."""
    from lt4rec_core.training.trainer import predict

    for task, net in single.items():
        predict(net, some, (task,))


def _bytes(model: _Model, samples: "SampleSet") -> Iterator[Figure]:
    from lt4rec_core.serving.storage import n_bytes, pack_trunk

    clicks = samples.select(samples.labels["is_click"] == 1)
    rows = [len(model.shared.lookup(part.ids, {}).ids.unique()) for part in (samples, clicks)]
    table = [n * (4 * DIM + 4) for n in rows]
    dense = [n_bytes(pack_trunk(net, {}), "trunk/", "logits/") for net in model.single.values()]
    sparse = n_bytes(pack_trunk(model.shared, model.masks), "trunk/", "logits/")
    of = "ranker, bytes, S-Weight, 80 % removed"
    yield Figure(f"{of}, trunk", "% of two dense trunks", [100 * sparse / sum(dense)], "at most 30")
    whole = 100 * (table[0] + sparse) / (sum(table) + sum(dense))
    yield Figure(f"{of}, whole model", "% of two single-task models", [whole], "at most 55")
    hard = 100 * (table[0] + sparse) / (table[0] + sum(dense))
    yield Figure(f"{of}, whole model", "% of hard sharing", [hard])


if __name__ == "__main__":
    script("ranker", __doc__, measure)
