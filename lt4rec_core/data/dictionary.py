"""The data dictionary: what each table and view is, and each of its columns, as the SQL files' headers say.

The headers are the one place where this is written down; the UI, ``docs/TABLES.md`` and
``lt4rec sql --describe`` show what is here. Units follow from names and types, which are kept uniform.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

import pyarrow as pa

from lt4rec_core.catalogue import Column
from lt4rec_core.data.sqlfile import SqlFile

_UNITS = (
    (r"timestamp", r".*", "UTC"),
    (r"bigint", r".*_ms", "ms"),
    (r"bigint", r".*_millionths", "millionths"),
    (r"integer|bigint", r".*_days", "days"),
    (r"integer|bigint", r"n|n_.*|.*_count", "count"),
    (r"double", r"p_.*", "probability"),
    (r"double", r"(.*_)?view_time", "s"),
    (
        r"double",
        r"(.*_)?(ratio|rate|share|density|sparsity|surplus|relative|too_high_by|gap_closed|jaccard)(_.*)?",
        "share",
    ),
)
"""What a column of this type and name counts in; the first that fits."""


def unit_of(column: Column) -> str:
    """What the values of a column count in, as in ``ms``; empty for names, flags, days and metrics."""
    fits = (u for t, n, u in _UNITS if re.fullmatch(t, column.type) and re.fullmatch(n, column.name))
    return next(fits, "")


def told(column: Column) -> str:
    """Its description, and its unit where it has one: ``how long it played [ms]``."""
    unit = unit_of(column)
    return f"{column.description} [{unit}]" if unit else column.description


def kind_of(file: SqlFile) -> str:
    """``view`` or ``table``."""
    return "view" if file.is_view else "table"


def overview(files: Iterable[SqlFile], width: int) -> str:
    """Every table and view in a sentence, group by group, in lines of at most ``width`` characters."""
    lines, files = list[str](), sorted(files, key=lambda file: file.table)
    margin = max(len(file.table) for file in files) + 2
    for group, members in groupby(files, key=lambda file: file.table.partition(".")[0]):
        lines += ["", group]
        for file in members:
            what = f"{'view: ' if file.is_view else ''}{first_sentence(file.description)}"
            wrapped = textwrap.wrap(what, max(width - margin - 2, 30), break_long_words=False)
            lines.append(f"  {file.table:<{margin}}{wrapped[0]}")
            lines += [" " * (margin + 2) + more for more in wrapped[1:]]
    return "\n".join(lines[1:])


def columns(files: Iterable[SqlFile]) -> pa.Table:
    """One row per column of every table and view: name, type, unit, description."""
    rows = [
        {
            "table": file.table,
            "column": column.name,
            "type": column.type,
            "unit": unit_of(column) or None,
            "description": column.description,
        }
        for file in files
        for column in file.columns
    ]
    return pa.Table.from_pylist(rows)


def first_sentence(text: str) -> str:
    """``What was clicked.`` of a description in several lines."""
    found = re.match(r".*?\.(?=\s|$)", " ".join(text.split()))
    return found[0] if found else " ".join(text.split())


def as_text(file: SqlFile) -> str:
    """One table or view, to read on a terminal."""
    rows = [("column", "type", "unit", "description")]
    rows += [(c.name, c.type, unit_of(c), c.description) for c in file.columns]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{file.table}, a {kind_of(file)}", *file.description.splitlines(), ""]
    lines += [f"one row is  {file.grain}", f"key         {', '.join(file.key) or 'none, rows may repeat'}"]
    if file.inputs:
        read = "reads" if file.is_view else "made from"
        lines.append(f"{read:<12}{', '.join(i.table for i in file.inputs)}")
    lines.append("")
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
    return "\n".join(lines)


def as_markdown(file: SqlFile) -> str:
    """One table or view, as a section of a page."""
    lines = [f"### `{file.table}`", "", *_escaped(file.description).splitlines(), ""]
    key = ", ".join(f"`{name}`" for name in file.key) or "none, rows may repeat"
    lines.append(f"A {kind_of(file)}. One row is {_escaped(file.grain)}. Key: {key}.")
    if file.inputs:
        read = "Reads" if file.is_view else "Made from"
        lines.append(f"{read} {', '.join(f'`{i.table}`' for i in file.inputs)}.")
    lines += ["", "| column | type | unit | what it is |", "|---|---|---|---|"]
    for c in file.columns:
        lines.append(f"| `{c.name}` | {c.type} | {unit_of(c)} | {_escaped(c.description)} |")
    return "\n".join([*lines, ""])


def matching(files: Sequence[SqlFile], pattern: str) -> list[SqlFile]:
    """The tables and views of a name, of a group, or of a pattern such as ``evaluation.*_over_time``."""
    wanted = re.compile(re.escape(pattern.lower()).replace(r"\*", ".*"))
    return [f for f in files if wanted.fullmatch(f.table) or f.table.partition(".")[0] == pattern.lower()]


def _escaped(text: str) -> str:
    return re.sub(r"([|<*_])", r"\\\1", text)
