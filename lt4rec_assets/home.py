"""One home holds one data set: claim it, and lay out Dagster's part of it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_assets.settings import dagster_home
from lt4rec_core.data.lock import locked
from lt4rec_core.errors import LakeError

TEMPLATE = Path(__file__).resolve().parent.parent / "dagster.yaml"
READY = ".ready"
"""File in ``DAGSTER_HOME`` that says that its databases are made."""


def prepare_home(project: Project) -> None:
    """Make the home, see that it belongs to this data set, and give Dagster its place.

    Sets ``DAGSTER_HOME`` for this process and those it starts.

    Raises:
        LakeError: the home cannot be written.
        ConfigError: the home holds another data set.
    """
    home = project.settings.home
    instance = dagster_home(home)
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        instance.mkdir(parents=True, exist_ok=True)
        project.claim_home()
        os.environ["DAGSTER_HOME"] = str(instance)
        if not (instance / READY).exists():
            _lay_out(instance)


def _lay_out(instance: Path) -> None:
    """Copy the settings and make Dagster's databases, one process at a time.

    Dagster makes its SQLite files by migrations, which fail where two processes run them at once.
    """
    with locked(instance / ".lock"):
        if not (instance / "dagster.yaml").exists():
            shutil.copyfile(TEMPLATE, instance / "dagster.yaml")
        if not (instance / READY).exists():
            with dg.DagsterInstance.get():
                pass
            (instance / READY).touch()


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Say which home the disk refused, and why."""
    try:
        yield
    except OSError as error:
        raise LakeError(
            f"the home {home} cannot be written: {error.strerror or error}. "
            "Set LT4REC_HOME to a folder that is yours."
        ) from error
