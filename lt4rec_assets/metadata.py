"""What the UI shows about a table or a model: schema, SQL, counts, versions, pictures."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from lt4rec_assets.project import Project
from lt4rec_core.data.dictionary import told
from lt4rec_core.data.lake import Lake, Published
from lt4rec_core.data.lineage import Origin
from lt4rec_core.data.sqlfile import SqlFile


def describe_table(table: SqlFile, lake: Lake) -> dict[str, Any]:
    """Metadata of the definition: what the table is, whether or not it has been materialised."""
    metadata: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name=column.name, type=column.type, description=told(column))
                for column in table.columns
            ]
        ),
        "dagster/table_name": table.table,
        "dagster/uri": lake.table_uri(table.table),
        "grain": table.grain,
        "key": ", ".join(table.key) or "none",
    }
    if table.compiled_sql:
        metadata["sql"] = dg.MetadataValue.md(f"```sql\n{table.compiled_sql}\n```")
    return metadata


def describe_published(
    project: Project, published: Published, read: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Metadata of one materialised partition: rows, Delta version, the versions it read, column lineage."""
    metadata: dict[str, Any] = {
        "dagster/row_count": published.n_rows,
        "dagster/partition_row_count": published.n_rows,
        "delta_version": published.version,
    }
    if read:
        metadata["read_delta_versions"] = dg.MetadataValue.json(dict(read))
    if project.tables[published.table].compiled_sql:
        table = published.table
        metadata |= unless_it_fails(
            "columns_come_from", lambda: describe_lineage(project, project.lineage(table))
        )
    return metadata


def unless_it_fails(name: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Metadata that only adorns: the day is right without it, so that what goes wrong here must not fail it.

    Where it goes wrong, the entry ``name`` says how.
    """
    try:
        return make()
    except Exception as error:
        return {name: f"unknown: {error}"}


def describe_lineage(project: Project, lineage: Mapping[str, Sequence[Origin]]) -> dict[str, Any]:
    """Which columns each column comes from: for Dagster's own view of lineage, and as a table to read.

    Dagster reads lineage from materialisations only, and its open-source UI keeps it to itself: hence the
    table.
    """
    deps = {
        column: [
            dg.TableColumnDep(asset_key=dg.AssetKey(table.split(".")), column_name=name)
            for table, name in origins
            if table in project.tables  # raw inputs are no assets, nor is a table that the source lacks
        ]
        for column, origins in lineage.items()
    }
    rows = [
        {"column": column, "comes from": ", ".join(f"{table}.{name}" for table, name in origins)}
        for column, origins in lineage.items()
    ]
    return {
        "dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps),
        "columns_come_from": markdown_table(rows),
    }


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Render rows as a table that stands inside the metadata; numbers get four significant digits."""
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Embed a PNG in the metadata itself, so that it shows wherever the UI runs."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def drawing(svg: str, alt: str) -> dg.MarkdownMetadataValue:
    """Embed an SVG picture likewise: as an image, so that nothing in it could run."""
    return dg.MetadataValue.md(
        f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
