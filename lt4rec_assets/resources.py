"""What assets open: the lake of tables and the store of models, both under one home."""

from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from lt4rec_assets.project import Project
from lt4rec_assets.provenance import tag_run
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.places import Place, place
from lt4rec_core.errors import LakeError

if TYPE_CHECKING:
    from lt4rec_core.training.store import ModelStore


_SEEN: set[Place] = set()


class _OfHome(dg.ConfigurableResource):
    """What both have: the home, and the tags of the runs that open them."""

    home: str = Field(
        description="The folder, or the place in a bucket, of LT4REC_HOME. Set there; one home, one data set."
    )
    run_tags: dict[str, str] = Field(
        default={}, description="Tags of every run that opens this: the git commit of the code, and the seed."
    )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Tag the run, whoever started it."""
        tag_run(context, self.run_tags)


class NothingInMemory(dg.IOManager):
    """Assets hand each other nothing: they read the lake and the store, and no value is ever pickled."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse: who reads a pickled value could not tell which day's it is, nor trust it.

        Raises:
            LakeError: always.
        """
        raise LakeError(
            f"{context.step_key} hands over a value ({type(obj).__name__}), but values go through the lake. "
            "Publish it there and return a MaterializeResult."
        )

    def load_input(self, context: dg.InputContext) -> object:
        """Refuse likewise.

        Raises:
            LakeError: always.
        """
        raise LakeError(
            f"{context.name!r} is asked for as a value in memory, but values go through the lake. "
            "Declare it with deps, and read the lake."
        )


def nothing_in_memory() -> dg.IOManagerDefinition:
    """Stands in the place of Dagster's own, which pickles."""
    return dg.IOManagerDefinition.hardcoded_io_manager(NothingInMemory(), NothingInMemory.__doc__)


class LakeResource(_OfHome):
    """The Delta tables under ``<home>/lake``; DuckDB reads them, nothing locks them."""

    def open(self, project: Project) -> Lake:
        """Open the lake; tables that are not there yet are created, all of them before any is written.

        A warm process looks once: what it has seen stays, for nobody removes a table.

        Raises:
            ConfigError: the home holds another data set.
            LakeError: the home cannot be written, or a table has other columns.
        """
        lake = Lake(self.home)
        if lake.root not in _SEEN or not lake.root.is_dir():
            project.claim_home()
            lake.create(project.lake_tables)
            _SEEN.add(lake.root)
        return lake


class ModelStoreResource(_OfHome):
    """Tickets and daily models under ``<home>/models``: safetensors and manifests, never pickle."""

    def open(self) -> "ModelStore":
        """Open the store: one per process, which keeps the newest models warm between days."""
        return _store(self.home)


@lru_cache(maxsize=1)
def _store(home: str) -> "ModelStore":
    from lt4rec_core.training.store import ModelStore  # PyTorch comes with it: not when definitions load

    return ModelStore(place(home))
