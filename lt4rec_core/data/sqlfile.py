"""A ``.sql`` file: a header that declares one table, and the statement that yields one day of it.

The header is the only place where a table's grain, key, inputs, parameters and columns are written down;
assets, the lake and the gates read them here. The grammar, line by line::

    -- Free text until the first key: what the table is.
    -- grain:    one clicked impression
    -- key:      user_id, video_id                       or "none" where rows may repeat
    -- inputs:   a.b[0], a.c[-7..-1](x, y), source.truth[0]?, raw.log(x, y?)
    -- params:   $name, what it means                    one a line
    -- compiled: $fragment                               pieces of the select list made by the catalogue
    -- columns:
    --   dt      date     business day                   name, DuckDB type, description
    --   $fragment                                       that fragment's columns

A key's text may go on in following, more deeply indented comment lines.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lt4rec_core.catalogue import Column, Fragment
from lt4rec_core.errors import SqlFileError

__all__ = ["Column", "Fragment", "Input", "SqlFile", "read_sql_file"]

KEYS = ("grain", "key", "inputs", "params", "compiled", "columns")
TYPES = frozenset(
    {
        "boolean",
        "integer",
        "bigint",
        "double",
        "varchar",
        "date",
        "timestamp",
        "integer[]",
        "bigint[]",
        "varchar[]",
    }
)
"""Types that DuckDB, Arrow and Delta all keep unchanged."""

_COMMENT = re.compile(r"--(?P<indent>\s*)(?P<text>.*?)\s*$")
_KEY = re.compile(r"(?P<key>[a-z]+):(?:\s+(?P<text>.*))?$")
_INPUT = re.compile(
    r"(?P<table>[a-z]\w*\.[a-z]\w*)"
    r"(?:\[(?P<first>[+-]?\d+)(?:\.\.(?P<last>[+-]?\d+))?\])?"
    r"(?:\((?P<columns>[^()]*)\))?(?P<optional>\?)?"
)
_COLUMN = re.compile(r"(?P<name>[a-z_]\w*)\s+(?P<type>\S+)(?:\s+(?P<description>.*))?$")
_PARAM = re.compile(r"\$(?P<name>[a-z_]\w*)\s*(?:,\s*(?P<description>.*))?$")
# Text in which a $ means nothing: string literals, quoted names, comments.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<name>[a-zA-Z_]\w*)", re.DOTALL
)


@dataclass(frozen=True)
class Input:
    """A table that the statement may see, and how much of it."""

    table: str
    first: int | None = None
    """First day offset from the partition's day, inclusive; None (views, raw inputs): every day."""

    last: int | None = None
    columns: tuple[str, ...] | None = None
    """Only these columns, and ``dt``; None: all. Of a raw input: the columns its files must have."""

    optional: bool = False
    """A source may lack the table; the statement then sees it typed and empty."""

    optional_columns: tuple[str, ...] = ()
    """Raw inputs only: columns that the files may lack; the statement then sees NULL."""

    @property
    def is_raw(self) -> bool:
        """Whether it is a file of the source, not a table of the lake."""
        return self.table.startswith("raw.")


@dataclass(frozen=True)
class SqlFile:
    """One ``.sql`` file, read and checked."""

    path: Path
    table: str
    """``group.name``, from the folder and the file name."""

    description: str
    grain: str
    key: tuple[str, ...]
    """Empty where rows may repeat; they are then ordered by all columns."""

    inputs: tuple[Input, ...]
    params: Mapping[str, str]
    """Name to description; values are bound when it runs."""

    columns: tuple[Column, ...]
    statement: str | None
    """As written; None in a file that only declares a table that Python fills."""

    compiled_sql: str | None
    """With the catalogue's fragments in place: what DuckDB runs and the UI shows."""

    compiled: tuple[str, ...] = ()

    @property
    def is_view(self) -> bool:
        """Whether it is a view for analysts (``sql/views/``): it stores nothing."""
        return self.path.parent.parent.name == "views"

    @property
    def order(self) -> tuple[str, ...]:
        """The columns its rows are ordered by."""
        return self.key or tuple(c.name for c in self.columns)


def read_sql_file(
    path: str | Path, table: str | None = None, fragments: Mapping[str, Fragment] | None = None
) -> SqlFile:
    """Read a ``.sql`` file.

    Args:
        path: ``.../<group>/<name>.sql``; a file in ``sql/sources/<source>/`` is of group ``source``.
        table: ``group.name``, where the path does not tell it.
        fragments: the catalogue's (``FeatureCatalogue.fragments()``), for files that name some.

    Raises:
        SqlFileError: naming file, line and fault.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SqlFileError(
            f"cannot read {path}: {error}. Is it a UTF-8 text file that this user may read?"
        ) from error
    return _Reader(path, text, fragments or {}).read(table or table_name(path))


def table_name(path: Path) -> str:
    """``sql/samples/clicks.sql`` is samples.clicks, ``sql/sources/<any>/users.sql`` is source.users."""
    group = "source" if path.parent.parent.name == "sources" else path.parent.name
    return f"{group}.{path.stem}"


class _Reader:
    """Reads one file; holds where it is, so that every fault names its line."""

    def __init__(self, path: Path, text: str, fragments: Mapping[str, Fragment]) -> None:
        self.path, self.fragments = path, fragments
        lines = text.splitlines()
        n_header = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
        self.header, self.n_header = lines[:n_header], n_header
        self.statement = "\n".join(lines[n_header:]).strip() or None

    def fault(self, line: int, what: str) -> SqlFileError:
        return SqlFileError(f"{self.path}, line {line}: {what}")

    def read(self, table: str) -> SqlFile:
        description, sections = self._sections()
        for key in ("grain", "key", "columns"):
            if not sections.get(key):
                raise self.fault(1, f"the header has no {key!r}; it needs grain, key and columns")
        compiled = self._compiled(sections.get("compiled", []))
        columns = self._columns(sections["columns"], compiled)
        file = SqlFile(
            path=self.path,
            table=table,
            description=description,
            grain=" ".join(text for _, _, text in sections["grain"]),
            key=self._key(sections["key"], columns),
            inputs=self._inputs(sections.get("inputs", [])),
            params=self._params(sections.get("params", [])),
            columns=columns,
            statement=self.statement,
            compiled_sql=self._compile(compiled),
            compiled=compiled,
        )
        self._check_statement(file)
        return file

    def _sections(self) -> tuple[str, dict[str, list[tuple[int, int, str]]]]:
        """The description and, per key, its lines as (line number, indentation, text)."""
        about: list[str] = []
        sections: dict[str, list[tuple[int, int, str]]] = {}
        current: list[tuple[int, int, str]] | None = None
        for number, line in enumerate(self.header, start=1):
            comment = _COMMENT.match(line)
            indent, text = len(comment["indent"]), comment["text"]  # type: ignore[index]
            key = _KEY.match(text) if indent <= 1 else None
            if key and (key["key"] in KEYS or current is not None):
                if key["key"] not in KEYS:
                    raise self.fault(
                        number, f"unknown key {key['key']!r} in the header; known: {', '.join(KEYS)}"
                    )
                if key["key"] in sections:
                    raise self.fault(number, f"{key['key']!r} stands twice in the header")
                current = sections.setdefault(key["key"], [])
                if key["text"]:
                    current.append((number, 0, key["text"]))
            elif not text:
                continue
            elif current is None:
                about.append(text)
            elif indent <= 1:
                raise self.fault(number, f"{text!r} belongs to no key; indent it to continue the one above")
            else:
                current.append((number, indent, text))
        if not about:
            raise self.fault(1, "the header does not begin with a description of the table")
        return "\n".join(about), sections

    def _key(self, lines: list[tuple[int, int, str]], columns: tuple[Column, ...]) -> tuple[str, ...]:
        number, text = lines[0][0], " ".join(text for _, _, text in lines)
        if text == "none" or text.startswith(("none,", "none;")):
            return ()
        key = tuple(part.strip() for part in text.split(","))
        unknown = [name for name in key if name not in {c.name for c in columns}]
        if unknown:
            raise self.fault(number, f"key names {', '.join(unknown)}, which the columns do not declare")
        return key

    def _inputs(self, lines: list[tuple[int, int, str]]) -> tuple[Input, ...]:
        inputs: list[Input] = []
        # An input's columns may go on in the next line: join the lines first, find each part's line again.
        text = "\n".join(text for _, _, text in lines)
        for part in re.finditer(r"(?:\([^()]*\)|[^,()])+", text):
            if part[0].strip():
                start = part.start() + len(part[0]) - len(part[0].lstrip())
                number = lines[text.count("\n", 0, start)][0]
                found = self._input(number, " ".join(part[0].split()))
                if found.table in {i.table for i in inputs}:
                    raise self.fault(number, f"input {found.table} is named twice; widen its days instead")
                inputs.append(found)
        return tuple(inputs)

    def _input(self, number: int, text: str) -> Input:
        match = _INPUT.fullmatch(text)
        if not match:
            raise self.fault(
                number, f"cannot read the input {text!r}; write group.table[-7..-1](column, column)"
            )
        first = None if match["first"] is None else int(match["first"])
        last = first if match["last"] is None else int(match["last"])
        columns = None if match["columns"] is None else tuple(c.strip() for c in match["columns"].split(","))
        optional = tuple(c[:-1] for c in columns or () if c.endswith("?"))
        columns = None if columns is None else tuple(c.rstrip("?") for c in columns)
        if columns is not None and not all(re.fullmatch(r"[a-zA-Z_]\w*", c) for c in columns):
            raise self.fault(number, f"cannot read the columns of the input {text!r}")

        found = Input(match["table"], first, last, columns, bool(match["optional"]), optional)
        if found.is_raw and first is not None:
            raise self.fault(number, f"raw input {text!r} has no days; its files are what they are")
        if optional and not found.is_raw:
            raise self.fault(number, f"only a raw input may lack columns, got {text!r}")
        if not found.is_raw and first is None and self.path.parent.parent.name != "views":
            raise self.fault(
                number, f"input {text!r} does not say which days it sees; [0] is the partition's own"
            )
        if first is not None and last is not None and not first <= last <= 0:
            raise self.fault(number, f"the days of input {text!r} must ascend and end at 0 or before")
        return found

    def _params(self, lines: list[tuple[int, int, str]]) -> dict[str, str]:
        params: dict[str, str] = {}
        name = None
        for number, _, text in lines:
            match = _PARAM.match(text)
            if match:
                name = match["name"]
                if name in params:
                    raise self.fault(number, f"param ${name} is declared twice")
                params[name] = match["description"] or ""
            elif name is None:
                raise self.fault(number, f"cannot read the param {text!r}; write $name, what it means")
            else:
                params[name] = f"{params[name]} {text}".strip()
        return params

    def _compiled(self, lines: list[tuple[int, int, str]]) -> tuple[str, ...]:
        names = []
        for number, _, text in lines:
            for word in re.split(r"[,\s]+", text):
                name = word.removeprefix("$")
                if word == name or name not in self.fragments:
                    known = ", ".join(f"${f}" for f in self.fragments) or "none (was a catalogue given?)"
                    raise self.fault(number, f"unknown compiled fragment {word!r}; there are: {known}")
                names.append(name)
        return tuple(names)

    def _columns(self, lines: list[tuple[int, int, str]], compiled: tuple[str, ...]) -> tuple[Column, ...]:
        columns: list[Column] = []
        depth = lines[0][1]
        for number, indent, text in lines:
            if indent > depth and columns:
                last = columns.pop()
                columns.append(Column(last.name, last.type, f"{last.description} {text}".strip()))
            elif text.startswith("$"):
                if text[1:] not in compiled:
                    raise self.fault(number, f"column fragment {text} is not named under compiled:")
                columns += self.fragments[text[1:]].columns
            else:
                columns.append(self._column(number, text))
            names = [c.name for c in columns]
            repeated = {n for n in names if names.count(n) > 1}
            if repeated:
                raise self.fault(number, f"column {', '.join(sorted(repeated))} is declared twice")
        if columns[0].name != "dt" or columns[0].type != "date":
            raise self.fault(lines[0][0], f"the first column must be 'dt date', got '{columns[0].name}'")
        return tuple(columns)

    def _column(self, number: int, text: str) -> Column:
        match = _COLUMN.match(text)
        if not match:
            raise self.fault(number, f"cannot read the column {text!r}; write name, type, description")
        if match["type"] not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise self.fault(
                number, f"column {match['name']} has type {match['type']!r}; the lake keeps {known}"
            )
        return Column(match["name"], match["type"], match["description"] or "")

    def _compile(self, compiled: tuple[str, ...]) -> str | None:
        if self.statement is None:
            return None
        return _TOKEN.sub(
            lambda m: self.fragments[m["name"]].sql if m["name"] in compiled else m[0], self.statement
        )

    def _check_statement(self, file: SqlFile) -> None:
        if self.statement is None or file.compiled_sql is None:
            return
        line = self.n_header + 1
        used = {m["name"] for m in _TOKEN.finditer(self.statement) if m["name"]}
        declared = set(file.params) | set(file.compiled)
        for names, what in (
            (used - declared, "used but not declared"),
            (declared - used, "declared but not used"),
        ):
            if names:
                raise self.fault(line, f"{', '.join(f'${n}' for n in sorted(names))} {what} in the header")
        try:
            # By the module's connection, which only parses: a new one costs more than a hundred files.
            kinds = [s.type for s in duckdb.extract_statements(file.compiled_sql)]
        except duckdb.Error as error:
            raise self.fault(line, f"the statement does not parse: {error}") from error
        if kinds != [duckdb.StatementType.SELECT]:
            raise self.fault(line, f"the file must hold one SELECT, got {len(kinds)} statement(s)")
        self._check_order(file, line)

    def _check_order(self, file: SqlFile, line: int) -> None:
        """A view need not be ordered; a table's rows must be, or two runs write different files."""
        if file.is_view:
            return
        bare = _TOKEN.sub(lambda m: "" if m[0].startswith(("--", "/*")) else m[0], file.compiled_sql or "")
        wanted = ", ".join(file.key) or "all"
        found = " ".join(bare.lower().rpartition("order by")[2].strip().rstrip(";").split())
        if re.sub(r"\b\w+\.", "", found) != wanted:
            raise self.fault(line, f"the statement must end with 'order by {wanted}', its key")
