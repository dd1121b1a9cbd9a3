"""When a ranker goes into use: ``[serving]`` of ``lt4rec.toml``, over these defaults."""

from dataclasses import dataclass

from lt4rec_core.config import check


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Quality floors of ``serving/ranker``, and how much of it is measured."""

    auc_floor: float = 0.55
    """Least AUC of CTR on the day. 0 asks for nothing."""

    mse_below_constant: bool = True
    """Whether CVR's MSE on the day must lie below that of the mean label of the days before."""

    no_regression: bool = True
    """Whether the model must not be worse, beyond the interval, than the ranker in use on the same day."""

    n_replicates: int = 100
    """Bootstrap replicates over users behind that interval."""

    keep_days: int = 30
    """Days whose rankers are kept, the newest included; the one in use stays however old. 0 keeps all."""

    latency_seconds: float = 0.5
    """About how long a day's latencies are measured; 0 measures none."""

    def __post_init__(self) -> None:
        check(
            isinstance(self.auc_floor, float) and 0 <= self.auc_floor < 1,
            f"auc_floor is an AUC, from 0 to 1, got {self.auc_floor!r}.",
        )
        for name in ("mse_below_constant", "no_regression"):
            check(
                isinstance(getattr(self, name), bool),
                f"{name} is true or false, got {getattr(self, name)!r}.",
            )
        check(
            isinstance(self.n_replicates, int) and not isinstance(self.n_replicates, bool)
            and 20 <= self.n_replicates <= 10_000,
            f"n_replicates is a number from 20 to 10000, got {self.n_replicates!r}.",
        )  # fmt: skip
        check(
            isinstance(self.keep_days, int) and not isinstance(self.keep_days, bool) and self.keep_days >= 0,
            f"keep_days is a number of days, 0 for all, got {self.keep_days!r}.",
        )
        check(
            isinstance(self.latency_seconds, float) and 0 <= self.latency_seconds < float("inf"),
            f"latency_seconds is a number of seconds, 0 or more, got {self.latency_seconds!r}.",
        )
