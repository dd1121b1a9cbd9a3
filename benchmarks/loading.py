"""From the lake to tensors, and training on days that are streamed instead of loaded.

A synthetic day of 30 categorical features (10,000 buckets each, every second with a long tail) lies in the
lake as the project writes it. Loading is measured against pyarrow reading the same columns of the same files
into a table, and by the memory beyond the tensors' own bytes. Streaming trains a small network (vectors of 8,
trunk 64-32; a larger one hides what reading costs) on the same rows in memory and block by block; every
contestant has a process of its own. ``--large`` is also 20 million impressions.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figure, script
from benchmarks.turns import Turns

if TYPE_CHECKING:
    from lt4rec_core.catalogue import FeatureCatalogue

DAY, N_FEATURES, BUCKETS, SAMPLES = date(2026, 1, 5), 30, 10_000, "training.samples"
LABELS = ("is_click", "watch_ratio")


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    """A day is made, read and trained on."""
    for n_rows in (3_000,) if asked.quick else (2_000_000, 20_000_000) if asked.large else (2_000_000,):
        with tempfile.TemporaryDirectory(prefix="lt4rec-benchmark-") as folder:
            make_lake(Path(folder), n_rows)
            runs = 1 if n_rows > 2_000_000 else asked.runs
            yield from _loading(folder, n_rows, runs, asked.quick)
            yield from _training(folder, n_rows, runs, asked.quick)


def _loading(folder: str, n_rows: int, runs: int, quick: bool) -> Iterator[Figure]:
    readers = {name: ("benchmarks.loading:Reader", {"folder": folder, "kind": name}) for name in Reader.KINDS}
    of = f"loading, {n_rows:,} rows of {N_FEATURES} features"
    took: dict[str, list[Any]] = {name: [] for name in readers}
    with Turns(readers, here=quick) as waiting:
        for _ in range(runs):
            for name, found in took.items():
                found.append(waiting.turn(name))
    for name, found in took.items():
        if name == "nothing":  # what the process holds before
            continue
        yield Figure(f"{of}, {name}", "rows/CPU s", [turn.done / turn.cpu for turn in found])
    pyarrow, tensors = took["pyarrow"], took["tensors"]
    shares = [100 * theirs.cpu / ours.cpu for ours, theirs in zip(tensors, pyarrow, strict=True)]
    yield Figure(f"{of}, tensors, speed beside pyarrow's", "%", shares, "at least 50")
    bytes_mb = n_rows * 4 * (N_FEATURES + len(LABELS)) / 2**20
    base = median([turn.peak_mb for turn in took["nothing"]])
    extra = [(turn.peak_mb - base) / bytes_mb for turn in tensors]
    yield Figure(f"{of}, tensors, peak extra memory", "times their bytes", extra, "at most 1.2")


def _training(folder: str, n_rows: int, runs: int, quick: bool) -> Iterator[Figure]:
    kinds = ("in memory", "streamed")
    trainers = {kind: ("benchmarks.loading:Trainer", {"folder": folder, "kind": kind}) for kind in kinds}
    of = f"streaming, {n_rows:,} rows of {N_FEATURES} features"
    took: dict[str, list[Any]] = {kind: [] for kind in kinds}
    auc: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind in kinds:  # one process at a time: 20 million impressions twice would not fit
            with Turns({kind: trainers[kind]}, here=quick) as waiting:
                took[kind].append(waiting.turn(kind))
                auc[kind].append(waiting.turn(kind).done)
    for kind in kinds:
        yield Figure(f"{of}, {kind}", "samples/CPU s", [turn.done / turn.cpu for turn in took[kind]])
        yield Figure(f"{of}, {kind}, peak memory", "MiB", [turn.peak_mb for turn in took[kind]], _most(kind))
        yield Figure(f"{of}, {kind}, CTR AUC of rows not trained on", "", auc[kind])
    both = zip(took["in memory"], took["streamed"], strict=True)
    shares = [100 * (s.done / s.cpu) / (m.done / m.cpu) for m, s in both]
    yield Figure(f"{of}, streamed, speed beside memory's", "%", shares, "at least 70")


def _most(kind: str) -> str:
    return "below 4,096" if kind == "streamed" else ""


class Reader:
    """Reads the day once a turn."""

    KINDS = ("nothing", "pyarrow", "tensors")

    def __init__(self, folder: str, kind: str) -> None:
        from lt4rec_core.data.lake import Lake
        from lt4rec_core.data.streaming import load_days

        self.lake, self.kind, self.catalogue, self.load = Lake(folder), kind, catalogue(), load_days
        self.snapshot = self.lake.snapshot(SAMPLES)
        self.columns = [*(f.column for f in self.catalogue.features), *LABELS]

    def run(self) -> float:
        """How many rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        snapshot = self.snapshot
        n_rows = sum(n for _, _, n in snapshot.files)
        if self.kind == "pyarrow":
            pa.set_cpu_count(1)
            for path in snapshot.between(None, None):
                with pq.ParquetFile(path) as file:
                    file.read(self.columns, use_threads=False)
        elif self.kind == "tensors":
            self.load(self.lake, snapshot, DAY, DAY, self.catalogue)
        return n_rows


class Trainer:
    """Trains on the day in its first turn, and says in its second how well it ranks the next rows."""

    def __init__(self, folder: str, kind: str) -> None:
        from lt4rec_core.data.lake import Lake
        from lt4rec_core.data.streaming import SampleStream, bytes_per_sample, load_days
        from lt4rec_core.model.network import NetworkConfig, SharedNet
        from lt4rec_core.training.batches import generator_for
        from lt4rec_core.training.settings import TrainingConfig

        self.catalogue, self.config, self.trained = catalogue(), TrainingConfig(batch_size=1024), False
        lake = Lake(folder)
        snapshot = lake.snapshot(SAMPLES)
        n_rows = sum(n for _, _, n in snapshot.files)
        most = min(self.config.stream_above_mb * 2**20 // bytes_per_sample(self.catalogue), n_rows)
        self.samples: Any = (
            load_days(lake, snapshot, DAY, DAY, self.catalogue)
            if kind == "in memory"
            else SampleStream(snapshot, DAY, DAY, self.catalogue, block_rows=most // 4)
        )
        network = NetworkConfig(embedding_dim=8, hidden=(64, 32))
        self.net = SharedNet(self.catalogue, ("ctr", "cvr"), network, generator_for(0, "first values"))

    def run(self) -> float:
        """Samples trained on; then the AUC."""
        from lt4rec_core.data.loading import load_samples
        from lt4rec_core.evaluation.metrics import auc_score
        from lt4rec_core.model.tasks import get_tasks
        from lt4rec_core.training.batches import generator_for
        from lt4rec_core.training.optimizers import make_optimizers
        from lt4rec_core.training.trainer import predict, train

        if not self.trained:
            self.trained, tasks, stream = True, get_tasks(["ctr", "cvr"]), generator_for(0, "batches")
            optimizers = make_optimizers(self.net, self.config)
            losses = train(self.net, optimizers, self.samples, tasks, self.config, stream)
            return sum(loss.n for loss in losses.values())
        others = load_samples(_rows(100_000, seed=1), self.catalogue)
        scores = predict(self.net, others, ("ctr",))["ctr"]
        return auc_score(others.labels["is_click"].numpy(), scores)


def catalogue() -> "FeatureCatalogue":
    """Thirty hashed features of users and videos."""
    from lt4rec_core.catalogue import Feature, FeatureCatalogue

    sides = ("user", "video")
    hashed = [Feature(name=f"f{i}", side=sides[i % 2], buckets=BUCKETS) for i in range(N_FEATURES - 1)]
    return FeatureCatalogue([*hashed, Feature(name="hour", side="context", bins=tuple(range(24)))])


def make_lake(home: Path, n_rows: int) -> None:
    """Publish one day, ordered by its key."""
    from lt4rec_core.data.lake import Lake
    from lt4rec_core.data.sqlfile import read_sql_file

    path = home / "sql" / "training" / "samples.sql"
    path.parent.mkdir(parents=True)
    declared = ["dt date day", "user_id varchar who"]
    declared += [f"{f.column} integer a feature" for f in catalogue().features]
    declared += ["is_click boolean clicked", "watch_ratio double how much was watched"]
    lines = ["A table.", "grain: one row", "key: user_id", "columns:", *(f"  {line}" for line in declared)]
    path.write_text("".join(f"-- {line}\n" for line in lines))
    lake = Lake(home)
    lake.create([read_sql_file(path)])
    lake.publish(lake.stage(SAMPLES, DAY, _rows(n_rows, seed=0)))


def _rows(n_rows: int, seed: int) -> Any:
    """A stream of rows; a click is likelier for small buckets of the first ten features."""
    import numpy as np
    import pyarrow as pa

    draw, worth = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(10, BUCKETS))
    features = [(f.column, pa.int32()) for f in catalogue().features]
    labels = [("is_click", pa.bool_()), ("watch_ratio", pa.float64())]
    schema = pa.schema([("dt", pa.date32()), ("user_id", pa.string()), *features, *labels])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, n_rows, 100_000):
            n = min(100_000, n_rows - start)
            ids = draw.integers(1, BUCKETS, size=(N_FEATURES, n), dtype=np.int32)
            ids[::2] = 1 + ids[::2].astype(np.int64) ** 3 // BUCKETS**2 % (BUCKETS - 1)
            ids[-1] %= 24
            score = sum(worth[i, ids[i]] for i in range(10)) * 0.5 - 0.5
            click = draw.random(n) < 1 / (1 + np.exp(-score))
            watch = pa.array(draw.random(n), mask=~click)
            users = pa.array([f"{i:012}" for i in range(start, start + n)])
            days = pa.array(np.full(n, np.datetime64(DAY)), pa.date32())
            columns = [days, users, *(pa.array(column) for column in ids), pa.array(click), watch]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


if __name__ == "__main__":
    script("loading", __doc__, measure, runs=3)
