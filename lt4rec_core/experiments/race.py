"""The race for Table 2: tune every row alike, freeze, refit under many seeds, score the test days.

A cell is one row under one seed. Cells depend on nothing but frozen settings, so they can run in any order,
in any number of processes, and an interrupted race goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.places import Place, place
from lt4rec_core.errors import Lt4recError, TrainingError
from lt4rec_core.experiments.fitting import FitSettings, Fitted, calibration, fit, judge
from lt4rec_core.experiments.records import Cell, Frozen, Records, race_digest
from lt4rec_core.experiments.splits import RaceData
from lt4rec_core.experiments.tuning import Checkpoint, TuningConfig, ticket_training, tune
from lt4rec_core.model.variants import SINGLE_TASK, get_variants
from lt4rec_core.training.store import ModelStore


@dataclass
class Race:
    """One race: a data set, a split, a label share, a budget."""

    home: Place
    data: RaceData
    base: FitSettings = field(default_factory=lambda: FitSettings(variant="base_ctr"))
    """Network, pruning and the settings that every row's tuning starts from."""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    tuned_by: Callable[[str], Frozen] | None = None
    """Takes settings over from another race instead of tuning: of other data made alike, or of another draw
    of scarce labels. Settings tuned on one draw are then judged on many."""

    @cached_property
    def records(self) -> Records:
        """Under ``$LT4REC_HOME/experiments/<race>``."""
        name = race_digest(self.data)
        records = Records(place(self.home) / "experiments" / name[:16], name)
        records.describe(self.data)
        return records

    @cached_property
    def tickets(self) -> ModelStore:
        """The race's own: tickets of scarce labels are other tickets."""
        return ModelStore(self.records.root)

    def tune(self, name: str, on_checkpoint: Callable[[Checkpoint], None] | None = None) -> Frozen:
        """The row's frozen settings: those on disk if this budget chose them, else tuned now.

        Raises:
            ConfigError: no such row.
            ModelStoreError: the test days were already scored with other settings of this row.
        """
        (variant,) = get_variants([name])
        base = self.base
        starts = self.tuning.from_single_tasks and len(variant.scores) > 1
        if variant.masks != "none" or starts:
            bases = {row: self.tune(row).settings for row in SINGLE_TASK}
            base = replace(base, ticket_training=ticket_training(bases))
        if not self.records.is_frozen(name, base, self.tuning):
            if self.tuned_by:
                return self.records.adopt(self.tuned_by(name), base, self.tuning)
            tuned = tune(name, base, self.tuning, self.data, self.tickets, on_checkpoint)
            self.records.freeze(tuned, base, self.tuning)
        return self.records.frozen(name)

    def fit(self, frozen: Frozen, seed: int) -> Fitted:
        """Refit a row on train and validation days with its frozen settings."""
        return fit(frozen.settings, self.data, self.data.refit, seed, self.tickets)

    def score(self, fitted: Fitted, digest: str, seed: int) -> Cell:
        """Score the test days, and finish the cell. Takes frozen settings only.

        Args:
            fitted: the row, refitted under ``seed``.
            digest: of its frozen settings.
            seed: names the cell.

        Raises:
            ModelStoreError: the row has no frozen settings, or they were changed on disk.
            TrainingError: the model was fitted with other settings than the frozen ones.
        """
        name = fitted.settings.variant
        frozen = self.records.frozen(name)
        if frozen.digest != digest or frozen.settings != fitted.settings:
            raise TrainingError(
                f"Refused to score the test days: {name!r} was fitted with settings that are not the frozen "
                f"ones (digest {digest[:16]}, frozen {frozen.digest[:16]}). Tune the row, then fit it with "
                f"what was frozen. Look in {self.records.root}."
            )
        scores = fitted.predict(self.test)
        metrics = judge(self.test, scores)
        beside = {"densities": fitted.densities, "calibration": calibration(self.test, scores)}
        self.records.save_cell(frozen, seed, scores, metrics, beside)
        return self.records.cell(frozen, seed)

    @cached_property
    def test(self) -> SampleSet:
        """The test days, to score with frozen settings."""
        return self.data.load(self.data.split.test)

    def run_cell(self, name: str, seed: int) -> Cell:
        """The finished cell: read if it is there, else fitted and scored."""
        frozen = self.tune(name)
        if self.records.has_cell(frozen, seed):
            return self.records.cell(frozen, seed)
        return self.score(self.fit(frozen, seed), frozen.digest, seed)

    def finished(self, name: str, seed: int) -> Cell | None:
        """The cell if it was run with the row's frozen settings; nothing is tuned or trained."""
        if not self.records.has_frozen(name):
            return None
        frozen = self.records.frozen(name)
        return self.records.cell(frozen, seed) if self.records.has_cell(frozen, seed) else None

    def run(
        self,
        names: Iterable[str],
        seeds: Sequence[int],
        on_cell: Callable[[Cell, float], None] | None = None,
    ) -> list[Cell]:
        """All cells of these rows and seeds; those finished before are read.

        Args:
            names: rows.
            seeds: at least 5 for intervals that mean something.
            on_cell: called with each cell and the seconds it took.

        Raises:
            TrainingError: some cells failed; the others are finished, and named are those that are not.
        """
        cells, failed = [], {}
        for name in (variant.name for variant in get_variants(names)):
            for seed in seeds:
                began = time.monotonic()
                try:
                    cells.append(self.run_cell(name, seed))
                except Lt4recError as error:
                    failed[f"{name}/{seed}"] = error
                    continue
                if on_cell:
                    on_cell(cells[-1], time.monotonic() - began)
        if failed:
            first = next(iter(failed.values()))
            raise TrainingError(
                f"{len(failed)} of {len(failed) + len(cells)} cells failed: {', '.join(failed)}. The first: "
                f"{first} Run the race again; finished cells are not repeated."
            ) from first
        return cells
