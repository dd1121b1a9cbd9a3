"""What benchmarks/training.py lets train in turn: the project's loop, and the two libraries users would take.

Same fields, vectors, trunk, batches and ids for all. The libraries are used as their guides say, each with
its own loader, but faster than by default: without weight decay or regularisation (which would touch the
whole table at every step) and without metrics while training.
"""

import contextlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lt4rec_core.catalogue import FeatureCatalogue
    from lt4rec_core.data.loading import SampleSet

N_FIELDS, DIM, HIDDEN = 20, 32, (512, 256, 128)
DENSITY = 0.2


class Ours:
    """The project's network, one Adam per task; a sample is one row of one task's batch."""

    def __init__(
        self, n_ids: int, n_rows: int, batch: int, masked: bool, precision: Any, interaction: Any = "dot"
    ) -> None:
        import torch

        from lt4rec_core.model.network import NetworkConfig, SharedNet
        from lt4rec_core.model.tasks import get_tasks
        from lt4rec_core.training.batches import generator_for
        from lt4rec_core.training.optimizers import make_optimizers
        from lt4rec_core.training.settings import TrainingConfig

        catalogue = even_catalogue(n_ids)
        self.samples = random_samples(catalogue, n_rows)
        self.tasks, self.stream = get_tasks(["ctr", "cvr"]), generator_for(0, "benchmark")
        self.config, self.precision = TrainingConfig(batch_size=batch), precision
        network = NetworkConfig(embedding_dim=DIM, hidden=HIDDEN, interaction=interaction)
        self.net = SharedNet(catalogue, ("ctr", "cvr"), network, self.stream)
        self.optimizers = make_optimizers(self.net, self.config)
        self.masks = {
            task: {
                name: torch.rand(weight.shape, generator=self.stream) < DENSITY
                for name, weight in self.net.trunk_weights().items()
            }
            for task in self.net.tasks
        }
        self.masked = masked
        self.run(self.samples.select(torch.arange(min(batch, n_rows))))  # first calls

    def run(self, samples: "SampleSet | None" = None) -> int:
        """One pass; how many samples it trained on."""
        from lt4rec_core.training.trainer import train

        losses = train(
            self.net,
            self.optimizers,
            self.samples if samples is None else samples,
            self.tasks,
            self.config,
            self.stream,
            masks=self.masks if self.masked else None,
            precision=self.precision,
        )
        return sum(loss.n for loss in losses.values())


class Floor:
    """The trunk's three bare matrix products per layer, forward and both backward, of one precision."""

    def __init__(self, n_ids: int, n_rows: int, batch: int, dtype: str) -> None:
        import torch

        n_inputs = N_FIELDS * DIM + N_FIELDS * (N_FIELDS - 1) // 2
        self.layers, self.n_steps, self.batch = [], max(n_rows // batch // 4, 1), batch
        for inner, out in zip((n_inputs, *HIDDEN), HIDDEN, strict=False):
            shapes = ((batch, inner), (batch, out), (out, inner))
            self.layers.append([torch.randn(shape, dtype=getattr(torch, dtype)) for shape in shapes])
        self.run()

    def run(self) -> int:
        """Some steps; how many samples they would have trained on."""
        for _ in range(self.n_steps):
            for x, gradient, weight in self.layers:
                _ = x @ weight.T, gradient.T @ x, gradient @ weight
        return self.n_steps * self.batch


class Rechub:
    """torch-rechub's SharedBottom with its MTLTrainer; a sample is a row with both labels.

    With ``own_loader`` its DataGenerator makes the batches, row by row; without, it is handed finished ones,
    which its users would have to write.
    """

    def __init__(self, n_ids: int, n_rows: int, batch: int, own_loader: bool) -> None:
        import torch
        from torch_rechub.basic.features import SparseFeature
        from torch_rechub.models.multi_task import SharedBottom
        from torch_rechub.trainers import MTLTrainer
        from torch_rechub.utils.data import DataGenerator

        catalogue = even_catalogue(n_ids)
        samples, names = random_samples(catalogue, n_rows), [f.name for f in catalogue.features]
        features = [SparseFeature(f.name, catalogue.embeddings[f.embedding], DIM) for f in catalogue.features]
        types = ["classification", "regression"]
        towers: list[dict[str, list[int]]] = [{"dims": []} for _ in types]
        model = SharedBottom(features, types, {"dims": list(HIDDEN)}, towers)
        self.trainer = MTLTrainer(model, types, optimizer_params={"lr": 1e-3, "weight_decay": 0.0})
        labels = _both_labels(samples)
        finished = []
        for rows in torch.randperm(n_rows).split(batch):
            ids = samples.ids[rows].long()
            finished.append(({n: ids[:, i] for i, n in enumerate(names)}, labels[rows]))
        self.batches: Any = finished
        self.n_rows = n_rows
        self._epoch(finished[:1])
        if own_loader:
            x = {name: samples.ids[:, i].numpy() for i, name in enumerate(names)}
            generator, few = DataGenerator(x, labels.numpy()), {n: column[:1] for n, column in x.items()}
            self.batches, _, _ = generator.generate_dataloader(few, [0], few, [0], batch_size=batch)

    def run(self) -> int:
        """One pass; how many rows it trained on."""
        self._epoch(self.batches)
        return self.n_rows

    def _epoch(self, batches: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.trainer.train_one_epoch(batches)


class DeepCtr:
    """DeepCTR-Torch's SharedBottom with its fit; a sample is a row with both labels."""

    def __init__(self, n_ids: int, n_rows: int, batch: int) -> None:
        from deepctr_torch.inputs import SparseFeat
        from deepctr_torch.models import SharedBottom

        catalogue = even_catalogue(n_ids)
        samples = random_samples(catalogue, n_rows)
        features = [
            SparseFeat(f.name, catalogue.embeddings[f.embedding], embedding_dim=DIM)
            for f in catalogue.features
        ]
        self.model = SharedBottom(
            features,
            bottom_dnn_hidden_units=HIDDEN,
            tower_dnn_hidden_units=(),
            l2_reg_embedding=0.0,
            task_types=("binary", "regression"),
            task_names=("ctr", "cvr"),
        )
        self.model.compile("adam", loss=["binary_crossentropy", "mse"])
        self.x = {f.name: samples.ids[:, i].numpy() for i, f in enumerate(catalogue.features)}
        self.y, self.batch, self.n_rows = _both_labels(samples).numpy(), batch, n_rows
        self._fit(min(batch, n_rows))

    def run(self) -> int:
        """One pass; how many rows it trained on."""
        self._fit(self.n_rows)
        return self.n_rows

    def _fit(self, n: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            x = {name: value[:n] for name, value in self.x.items()}
            self.model.fit(x, self.y[:n], batch_size=self.batch, epochs=1, verbose=0)


def even_catalogue(n_ids: int) -> "FeatureCatalogue":
    """Nineteen hashed fields of equal size, of users and videos, and the hour as the context."""
    from lt4rec_core.catalogue import Feature, FeatureCatalogue

    hashed = [
        Feature(name=f"f{i}", side=("user", "video")[i % 2], buckets=n_ids // (N_FIELDS - 1))
        for i in range(N_FIELDS - 1)
    ]
    return FeatureCatalogue([*hashed, Feature(name="hour", side="context", bins=tuple(range(24)))])


def random_samples(catalogue: "FeatureCatalogue", n: int) -> "SampleSet":
    """Impressions with random ids; two in five are clicks with a random watch ratio."""
    import torch

    from lt4rec_core.data.loading import SampleSet

    stream = torch.Generator().manual_seed(0)
    buckets = [catalogue.embeddings[f.embedding] for f in catalogue.features]
    ids = torch.stack([torch.randint(b, (n,), generator=stream) for b in buckets], dim=1)
    click = (torch.rand(n, generator=stream) < 0.4).float()
    watch = torch.rand(n, generator=stream)
    watch[click == 0] = float("nan")
    return SampleSet(ids.int(), {}, {"is_click": click, "watch_ratio": watch})


def _both_labels(samples: "SampleSet") -> Any:
    """(n, 2): the libraries take no unknown labels, so those of CVR are 0 where there was no click."""
    import torch

    return torch.stack([samples.labels["is_click"], samples.labels["watch_ratio"].nan_to_num(0.0)], dim=1)
