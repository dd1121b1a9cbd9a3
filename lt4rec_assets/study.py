"""``lt4rec study``: the race on every data set, each in a home of its own, and what all of them say together.

- ``simulator``: every row, five seeds, and the scarcity curve, on the simulator's first ten days;
- ``kuairand``: the same on the KuaiRand logs, where their place is given;
- ``kuairand-full``: the rows that matter in the full-size network of the paper;
- ``simulator-data-K``: every row on another draw of the simulated world, with the settings of ``simulator``;
- ``simulator-taste-T-conflict-C``: the rows of the scarcity curve in other worlds.

A home is an ordinary home: `lt4rec ui` and `lt4rec sql` work on it. What is there is not made again, so a
study that was interrupted goes on.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lt4rec_assets.settings import read_settings
from lt4rec_core.config import check
from lt4rec_core.errors import Lt4recError
from lt4rec_core.model.variants import SCARCITY_ROWS

SEED = 20260105
"""Of the simulator's default world; further data seeds count on from it."""

DATA_SEEDS = 5
GRID = tuple((taste, conflict) for taste in (0.0, 0.5, 0.9) for conflict in (0.0, 0.5))
GRID_SHARE = 0.1
"""The share of CVR labels at which worlds are compared beside all labels."""

DATA = "group:source or group:samples or group:features or group:training"
SMALL, FULL = (16, [128, 64, 32]), (32, [512, 256, 128])
"""Embedding dimension and trunk of the research network, and of the paper's."""

FULL_ROWS = (
    "base_ctr",
    "base_cvr",
    "hard_sharing",
    "s_weight",
    "s_weight_fixed_sparsity",
    "random_masks_fixed_sparsity",
)
TOML = """[training]
batch_size = 256

[experiments]
n_trials = 6
max_epochs = 2
{experiments}
[experiments.network]
embedding_dim = {dim}
hidden = {hidden}
"""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Member:
    """One home of the study."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    world: str = ""
    """Lines of ``[source]`` in its ``lt4rec.toml``."""
    experiments: str = ""
    """Lines of ``[experiments]``."""
    network: tuple[int, list[int]] = SMALL
    rows: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def toml(self) -> str:
        """Its ``lt4rec.toml``."""
        world = f"[source]\n{self.world}\n" if self.world else ""
        dim, hidden = self.network
        return world + TOML.format(experiments=self.experiments, dim=dim, hidden=hidden)


def members(into: Path, kuairand: Path | None) -> list[Member]:
    """The homes of a study in the order they are run: later ones take the settings of ``simulator`` over."""
    days = {"LT4REC_SOURCE": "simulator", "LT4REC_START": "2026-01-05", "LT4REC_END": "2026-01-14"}
    tuned = f'frozen_from = "{into / "simulator"}"\n'
    found = [Member("simulator", days)]
    if kuairand is not None:
        logs = {"LT4REC_SOURCE": "kuairand", "LT4REC_SOURCE_PATH": str(kuairand)}
        logs |= {"LT4REC_START": "2022-04-25", "LT4REC_END": "2022-05-06"}
        found.append(Member("kuairand", logs))
        found.append(Member("kuairand-full", logs, network=FULL, rows=FULL_ROWS, shares=(1.0,)))
    for k in range(1, DATA_SEEDS):
        name, world = f"simulator-data-{k}", f"seed = {SEED + k}"
        found.append(Member(name, days, world, "seeds = 1\n" + tuned, shares=(1.0,)))
    for taste, conflict in GRID:
        name = f"simulator-taste-{taste:g}-conflict-{conflict:g}"
        world = f"shared_taste = {taste}\nconflict = {conflict}"
        if (taste, conflict) != (0.5, 0.5):  # the default world
            found.append(Member(name, days, world, tuned, rows=SCARCITY_ROWS, shares=(1.0, GRID_SHARE)))
    return found


def run_study(into: Path, kuairand: Path | None, only: Iterable[str], *, workers: int, say: Say) -> list[str]:
    """Make every home, its samples and its race.

    Args:
        into: the folder of the homes.
        kuairand: where the KuaiRand logs lie; None leaves them out.
        only: names of homes; all if empty.
        workers: processes side by side in each race.
        say: where progress goes.

    Returns:
        The names of the homes in which something failed; the others are complete.

    Raises:
        ConfigError: an unknown home, or logs that are not there.
    """
    into, only = into.resolve(), tuple(only)
    check(kuairand is None or kuairand.is_dir(), f"--kuairand {kuairand} is no folder.")
    known = members(into, kuairand.resolve() if kuairand else None)
    unknown = sorted(set(only) - {member.name for member in known})
    check(not unknown, f"--only {', '.join(unknown)}: there are {', '.join(m.name for m in known)}.")
    failed = []
    for member in known:
        if only and member.name not in only:
            continue
        say(f"== {member.name}")
        if not _run(member, into / member.name, workers, say):
            failed.append(member.name)
    return failed


def _run(member: Member, home: Path, workers: int, say: Say) -> bool:
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "lt4rec.toml").exists():
        (home / "lt4rec.toml").write_text(member.toml, encoding="utf-8")
    env = {**os.environ, **member.env, "LT4REC_HOME": str(home)}
    env.pop("DAGSTER_HOME", None)  # each home its own records
    if not _has_samples(env):
        first, last = member.env["LT4REC_START"], member.env["LT4REC_END"]
        if _lt4rec(env, say, "backfill", "--from", first, "--to", last, "--select", DATA):
            return False
    race = ["race", "--workers", str(workers)]
    race += ["--rows", ",".join(member.rows)] if member.rows else []
    race += ["--shares", ",".join(f"{share:g}" for share in member.shares)] if member.shares else []
    return _lt4rec(env, say, *race) == 0


def _has_samples(env: dict[str, str]) -> bool:
    """Whether every day of the home has its samples."""
    from lt4rec_core.data.lake import Lake

    settings = read_settings(env)
    try:
        days = Lake(settings.home).days("training.samples")
    except Lt4recError:
        return False
    return {settings.start, settings.end} <= set(days)


def _lt4rec(env: dict[str, str], say: Say, *arguments: str) -> int:
    command = [sys.executable, "-m", "lt4rec_assets.cli", *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            say(line.rstrip("\n"))
    return process.returncode
