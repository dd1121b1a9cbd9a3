"""``docs/TABLES.md``, made from the headers of the SQL files: ``python -m lt4rec_assets.tables_page``."""

from itertools import groupby
from pathlib import Path

from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings
from lt4rec_core.data.dictionary import as_markdown, first_sentence

PAGE = Path(__file__).resolve().parent.parent / "docs" / "TABLES.md"
HEAD = """\
# Tables and views

What can be asked for with `lt4rec sql` and `lake.connect()` ([ANALYSTS.md](ANALYSTS.md)): every table and
view, and each of its columns. `make docs` writes this page from the headers of the files in `sql/`, the one
place where a column is described; the same descriptions stand in the UI and in `lt4rec sql --describe TABLE`.

Units follow from names: `_ms` are milliseconds, `_millionths` millionths, `n_` counts, `p_` probabilities;
`_ratio`, `_rate`, `share` and `density` are shares, from 0 to 1 unless the description says otherwise. Times
are UTC; `dt` is the business day of the source. Tables are partitioned by `dt`: a query that names its days
reads only these.

The tables of `source`, and the columns `f_` and `m_`, are those of the simulator here. With another source,
`lt4rec sql --describe` tells yours.
"""


def tables_page() -> str:
    """The page, for the default source."""
    project = Project.of(read_settings({"LT4REC_START": "2026-01-05"}))
    files = sorted(project.lake_tables, key=lambda file: file.table)
    lines = [HEAD]
    for file in files:
        view = " (view)" if file.is_view else ""
        lines.append(f"- [`{file.table}`](#{_anchor(file.table)}){view}: {_plain(file.description)}")
    for group, members in groupby(files, lambda file: file.table.partition(".")[0]):
        lines += ["", f"## {group}", "", "\n".join(as_markdown(f) for f in members).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _anchor(table: str) -> str:
    return table.replace(".", "")


def _plain(description: str) -> str:
    return first_sentence(description).replace("<", "\\<")


if __name__ == "__main__":
    PAGE.write_text(tables_page(), encoding="utf-8")
