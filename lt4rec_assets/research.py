"""The race for Table 2 of one home: its days, rows, seeds, budgets and label shares.

Assets, the command line and whoever reads the results ask here, so that they speak of the same cells.
Imported when something runs, never when definitions load: PyTorch comes with it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, lru_cache, partial

from lt4rec_assets.learning import Learning
from lt4rec_assets.project import Project
from lt4rec_assets.trials import Cell as Trial
from lt4rec_assets.trials import ExperimentsConfig, cells_of
from lt4rec_core.config import from_mapping
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.places import Place, place
from lt4rec_core.experiments.comparison import Comparison, compare
from lt4rec_core.experiments.fitting import FitSettings, ticket_key
from lt4rec_core.experiments.known import KEPT, known_before
from lt4rec_core.experiments.race import Race
from lt4rec_core.experiments.records import Cell, Frozen, Records
from lt4rec_core.experiments.samples import best_reachable, samples_digest
from lt4rec_core.experiments.scarcity import KEY
from lt4rec_core.experiments.splits import RaceData, Split
from lt4rec_core.experiments.tables import complete_rows
from lt4rec_core.experiments.thinning import thin
from lt4rec_core.experiments.tuning import Checkpoint, TuningConfig
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.training.tickets import Ticket

FEATURES = ("features.user_features", "features.video_features")

_OPEN: dict[str, "Research"] = {}
"""Of this process, by settings: the cells of a row share their samples."""


@dataclass(frozen=True, eq=False)
class Research:
    """One home's race."""

    learning: Learning
    lake: Lake
    config: ExperimentsConfig

    @classmethod
    def of(cls, project: Project, lake: Lake) -> "Research":
        """Read ``[experiments]`` beside what ``Learning.of`` reads; once per process.

        Raises:
            ConfigError: an unknown key or an impossible value.
        """
        name = repr(project.settings)
        if name not in _OPEN:
            _OPEN[name] = cls(Learning.of(project), lake, ExperimentsConfig.of(project.settings))
        return _OPEN[name]

    @property
    def home(self) -> Place:
        """Where the race lies, below ``experiments``."""
        return self.learning.project.settings.home

    @property
    def split(self) -> Split:
        """Which days train, validate and test."""
        days = self.config.days(self.learning.project.settings)
        return Split.by_day(days, n_test=self.config.n_test, n_valid=self.config.n_valid)

    @cached_property
    def base(self) -> FitSettings:
        """Where every row's tuning starts: the home's own settings, perhaps in a smaller network."""
        where = f"[experiments.network] in {self.home / 'lt4rec.toml'}"
        network = dict(self.config.network)
        return FitSettings(
            variant="base_ctr",
            network=from_mapping(NetworkConfig, network, where) if network else self.learning.network,
            training=self.learning.training,
            pruning=self.learning.pruning,
        )

    def tuning(self, share: float) -> TuningConfig:
        """Every row's budget; scarce labels are met in batches about as much smaller as they are fewer.

        Rows of two tasks start from the tuned single-task rows: tried freely, they were held to the trial
        with the best CTR, whatever it made of CVR, and every form of sharing looked worse than it is.
        """
        tuning = TuningConfig(n_trials=self.config.n_trials, max_epochs=self.config.max_epochs)
        default = self.learning.training.batch_size * share
        sizes = sorted((2**i for i in range(1, 10)), key=lambda size: abs(math.log(size / default)))
        return replace(tuning, cvr_batch_size=tuple(sizes[:4]), from_single_tasks=True)

    def race(self, share: float = 1.0, draw: int = 0) -> Race:
        """The race at a share of the CVR labels, in one draw of which labels are left.

        The first draw is tuned; the others take its settings over, as every draw does where
        ``frozen_from`` names another home.
        """
        return _race(self, float(share), draw)  # 1 and 1.0 would be two races

    def tune(
        self, name: str, share: float, on_checkpoint: Callable[[Checkpoint], None] | None = None
    ) -> Frozen:
        """A row's frozen settings at a share of labels."""
        return self.race(share).tune(name, on_checkpoint)

    def run(self, trial: Trial) -> Cell:
        """A finished cell; run now unless it was before. With scarce labels each seed draws other labels."""
        return self.race(trial.share, 0 if trial.share == 1 else trial.seed).run_cell(
            trial.variant, trial.seed
        )

    def finished(self, trial: Trial) -> Cell | None:
        """The cell, or None where it was not run yet; nothing is tuned or trained for it."""
        race = self.race(trial.share, 0 if trial.share == 1 else trial.seed)
        return race.finished(trial.variant, trial.seed)

    def load(self, lake: Lake, days: Sequence[date]) -> SampleSet:
        """Samples of consecutive days; beside them what labels, users and known numbers are found by."""
        return self.learning.samples(lake, days[0], days[-1], keep=tuple(dict.fromkeys((*KEY, *KEPT))))[0]

    def finished_cells(self, share: float) -> tuple[list[Cell], list[str]]:
        """The cells of the rows that are complete at a share of labels, and the rows that are not."""
        trials = [trial for trial in cells_of(self.config) if trial.share == share]
        found = [cell for trial in trials if (cell := self.finished(trial))]
        complete = complete_rows(found, self.config.seeds)
        names = {cell.variant for cell in complete}
        return complete, list(dict.fromkeys(t.variant for t in trials if t.variant not in names))

    def compare(self, share: float, cells: Sequence[Cell]) -> list[Comparison]:
        """Every row against its single-task reference; users are drawn where all seeds met the same labels.

        Raises:
            TrainingError: a reference is not complete.
        """
        test = self.race().test if share == 1 else None
        return compare(cells, best=self.best, test=test)

    def tickets(self, name: str, share: float = 1.0) -> dict[str, list[Ticket]]:
        """Per task the tickets of a row's seeds, as far as they were found."""
        race = self.race(share)
        settings = race.records.frozen(name).settings
        found: dict[str, list[Ticket]] = {}
        for task in ("ctr", "cvr"):
            keys = [ticket_key(settings, race.data, task, seed) for seed in range(self.config.seeds)]
            found[task] = [
                race.tickets.load_ticket(k, task) for k in keys if race.tickets.has_ticket(k, task)
            ]
        return found

    @cached_property
    def best(self) -> dict[str, float]:
        """The best reachable values on the test days; empty where the source does not know its truth."""
        if "source.truth" not in self.learning.project.tables:
            return {}
        return best_reachable(self.lake, self.split.test)

    def data(self, share: float, draw: int) -> RaceData:
        """The samples of a race; with scarce labels, of a lake whose features never saw the others."""
        split = self.split
        lake = self.lake if share == 1 else self._thinned(share, draw)
        return RaceData(
            self.learning.project.source.catalogue,
            split,
            partial(self.load, lake),
            self.digest,
            label_share=share,
            label_seed=draw,
            known=known_before(lake, *(self.learning.project.tables[name] for name in FEATURES)),
        )

    @cached_property
    def digest(self) -> str:
        """Of the samples of its days: the same at every share and draw of labels, and seconds to compute."""
        split = self.split
        return samples_digest(self.lake, [*split.train, *split.valid, *split.test])

    def _thinned(self, share: float, draw: int) -> Lake:
        project = self.learning.project
        first, last = project.settings.start, self.split.test[-1]
        return thin(
            self.lake,
            self.home / "experiments",
            project.source,
            project.tables,
            [first + timedelta(days=i) for i in range((last - first).days + 1)],
            {k: v for k, v in project.sql_params(first).items() if k != "dt"},
            share,
            draw,
        )


@lru_cache(maxsize=4)  # of a draw of labels some hundred megabytes stay in memory
def _race(research: Research, share: float, draw: int) -> Race:
    tuned_by: Callable[[str], Frozen] | None = None
    if research.config.frozen_from:
        tuned_by = Records.find(place(research.config.frozen_from), share).frozen
    elif draw:
        tuned_by = partial(research.tune, share=share)
    race = Race(research.home, research.data(share, draw), research.base, research.tuning(share))
    return replace(race, tuned_by=tuned_by)
