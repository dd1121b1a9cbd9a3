"""Great Expectations over DuckDB: one silent context and one in-memory database per process.

Great Expectations has no DuckDB source of its own and reaches one through duckdb-sqlalchemy. The context is
kept between audits (making it costs as much as an audit), is ephemeral and leaves no files.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationSuiteValidationResult

DATABASE = "duckdb:///:memory:lt4rec_audit"
"""A named in-memory database: every connection of this process to it sees the same tables."""

SCHEMAS = ("audited", "checks")
"""``audited.staged`` is the day under audit; ``checks.*`` is what the SQL checks found."""

_LOCK = threading.Lock()


class Engine:
    """A connection to fill, and suites validated over what it holds. Use it through ``session``."""

    def __init__(self) -> None:
        # Read when the package is first imported: say nothing to anybody.
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        with warnings.catch_warnings():
            # Its modules import what Python has deprecated; nothing here can change that.
            warnings.simplefilter("ignore", DeprecationWarning)
            import great_expectations as gx

        # It logs a traceback for each expectation that raises; the results carry it.
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
        context: Any = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        source = context.data_sources.add_sql(
            "lt4rec",
            connection_string=DATABASE,
            # DuckDB has no transaction to roll back when a pooled connection returns.
            kwargs={
                "isolation_level": "AUTOCOMMIT",
                "pool_reset_on_return": None,
                "skip_autocommit_rollback": True,
            },
        )
        self._pooled = source.get_engine().raw_connection()  # kept: the database lives as long as it
        # duplicate() reaches through the wrapper, whose own cursor() is not DuckDB's.
        self.con: duckdb.DuckDBPyConnection = self._pooled.driver_connection.duplicate()
        for statement in (
            "set threads = 2",
            "set enable_progress_bar = false",
            "set timezone = 'UTC'",
            # SQL must never reach a Python variable that happens to have a table's name.
            "set python_enable_replacements = false",
        ):
            self.con.execute(statement)
        asset = source.add_query_asset("staged", query="select * from audited.staged")
        self._batch = asset.add_batch_definition_whole_table("day")

    def validate(self, suite: "ExpectationSuite") -> "ExpectationSuiteValidationResult":
        """Judge ``audited.staged`` by a suite. An expectation that raises fails, and its result says why."""
        return self._batch.get_batch().validate(suite)


@cache
def _engine() -> Engine:
    return Engine()


@contextmanager
def session() -> Iterator[Engine]:
    """The process's engine with empty schemas, for one audit at a time; emptied again afterwards."""
    with _LOCK:
        engine = _engine()
        for schema in SCHEMAS:
            engine.con.execute(f"create or replace schema {schema}")
        try:
            yield engine
        finally:
            for schema in SCHEMAS:
                engine.con.execute(f"drop schema {schema} cascade")
