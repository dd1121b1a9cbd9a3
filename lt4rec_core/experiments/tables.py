"""The race's results as the lake keeps them, and which rows are complete."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from lt4rec_core.data.snapshot import arrow_schema
from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.experiments.comparison import Comparison
from lt4rec_core.experiments.records import Cell
from lt4rec_core.model.variants import VARIANTS


def complete_rows(cells: Iterable[Cell], n_seeds: int) -> list[Cell]:
    """The cells of rows that have all their seeds: only pairs can be compared."""
    by_row: dict[str, list[Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.variant, []).append(cell)
    return [cell for row in by_row.values() if len(row) == n_seeds for cell in row]


def comparison_rows(
    day: date, comparisons: Sequence[Comparison], cells: Sequence[Cell], **beside: Any
) -> list[dict[str, Any]]:
    """One mapping per row and metric, with the columns of ``sql/experiments``; what is NaN is None.

    Args:
        day: the last test day.
        comparisons: as ``compare`` gives them.
        cells: what was compared, for the densities.
        beside: further columns, the same in every row.
    """
    rows = []
    for found in comparisons:
        own = [cell.densities for cell in cells if cell.variant == found.variant]
        densities = {
            f"density_{task}": float(np.mean([d[task] for d in own])) if all(task in d for d in own) else None
            for task in ("ctr", "cvr")
        }
        plain = {name: None if value != value else value for name, value in asdict(found).items()}
        group = VARIANTS[found.variant].group
        rows.append({"dt": day, **beside, "variant_group": group, **plain, **densities})
    return rows


def rows_table(file: SqlFile, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows as a table of the header's columns, ordered by its key."""
    table = pa.Table.from_pylist(list(rows), schema=arrow_schema(file.columns))
    return table.sort_by([(name, "ascending") for name in file.key])
