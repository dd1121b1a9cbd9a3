"""One home holds one data set: claim it, and lay out Dagster's part of it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lt4rec_assets.project import Project
from lt4rec_assets.settings import dagster_home
from lt4rec_core.errors import ConfigError, LakeError

TEMPLATE = Path(__file__).resolve().parent.parent / "dagster.yaml"


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
        _claim(project)
        if not (instance / "dagster.yaml").exists():
            shutil.copyfile(TEMPLATE, instance / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(instance)


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


def _claim(project: Project) -> None:
    """Write down whose home this is, or compare with what stands there."""
    settings = project.settings
    mine = {"source": settings.source, "start": settings.start.isoformat()}
    path = settings.home / "home.json"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. It says which data set the home holds."
        ) from error
    differing = [f"{k} {theirs.get(k)!r}, not {v!r}" for k, v in mine.items() if theirs.get(k) != v]
    if differing:
        raise ConfigError(
            f"the home {settings.home} holds another data set: {'; '.join(differing)}. "
            "One home holds one data set: set LT4REC_HOME to another folder."
        )
