"""Training throughput of the one loop, dense and through masks, beside the libraries users would take.

Two tasks (CTR on all impressions, CVR on the two in five that are clicks), 20 categorical fields, dimension
32, trunk 512-256-128, one Adam per task. Ids are drawn evenly, which touches more rows than a log's long
tail. Masks keep a random fifth of each layer. A sample is one row through the trunk: with us of one task's
batch, with the libraries (shared bottom, both labels of a row at once) an impression. Their network has no
products of fields, so ours is measured without them too. The floor is the time of the trunk's bare matrix
products.

Every contestant has a process of its own, all take turns within the run. Missing libraries
(``pip install --no-deps torch-rechub deepctr-torch tqdm``) are left out, and so they are of ``--quick``.
"""

import argparse
import importlib.util
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.measure import Figure, script
from benchmarks.turns import Turn, Turns

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
PEERS = {
    "torch-rechub": ("torch_rechub", "Rechub", {"own_loader": True}),
    "DeepCTR-Torch": ("deepctr_torch", "DeepCtr", {}),
}
FED = "torch-rechub fed finished batches"
TARGETS = {(200_000, "fp32"): 2.2, (200_000, "bf16"): 4.0, (2_000_000, "fp32"): 4.5, (2_000_000, "bf16"): 9.0}
SHARES = {"fp32": 85, "bf16": 75}


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Everyone in turn, so that whatever else the machine does meets all of them."""
    sizes = (2_000,) if asked.quick else (200_000, 2_000_000) if asked.large else (200_000,)
    for n_ids in asked.ids or sizes:
        for batch in asked.batches or ((256,) if asked.quick else (1024, 4096)):
            turns = _turns(n_ids, batch, 2_000 if asked.quick else 32_768, not asked.quick, asked.runs)
            yield from _figures(f"training, {n_ids:,} ids, batch {batch:,}", n_ids, turns)


def _turns(n_ids: int, batch: int, n_rows: int, peers: bool, runs: int) -> dict[str, list[Turn]]:
    from lt4rec_core.training.precision import has_bf16

    rows = {"n_ids": n_ids, "n_rows": n_rows, "batch": batch}
    contestants: dict[str, tuple[str, dict[str, Any]]] = {}
    for precision, dtype in PRECISIONS.items():
        if precision == "bf16" and not (peers and has_bf16()):
            continue
        ours = {**rows, "precision": precision}
        contestants[precision] = ("benchmarks.trainers:Ours", {**ours, "masked": False})
        contestants[f"{precision} masked"] = ("benchmarks.trainers:Ours", {**ours, "masked": True})
        if peers:
            same = {**ours, "masked": False, "interaction": "none"}
            contestants[f"{precision} their network"] = ("benchmarks.trainers:Ours", same)
        contestants[f"{precision} floor"] = ("benchmarks.trainers:Floor", {**rows, "dtype": dtype})
    fewer = {**rows, "n_rows": n_rows // 2}  # they are slower
    for name, (module, trainer, options) in PEERS.items() if peers else ():
        if importlib.util.find_spec(module):
            contestants[name] = (f"benchmarks.trainers:{trainer}", {**fewer, **options})
    if "torch-rechub" in contestants:
        contestants[FED] = ("benchmarks.trainers:Rechub", {**fewer, "own_loader": False})
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    with Turns(contestants, here=not peers) as waiting:
        for _ in range(runs):
            for name, took in turns.items():
                took.append(waiting.turn(name))
    return turns


def _figures(of: str, n_ids: int, turns: dict[str, list[Turn]]) -> Iterator[Figure]:
    speed = {name: [turn.done / turn.cpu for turn in took] for name, took in turns.items()}
    for name, took in turns.items():
        yield Figure(f"{of}, {name}", "samples/CPU s", speed[name])
        if name in PRECISIONS or name in PEERS:
            yield Figure(f"{of}, {name}, wall", "samples/s", [turn.done / turn.wall for turn in took])
            yield Figure(f"{of}, {name}, peak memory", "MiB", [turn.peak_mb for turn in took])
    for precision in (p for p in PRECISIONS if p in speed):
        dense = speed[precision]
        cost = [100 * (d / m - 1) for d, m in zip(dense, speed[f"{precision} masked"], strict=True)]
        yield Figure(f"{of}, {precision}, cost of masking", "%", cost, "at most 8")
        share = [100 * d / f for d, f in zip(dense, speed[f"{precision} floor"], strict=True)]
        target = f"at least {SHARES[precision]}"
        yield Figure(f"{of}, {precision}, share of the floor", "%", share, target)
        beaten = [name for name in PEERS if name in speed]
        if beaten:
            yield from _ratios(of, precision, n_ids, speed, max(beaten, key=lambda n: median(speed[n])))


def _ratios(
    of: str, precision: str, n_ids: int, speed: dict[str, list[float]], fastest: str
) -> Iterator[Figure]:
    """With and without products of fields: the network as it is, and the one that the libraries have."""
    for ours, words in ((precision, precision), (f"{precision} their network",) * 2):
        for theirs, target in ((fastest, f"at least {TARGETS[n_ids, precision]}"), (FED, "")):
            if theirs in speed:
                ratio = [mine / other for mine, other in zip(speed[ours], speed[theirs], strict=True)]
                yield Figure(f"{of}, {words}, than {theirs}", "times faster", ratio, target)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ids", nargs="*", type=int, choices=(200_000, 2_000_000), help="only these tables")
    parser.add_argument("--batches", nargs="*", type=int, help="only these batch sizes")


if __name__ == "__main__":
    script("training", __doc__, measure, runs=3, more=_options)
