"""One home holds one data set: claim it, and lay out Dagster's part of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml

from lt4rec_assets.postgres import STORAGE, is_on_postgres, reach
from lt4rec_assets.project import Project
from lt4rec_assets.settings import dagster_home, postgres_url
from lt4rec_core.data.lock import locked
from lt4rec_core.data.places import Place, put_text_once, require_shareable, working_folder
from lt4rec_core.errors import ConfigError, LakeError, StoreError

TEMPLATE = Path(__file__).resolve().parent.parent / "dagster.yaml"
READY = ".ready"
"""File in ``DAGSTER_HOME`` that says that its databases are made."""
WHOSE = "home.txt"
"""File in a working folder that says which home in a bucket it serves."""


def prepare_home(project: Project) -> None:
    """Make the home, see that it belongs to this data set, and give Dagster its place.

    Sets ``DAGSTER_HOME`` for this process and those it starts.

    Raises:
        LakeError: the home cannot be written.
        ConfigError: the home holds another data set, or keeps Dagster's records elsewhere than it now should;
            or the PostgreSQL server cannot be reached.
    """
    home = project.settings.home
    instance = dagster_home(home)
    with writing(home):
        require_shareable(home)
        home.mkdir(parents=True, exist_ok=True)
        _claim_working_folder(home)
        instance.mkdir(parents=True, exist_ok=True)
        project.claim_home()
        os.environ["DAGSTER_HOME"] = str(instance)
        url = postgres_url()
        if url is not None:
            reach(url)
        _see_where_records_stand(instance, url is not None)
        if not (instance / READY).exists():
            _lay_out(instance, STORAGE if url is not None else "")


def _claim_working_folder(home: Place) -> None:
    """Let a working folder belong to one home in a bucket: two would share Dagster's records, unnoticed."""
    if isinstance(home, Path):
        return
    folder = working_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WHOSE
    is_new = put_text_once(path, f"{home}\n")
    theirs = str(home) if is_new else path.read_text(encoding="utf-8").strip()
    if theirs != str(home):
        raise ConfigError(
            f"the working folder {folder} belongs to {theirs}, not to {home}. "
            "Set LT4REC_LOCAL to another folder (docs/OBJECT_STORAGE.md)."
        )
    if (folder / "home.json").exists():
        raise ConfigError(
            f"the working folder {folder} is a home of its own, and cannot serve {home} as well. "
            "Set LT4REC_LOCAL to another folder (docs/OBJECT_STORAGE.md)."
        )


def _see_where_records_stand(instance: Path, on_postgres: bool) -> None:
    """Refuse a home whose history stands elsewhere: it does not move along, and would be split in two."""
    path = instance / "dagster.yaml"
    if not path.exists():
        return
    try:
        was_on_postgres = is_on_postgres(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}.") from error
    if on_postgres == was_on_postgres:
        return
    found = "is set" if on_postgres else "is not set"
    there = "on PostgreSQL" if was_on_postgres else f"by {path}, not on PostgreSQL"
    raise ConfigError(
        f"LT4REC_POSTGRES {found}, but this home keeps Dagster's records {there}. History does not move "
        "along: set DAGSTER_HOME to a new folder to begin anew there (docs/OPERATIONS.md, Postgres)."
    )


def _lay_out(instance: Path, more: str) -> None:
    """Write the settings and make Dagster's databases, one process at a time.

    Dagster makes its SQLite files by migrations, which fail where two processes run them at once.
    """
    with locked(instance / ".lock"):
        if not (instance / "dagster.yaml").exists():
            draft = instance / "dagster.yaml.tmp"
            draft.write_text(TEMPLATE.read_text(encoding="utf-8") + more, encoding="utf-8")
            draft.replace(instance / "dagster.yaml")
        if not (instance / READY).exists():
            with dg.DagsterInstance.get():
                pass
            (instance / READY).touch()


@contextmanager
def writing(home: Place) -> Iterator[None]:
    """Say which home the disk refused, and why."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise LakeError(
            f"the home {home} cannot be written: {error.strerror or error}. "
            "Set LT4REC_HOME to a folder that is yours."
        ) from error
