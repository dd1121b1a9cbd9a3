"""From settings to what the core trains: tickets, chains and samples, all of one ``lt4rec.toml``.

Tickets, sNET and baseline must agree on network, training and seed; they agree because they all ask here.
Imported by assets when they run, never when definitions load: PyTorch comes with it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from lt4rec_assets.project import Project
from lt4rec_core.config import from_mapping
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.snapshot import Snapshot
from lt4rec_core.data.streaming import Samples, SampleStream, bytes_per_sample, load_days
from lt4rec_core.errors import ConfigError, LakeError, ModelStoreError
from lt4rec_core.model.masks import Mask
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.model.tasks import Task, get_tasks
from lt4rec_core.training.daily import Chain
from lt4rec_core.training.precision import automatic
from lt4rec_core.training.store import ModelStore
from lt4rec_core.training.tickets import PruneConfig, Round, Ticket, TicketKey, find_ticket
from lt4rec_core.training.trainer import Progress, TrainingConfig

SAMPLES = "training.samples"


@dataclass(frozen=True)
class Learning:
    """What every learning asset of one home shares."""

    project: Project
    tasks: tuple[Task, ...]
    network: NetworkConfig
    training: TrainingConfig
    pruning: PruneConfig
    seed: int

    @classmethod
    def of(cls, project: Project) -> "Learning":
        """Read ``[network]``, ``[training]`` and ``[pruning]``; ``seed`` stands in ``[training]``.

        Raises:
            ConfigError: an unknown key or an impossible value.
        """
        tables = project.settings.learning
        training = dict(tables.get("training", {}))
        seed = training.pop("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ConfigError(f"[training] in lt4rec.toml: seed is {seed!r}, which is not a whole number.")

        def table(config: Any, name: str, values: Mapping[str, Any]) -> Any:
            return from_mapping(config, values, where=f"[{name}] in {project.settings.home / 'lt4rec.toml'}")

        return cls(
            project=project,
            tasks=get_tasks(project.settings.tasks),
            network=table(NetworkConfig, "network", tables.get("network", {})),
            training=table(TrainingConfig, "training", training),
            pruning=table(PruneConfig, "pruning", tables.get("pruning", {})),
            seed=seed,
        )

    @property
    def ticket_key(self) -> TicketKey:
        """What the tickets of this home are found with; the same for all tasks."""
        window = self.project.settings.ticket_window
        return TicketKey(
            catalogue=self.project.source.catalogue.digest,
            network=self.network,
            training=self.training,
            pruning=self.pruning,
            first=window[0],
            last=window[-1],
            seed=self.seed,
        )

    def chain(self, kind: Literal["snet", "baseline"], store: ModelStore) -> Chain:
        """The chain of daily models: sNET through the tickets there are, or the dense baseline.

        Raises:
            ModelStoreError: a ticket is missing or damaged.
        """
        wanted = self.tasks if kind == "snet" else ()
        return Chain(
            kind=kind,
            catalogue=self.project.source.catalogue,
            tasks=self.tasks,
            network=self.network,
            training=self.training,
            tickets={t.name: store.load_ticket(self.ticket_key, t.name) for t in wanted},
            restart=self.pruning.restart,
            seed=self.seed,
        )

    def search(
        self,
        name: str,
        lake: Lake,
        on_round: Callable[[Round], None],
        progress: Callable[[int, Progress], None] | None = None,
    ) -> Ticket:
        """Find one task's ticket on the ticket window; its last day validates (Algorithm 1, lines 1-10).

        Raises:
            LakeError: a day of the window is not there.
            TrainingError, MaskError: as ``find_ticket``.
        """
        window = self.project.settings.ticket_window
        return find_ticket(
            self.project.source.catalogue,
            get_tasks([name])[0],
            self.samples_or_stream(lake, window[0], window[-2])[0],
            self.samples_or_stream(lake, window[-1], window[-1])[0],
            network=self.network,
            training=self.training,
            pruning=self.pruning,
            seed=self.seed,
            precision=automatic(self.training, self.network),
            on_round=on_round,
            progress=progress,
        )

    def samples(
        self, lake: Lake, first: date, last: date, keep: tuple[str, ...] = ()
    ) -> tuple[SampleSet, int]:
        """Read ``training.samples`` of some days into tensors; beside them the Delta version that was read.

        Raises:
            LakeError: one of the days has no samples.
        """
        snapshot, _ = self._complete(lake, first, last)
        catalogue = self.project.source.catalogue
        return load_days(lake, snapshot, first, last, catalogue, keep), snapshot.version

    def samples_or_stream(
        self, lake: Lake, first: date, last: date, keep: tuple[str, ...] = ()
    ) -> tuple[Samples, int]:
        """As ``samples``, but a stream where ``[training] stream_above_mb`` says so; it keeps nothing beside.

        Raises:
            LakeError: one of the days has no samples.
        """
        snapshot, n_rows = self._complete(lake, first, last)
        catalogue = self.project.source.catalogue
        most = self.training.stream_above_mb * 2**20 // bytes_per_sample(catalogue)
        if n_rows <= most:
            return self.samples(lake, first, last, keep)
        return SampleStream(snapshot, first, last, catalogue, block_rows=most // 4), snapshot.version

    def _complete(self, lake: Lake, first: date, last: date) -> tuple[Snapshot, int]:
        """The table as it is now and its rows on these days, each of which has some."""
        snapshot = lake.snapshot(SAMPLES)
        rows: dict[date, int] = {}
        for day, _, n in snapshot.files:
            rows[day] = rows.get(day, 0) + n
        wanted = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        if missing := [day for day in wanted if not rows.get(day)]:
            raise LakeError(
                f"{SAMPLES} has no rows for {', '.join(map(str, missing))}. "
                "Materialise these days first; a day that failed its gate publishes nothing."
            )
        return snapshot, sum(rows[day] for day in wanted)

    def found_masks(self) -> dict[str, Mask]:
        """The masks of the tickets there are under these settings, by task; a damaged one is none."""
        store, masks = ModelStore(self.project.settings.home), {}
        for task in self.tasks:
            with suppress(ModelStoreError):
                masks[task.name] = store.load_ticket(self.ticket_key, task.name).mask
        return masks
