"""Which days train, which choose settings, which are measured once and last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.config import check
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.experiments.scarcity import keep_labels
from lt4rec_core.model.boosting import Known


@dataclass(frozen=True, kw_only=True)
class Split:
    """A fixed split by day."""

    train: tuple[date, ...]
    valid: tuple[date, ...]
    """Choose the settings; the rows are refitted on them too."""
    test: tuple[date, ...]
    """Measured with frozen settings only."""
    ticket: tuple[date, ...]
    """Training days on which tickets are searched, the last of them for validation."""

    def __post_init__(self) -> None:
        days = (*self.train, *self.valid, *self.test)
        check(
            bool(self.train and self.valid and self.test) and list(days) == sorted(set(days)),
            f"A split needs train days, then valid days, then test days, each day once and in order; got "
            f"train {_told(self.train)}, valid {_told(self.valid)}, test {_told(self.test)}.",
        )
        check(
            len(self.ticket) >= 2 and set(self.ticket) <= set(self.train),
            f"The ticket window needs at least two of the train days {_told(self.train)}, "
            f"got {_told(self.ticket)}.",
        )

    @classmethod
    def by_day(
        cls, days: Sequence[date], *, n_test: int = 2, n_valid: int = 1, n_ticket: int | None = None
    ) -> "Split":
        """The last days test, those before validate, the rest train; tickets on the first ``n_ticket``.

        None searches tickets on all train days.

        Raises:
            ConfigError: too few days.
        """
        days = sorted(days)
        n_train = len(days) - n_test - n_valid
        check(
            n_train >= 2,
            f"A split needs {n_test} test, {n_valid} validation and at least 2 train days, got {len(days)}.",
        )
        train = tuple(days[:n_train])
        return cls(
            train=train,
            valid=tuple(days[n_train : n_train + n_valid]),
            test=tuple(days[n_train + n_valid :]),
            ticket=train[:n_ticket],
        )


@dataclass(frozen=True)
class RaceData:
    """The samples of a race, by the role of their days.

    Labels are made scarce where they train: in train and ticket days, and in valid days once they are
    refitted on. What judges (valid while tuning, test) keeps all its labels.
    """

    catalogue: FeatureCatalogue
    split: Split
    load: Callable[[Sequence[date]], SampleSet] = field(compare=False)
    """Days to their samples, in order, with the columns of ``scarcity.KEY`` kept beside."""

    digest: str
    """Of the data: table versions, catalogue, source. Cells of other data are other cells."""

    label_share: float = 1.0
    """Share of the CVR labels that training sees."""

    label_seed: int = 0

    known: Known | None = field(default=None, compare=False)
    """What trees see beside the networks' buckets: the numbers behind them."""

    @cached_property
    def train(self) -> SampleSet:
        """What tuning trains on."""
        return self._scarce(self.split.train)

    @cached_property
    def valid(self) -> SampleSet:
        """What tuning is judged by, with all labels."""
        return self.load(self.split.valid)

    @cached_property
    def refit(self) -> SampleSet:
        """What the raced models train on."""
        return self._scarce((*self.split.train, *self.split.valid))

    @cached_property
    def ticket_train(self) -> SampleSet:
        """What tickets are searched on."""
        return self._scarce(self.split.ticket[:-1])

    @cached_property
    def ticket_valid(self) -> SampleSet:
        """What tickets are chosen by: a training day, so its labels are as scarce."""
        return self._scarce(self.split.ticket[-1:])

    def _scarce(self, days: Sequence[date]) -> SampleSet:
        return keep_labels(self.load(days), self.label_share, self.label_seed)


def _told(days: Sequence[date]) -> str:
    return f"{days[0]}..{days[-1]} ({len(days)})" if days else "none"
