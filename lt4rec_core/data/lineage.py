"""Which columns of its inputs each column of a table is computed from, read from its SQL.

It follows values, not rows: what a column is selected from, through every CTE, but not what rows are joined,
filtered or grouped by. ``count(*)`` and constants come from no column. A field of a struct comes from what
was put into it, not from its neighbours.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lt4rec_core.data.sqlfile import SqlFile
from lt4rec_core.errors import SqlFileError

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

Origin = tuple[str, str]
"""(table, column): ``("samples.clicks", "user_id")``; a raw input of a source is ``raw.<name>``."""


def column_lineage(file: SqlFile, columns_of: Mapping[str, Iterable[str]]) -> dict[str, tuple[Origin, ...]]:
    """Say where each column of a table comes from.

    Args:
        file: the table's SQL file, compiled.
        columns_of: the columns of each table that it reads; those of raw inputs are in its header.

    Returns:
        Column -> the input columns its value is computed from, sorted; none for a constant. Every column of a
        table without a statement comes from nowhere.

    Raises:
        SqlFileError: the statement reads a column that no input has, or yields other columns than declared.
    """
    if file.compiled_sql is None:
        return {column.name: () for column in file.columns}
    # 50 ms that a process which materialises nothing need not pay
    import sqlglot
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    try:
        tree = sqlglot.parse_one(file.compiled_sql, dialect="duckdb")
        scope = build_scope(qualify(tree, schema=_schema(file, columns_of), dialect="duckdb"))
    except SqlglotError as error:
        raise SqlFileError(f"{file.path}: the lineage of {file.table} cannot be read: {error}.") from error
    names = [column.name for column in file.columns]
    if scope is None or _names(scope) != names:
        raise SqlFileError(
            f"{file.path}: the lineage of {file.table} cannot be read: its statement selects other columns "
            "than its header declares."
        )
    tracer = _Tracer()
    return {name: tuple(sorted(tracer.of_output(scope, name))) for name in names}


def _schema(file: SqlFile, columns_of: Mapping[str, Iterable[str]]) -> dict[str, object]:
    """What the statement sees, as sqlglot wants it; types do not matter here."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for given in file.inputs:
        group, name = given.table.split(".")
        known = given.columns if given.columns is not None else columns_of.get(given.table, ())
        names = known if given.is_raw else ("dt", *known)
        schema.setdefault(group, {})[name] = dict.fromkeys(names, "varchar")
    return dict(schema)


class _Tracer:
    """Walks from a selected column back to the tables, scope by scope (a SELECT, a CTE, a subquery)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, tuple[str, ...]], set[Origin]] = {}

    def of_output(self, scope: "Scope", name: str, fields: tuple[str, ...] = ()) -> set[Origin]:
        """What an output column of a scope comes from; of a struct only the field ``fields`` leads to."""
        key = (id(scope), name, fields)
        if key not in self._known:
            self._known[key] = set()  # a recursive CTE meets itself here
            self._known[key] = self._find(scope, name, fields)
        return self._known[key]

    def _find(self, scope: "Scope", name: str, fields: tuple[str, ...]) -> set[Origin]:
        from sqlglot import exp

        query = scope.expression
        if isinstance(query, exp.SetOperation):
            names, by_name = query.named_selects, query.args.get("by_name")
            return self._union(
                self.of_output(part, name if by_name else _names(part)[names.index(name)], fields)
                for part in scope.set_operation_scopes
            )
        if isinstance(query, exp.Query):
            return self._union(
                self._of(one, scope, fields) for one in query.selects if one.alias_or_name == name
            )
        # A table function: the rows of VALUES by position, whatever else as a whole.
        rows = query.find(exp.Values)
        position = list(scope.outer_columns).index(name) if name in scope.outer_columns else None
        if rows is None or position is None:
            return self._union(self._of(child, scope, ()) for child in query.iter_expressions())
        return self._union(self._of(row.expressions[position], scope, fields) for row in rows.expressions)

    def _of(self, node: "exp.Expr", scope: "Scope", fields: tuple[str, ...]) -> set[Origin]:
        """The origins of an expression within a scope."""
        from sqlglot import exp

        if isinstance(node, exp.Column):
            return self._of_column(node, scope, fields)
        if isinstance(node, exp.Dot):
            return self._of(node.this, scope, (node.expression.name, *fields))
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            inner = next(s for s in scope.subquery_scopes if s.expression is node)
            return self._union(self.of_output(inner, name, fields) for name in node.named_selects)
        if isinstance(node, exp.Struct) and fields:
            made = [e for e in node.expressions if e.name == fields[0]]
            return self._union(self._of(e.expression, scope, fields[1:]) for e in made)
        carries = (exp.Alias, exp.Array, exp.Explode, exp.Paren, exp.Subquery, exp.Unnest)
        inside = fields if isinstance(node, carries) else ()
        return self._union(self._of(child, scope, inside) for child in node.iter_expressions())

    def _of_column(self, column: "exp.Column", scope: "Scope", fields: tuple[str, ...]) -> set[Origin]:
        from sqlglot import exp

        within: Scope | None = scope
        while within is not None:
            source = within.sources.get(column.table)
            if isinstance(source, exp.Table):
                return {(f"{source.db}.{source.name}", column.name)}
            if source is not None:
                return self.of_output(source, column.name, fields)
            within = within.parent  # a correlated subquery, or a lateral join
        raise AssertionError(f"{column.sql()} was qualified, and no scope has its table")

    @staticmethod
    def _union(parts: "Iterable[set[Origin]]") -> set[Origin]:
        return set().union(*parts)


def _names(scope: "Scope") -> list[str]:
    """What a scope selects, in order."""
    query: Any = scope.expression
    return list(query.named_selects)
