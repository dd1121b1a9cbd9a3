"""``LT4REC_RAY`` says that there is a Ray cluster, ``[ray]`` of ``lt4rec.toml`` how it is used."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lt4rec_core.config import check
from lt4rec_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """``[ray]`` of ``lt4rec.toml``; without ``LT4REC_RAY`` nobody reads it."""

    workers: int = 1
    """Processes that train a streamed day together; 1: the run's own process trains it, as without Ray."""

    cpus: int = 1
    """Cores that a cell, a ticket or a worker of a day reserves; ``[training] threads`` uses them."""

    memory_gb: float = 0.0
    """Memory that each reserves, in GiB, so that a node takes no more of them than fit; 0 reserves none."""

    retries: int = 2
    """How often what a killed process was at is begun again, a day from its last checkpoint."""

    checkpoint_every: int = 1
    """A day's checkpoint is written every so many rounds; a round is one block of samples at each worker."""

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("cpus", 1), ("retries", 0), ("checkpoint_every", 1)):
            value = getattr(self, name)
            check(
                isinstance(value, int) and not isinstance(value, bool) and value >= least,
                f"[ray] {name} is a whole number, at least {least}, got {value!r}.",
            )
        check(self.memory_gb >= 0, f"[ray] memory_gb must not be negative, got {self.memory_gb!r}.")


def ray_address(env: Mapping[str, str]) -> str | None:
    """Where the cluster's head is, as ``ray start`` tells it; ``auto``: the one that this machine belongs to.

    Raises:
        ConfigError: it is no such address.
    """
    text = (env.get("LT4REC_RAY") or "").strip()
    if not text:
        return None
    if text != "auto" and not re.fullmatch(r"[^/\s:@]+:\d+", text):
        raise ConfigError(
            f"LT4REC_RAY is {text!r}, which is neither auto nor the address of a cluster's head as in "
            "10.0.0.5:6379. A ray:// address does not do: the machine that runs Dagster joins the cluster "
            "(docs/RAY.md)."
        )
    return text
