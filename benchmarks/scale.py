"""Many large days one after the other: what a million impressions cost at each stage, on one machine.

The simulator's log of a day is written as Parquet files, which is not counted; then every statement from the
log to ``training.samples`` runs and commits, the last ``--gated-days`` of the days pass their gates, and sNET
trains the day in one pass through its tickets, reading samples as an ordinary home does (streamed where they
are larger than ``stream_above_mb``). From the second day on it is scored by the model of the day before. The
paper's network (vectors of 32, trunk 512-256-128). Tickets are searched on the first day's first samples
alone: they cost ``n_pruning`` + 1 trainings of their window, and a mask costs the same whatever it keeps.
A folder that stays goes on where it stood; days it has are not made again.

``--ids`` measures a table of so many ids instead: training on evenly drawn ones, which is the worst case, and
what a model whose rows were all met takes to publish and to read.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figure, Span, measured, script

if TYPE_CHECKING:
    from benchmarks.homes import Chain
    from lt4rec_assets.learning import Learning
    from lt4rec_core.training.store import ModelStore

STAGES = ("statements and commits", "gates", "sNET, one pass", "scoring by the model of the day before")
TICKET_ROWS = 50_000
GATED = ("samples.impressions", "training.samples")


def options(parser: argparse.ArgumentParser) -> None:
    """What this benchmark alone can be told."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="impressions a day (%(default)s)")
    parser.add_argument("--days", type=int, default=15, help="how many (%(default)s)")
    parser.add_argument("--gated-days", type=int, default=2, help="of these, the last ones (%(default)s)")
    parser.add_argument("--ids", type=int, help="measure a table of this many ids instead of days")
    parser.add_argument("--folder", type=Path, help="where logs and home stay for the next time")


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """Every stage by day, per million impressions; then what all days together took and left behind."""
    if asked.ids:
        yield from _many_ids(asked.ids)
        return
    if asked.quick:
        asked.rows, asked.days, asked.gated_days = 600, 2, 1
    with TemporaryDirectory(prefix="lt4rec-scale-") as temporary:
        folder = asked.folder or Path(temporary)
        spans: dict[str, list[Span]] = {stage: [] for stage in STAGES}
        for number in range(asked.days):
            is_gated = number >= asked.days - asked.gated_days
            for stage, span in _day(folder, number, asked.rows, is_gated).items():
                spans[stage].append(span)
        of, millions = f"{asked.rows:,} impressions a day, {asked.days} days", asked.rows / 1e6
        for stage, found in spans.items():
            if took := found[-1:] if asked.quick else found:
                yield Figure(f"{of}, {stage}", "CPU s per million", [span.cpu / millions for span in took])
                yield Figure(f"{of}, {stage}, peak memory", "MiB", [span.peak_mb for span in took])
        yield Figure(f"{of}, all", "CPU s", [sum(span.cpu for took in spans.values() for span in took)])
        yield Figure(f"{of}, lake", "GiB", [_size(folder / "home" / "lake") / 2**30])
        yield Figure(f"{of}, a day's model", "MiB", [_size(folder / "home" / "models") / 2**20 / asked.days])


def _day(folder: Path, number: int, n: int, is_gated: bool) -> dict[str, Span]:
    """What one day took, by stage; nothing where the folder has its model."""
    from benchmarks.logs import chain_of, log_of, write_log
    from lt4rec_assets.learning import Learning
    from lt4rec_core.training.store import ModelStore

    (folder / "home").mkdir(parents=True, exist_ok=True)
    chain = chain_of(folder)
    day, store, learning = chain.day(number), ModelStore(folder / "home"), Learning.of(chain.project)
    if (folder / f"{day}.done").exists():
        return {}
    log = log_of(folder, day)
    write_log(log, day, n)
    spans = {"statements and commits": Span()}
    for name in chain.tables:
        with measured() as span:
            staged = chain.stage(name, day, log)[0]
        report, gate = chain.audit(staged) if name in GATED and is_gated else (None, Span())
        _add(spans, "statements and commits", span)
        with measured() as span:
            chain.lake.publish(staged)
        _add(spans, "statements and commits", span)
        if report:
            _add(spans, "gates", gate)
            _add(spans, "gates", chain.keep(report))
    for file in log.iterdir():
        file.unlink()
    gc.collect()
    spans |= _learning(chain, learning, store, day, is_first=number == 0)
    print(f"{day}", *(f"{stage} {span.cpu:.1f}" for stage, span in spans.items()), sep="; ", file=sys.stderr)
    (folder / f"{day}.done").touch()
    return spans


def _learning(
    chain: "Chain", learning: "Learning", store: "ModelStore", day: date, *, is_first: bool
) -> dict[str, Span]:
    from lt4rec_core.data.streaming import in_order
    from lt4rec_core.training.daily import score_day, train_day

    spans = {}
    samples = learning.samples_or_stream(chain.lake, day, day)[0]
    if is_first:
        _find_tickets(learning, store, samples)
    snet = learning.chain("snet", store)
    if not is_first:
        with measured() as spans["scoring by the model of the day before"]:
            for block in in_order(samples, ()):
                score_day(store, snet, day - timedelta(days=1), block)
    with measured() as spans["sNET, one pass"]:
        train_day(store, snet, day, samples, first=is_first)
    return spans


def _find_tickets(learning: "Learning", store: "ModelStore", samples: Any) -> None:
    import torch

    from lt4rec_core.data.streaming import in_order
    from lt4rec_core.training.precision import automatic
    from lt4rec_core.training.tickets import find_ticket

    block = next(iter(in_order(samples, ())))
    few = min(len(block), TICKET_ROWS)
    rows = torch.randperm(len(block), generator=torch.Generator().manual_seed(0))[:few]
    train, valid = block.select(rows[: few // 2]), block.select(rows[few // 2 :])
    for task in learning.tasks:
        ticket = find_ticket(
            learning.project.source.catalogue, task, train, valid, network=learning.network,
            training=learning.training, pruning=learning.pruning, seed=learning.seed,
            precision=automatic(learning.training, learning.network),
        )  # fmt: skip
        store.save_ticket(learning.ticket_key, ticket)


def _many_ids(n_ids: int) -> Iterator[Figure]:
    from benchmarks.trainers import Ours
    from lt4rec_core.training import modelfile
    from lt4rec_core.training.precision import has_bf16

    of = f"{n_ids:,} ids"
    ours = Ours(n_ids, 262_144, 1024, masked=True, precision="bf16" if has_bf16() else "fp32")
    with measured() as span:
        n = ours.run()
    yield Figure(f"{of}, sNET", "samples/CPU s", [n / span.cpu])
    yield Figure(f"{of}, sNET, peak memory", "MiB", [span.peak_mb])
    ours.optimizers.embedding.touched.fill_(True)
    with TemporaryDirectory(prefix="lt4rec-scale-") as temporary:
        folder = Path(temporary)
        started = time.perf_counter()
        with measured() as span:
            modelfile.publish(folder, ours.optimizers.state(), {}, {})
        yield Figure(f"{of}, publishing a model", "CPU s", [span.cpu])
        yield Figure(f"{of}, publishing a model, wall", "s", [time.perf_counter() - started])
        yield Figure(f"{of}, publishing a model, peak memory", "MiB", [span.peak_mb])
        yield Figure(f"{of}, a model on disk", "MiB", [_size(folder) / 2**20])
        with measured() as span:
            modelfile.load(folder, "the model")
        yield Figure(f"{of}, reading a model", "CPU s", [span.cpu])


def _add(spans: dict[str, Span], stage: str, span: Span) -> None:
    there = spans.setdefault(stage, Span())
    there.cpu, there.peak_mb = there.cpu + span.cpu, max(there.peak_mb, span.peak_mb)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    script("scale", __doc__, measure, runs=1, more=options)
