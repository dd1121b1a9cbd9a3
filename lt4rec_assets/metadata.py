"""What the UI shows about a table or a model: schema, SQL, counts, versions, pictures."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from lt4rec_core.data.lake import Lake, Published
from lt4rec_core.data.sqlfile import SqlFile


def describe_table(table: SqlFile, lake: Lake) -> dict[str, Any]:
    """Metadata of the definition: what the table is, whether or not it has been materialised."""
    metadata: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name=column.name, type=column.type, description=column.description)
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


def describe_published(published: Published, read: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Metadata of one materialised partition: rows, Delta version, and the versions it read."""
    metadata: dict[str, Any] = {
        "dagster/row_count": published.n_rows,
        "dagster/partition_row_count": published.n_rows,
        "delta_version": published.version,
    }
    if read:
        metadata["read_delta_versions"] = dg.MetadataValue.json(dict(read))
    return metadata


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


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
