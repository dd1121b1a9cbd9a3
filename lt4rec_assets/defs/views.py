"""Group ``views``: what analysts ask beside tables, shown with its columns; nothing is ever run for it."""

import hashlib

import dagster as dg

from lt4rec_assets.metadata import describe_table
from lt4rec_assets.project import MADE_BY, Project
from lt4rec_assets.tables import key_of
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sqlfile import SqlFile


def assets(project: Project) -> list[dg.AssetsDefinition]:
    """One external asset per file in ``sql/views``: it has a place in the graph, and no storage."""
    return [dg.AssetsDefinition(specs=[_view(project, file)]) for file in project.views]


def _view(project: Project, file: SqlFile) -> dg.AssetSpec:
    metadata = describe_table(file, Lake(project.settings.home))
    del metadata["dagster/uri"]
    made = {*project.tables, *(f.table for f in project.records)} - {"quality.check_history"}
    return dg.AssetSpec(
        key_of(file.table),
        deps=[
            key_of(MADE_BY.get(i.table, i.table).replace("/", ".")) for i in file.inputs if i.table in made
        ],
        group_name="views",
        description=f"{file.description}\n\nOne row is {file.grain}.",
        metadata=metadata,
        kinds={"duckdb", "view"},
        tags={"domain": file.table.partition(".")[0]},
        code_version=hashlib.sha256((file.compiled_sql or "").encode()).hexdigest()[:12],
    )


def _filled_by(table: str) -> dg.AssetKey:
    return key_of(MADE_BY.get(table, table).replace("/", "."))
