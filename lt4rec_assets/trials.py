"""Which cells an experiment has: plain values that the graph can be laid out with, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from lt4rec_assets.settings import Settings
from lt4rec_core.config import check, from_mapping
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.variants import SCARCITY_ROWS, VARIANTS


@dataclass(frozen=True, kw_only=True)
class ExperimentsConfig:
    """``[experiments]`` of ``lt4rec.toml``."""

    seeds: int = 5
    """Seeds of every row; intervals over fewer than 5 mean little."""

    n_test: int = 2
    """Last days, scored once, with frozen settings."""

    n_valid: int = 1
    """Days before those, which settings are chosen on."""

    last: str = ""
    """Last test day; needed where the home has no ``LT4REC_END`` and grows."""

    label_shares: tuple[float, ...] = (0.3, 0.1, 0.03)
    """Shares of the CVR labels of the scarcity curve, below 1; all labels are Table 2's own race."""

    n_trials: int = 8
    """Settings that each row tries."""

    max_epochs: int = 3
    """Passes of each trial; each may be chosen."""

    frozen_from: str = ""
    """Another home, whose frozen settings are taken over instead of tuning: the same race on other data."""

    network: Mapping[str, Any] = field(default_factory=dict)
    """``[experiments.network]``: a research network in place of ``[network]``, to race more in less time."""

    def __post_init__(self) -> None:
        for name in ("seeds", "n_test", "n_valid", "n_trials", "max_epochs"):
            value = getattr(self, name)
            check(isinstance(value, int) and value >= 1, f"{name} must be at least 1, got {value!r}.")
        check(
            all(isinstance(s, float) and 0 < s < 1 for s in self.label_shares),
            f"label_shares are shares strictly between 0 and 1, got {self.label_shares}.",
        )

    @classmethod
    def of(cls, settings: Settings) -> "ExperimentsConfig":
        """Read it.

        Raises:
            ConfigError: an unknown key or an impossible value.
        """
        where = f"[experiments] in {settings.home / 'lt4rec.toml'}"
        return from_mapping(cls, settings.experiments, where)

    def days(self, settings: Settings) -> list[date]:
        """Every day of the race, which stays the same while the home grows.

        Raises:
            ConfigError: there is no last day.
        """
        try:
            last = date.fromisoformat(self.last) if self.last else settings.end
        except ValueError:
            raise ConfigError(
                f"[experiments] last is {self.last!r}, which is not a day. Write it as 2022-05-06."
            ) from None
        if last is None:
            raise ConfigError(
                "A race needs a last day, or it would be another one each day. Set LT4REC_END, or last in "
                f"[experiments] of {settings.home / 'lt4rec.toml'}."
            )
        return [settings.start + timedelta(days=i) for i in range((last - settings.start).days + 1)]


@dataclass(frozen=True, order=True)
class Cell:
    """One row under one seed at one share of the CVR labels."""

    share: float
    variant: str
    seed: int

    @property
    def key(self) -> str:
        """As a partition key: ``0.1|s_weight|3``."""
        return f"{self.share:g}|{self.variant}|{self.seed}"

    @classmethod
    def of(cls, key: str) -> "Cell":
        """Read a partition key."""
        share, variant, seed = key.split("|")
        return cls(float(share), variant, int(seed))


def cells_of(config: ExperimentsConfig) -> list[Cell]:
    """Every cell of Table 2 and of the scarcity curve, in the order of the table."""
    return [
        Cell(share, name, seed)
        for share in (1.0, *config.label_shares)
        for name in (VARIANTS if share == 1 else SCARCITY_ROWS)
        for seed in range(config.seeds)
    ]


def shares_of(config: ExperimentsConfig, variant: str) -> tuple[float, ...]:
    """The label shares at which a row is raced."""
    return (1.0, *config.label_shares) if variant in SCARCITY_ROWS else (1.0,)
