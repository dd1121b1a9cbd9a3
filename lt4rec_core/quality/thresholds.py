"""How far a day may stray before a check says so: ``[quality]`` of ``lt4rec.toml``, over these defaults."""

from dataclasses import asdict, dataclass
from typing import Any

from lt4rec_core.config import check


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The numbers that checks compare with."""

    min_rows: int = 1
    """Fewest rows of a day of a gated table; fewer block it."""

    min_drift_days: int = 3
    """How many earlier days a comparison needs; before that, drift passes with a note."""

    max_volume_change: float = 0.5
    """Largest change of a count, as a share of its mean over the seven days before."""

    max_rate_change: float = 0.1
    """Largest change of a mean label or prediction."""

    max_new_share_rise: float = 0.15
    """Largest rise of the share of samples of new users or videos."""

    max_unknown_share: float = 0.25
    """Largest share of samples of unknown users or videos: those that the source's tables do not list. A
    platform that grows has unknown ones every day, a few in a hundred."""

    max_unknown_share_rise: float = 0.1
    """Largest rise of that share."""

    max_cardinality_change: float = 0.5
    """Largest fall of how many values a feature takes, as a share of its mean over the seven days before."""

    max_calibration_gap: float = 0.1
    """Largest mean distance of predicted from actual over the ten parts of a day's predictions."""

    history_users: int = 20_000
    """About how many users' histories the check of leaks makes anew; of more users, each day others'."""

    def __post_init__(self) -> None:
        for name in ("min_rows", "min_drift_days", "history_users"):
            value = getattr(self, name)
            check(
                isinstance(value, int) and not isinstance(value, bool) and value >= 1,
                f"{name} is a number of rows, days or users, at least 1, got {value!r}. "
                "An empty day would pass every check.",
            )
        for name in (name for name in self.as_params() if name.startswith("max_")):
            value = getattr(self, name)
            check(
                isinstance(value, float) and 0 < value < float("inf"),
                f"{name} must be a number above 0, got {value!r}. It is a share or a difference, as in 0.1.",
            )

    def as_params(self) -> dict[str, Any]:
        """Values for the parameters of the checks' SQL."""
        return asdict(self)
