"""Dagster's records, SQLite files or a PostgreSQL database, kept open while a backfill runs in this process.

Dagster opens a connection, and to a file an engine, for every event that it writes or reads: 1,300 a day. In
a web server that is prudent; in a process that writes event after event it costs more than the events.
What is written, when it is committed and what other processes see stays as it is.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.runs import SqliteRunStorage
    from sqlalchemy import Connection, Engine

MOST_OPEN = 4
"""Files kept open: every run has one, and those of the runs before are not needed any more."""


class _Engines:
    """One engine per file, each with its connections open; the one unused for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[str, Engine] = OrderedDict()

    def of(self, url: str) -> "Engine":
        from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
        from sqlalchemy import create_engine

        if url not in self._open:
            # A pool gives a connection to one thread at a time, which is what SQLite asks for.
            options = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
            self._open[url] = create_engine(url, connect_args=options)
        self._open.move_to_end(url)
        if len(self._open) > self._most:
            self._open.popitem(last=False)[1].dispose()
        return self._open[url]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].dispose()


@contextmanager
def records_open(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep the connections of an instance's SQLite or PostgreSQL records; any other storage is left alone."""
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.runs import SqliteRunStorage

    events, runs = instance.event_log_storage, instance.run_storage
    with ExitStack() as stack:
        if type(events) is SqliteEventLogStorage:
            stack.enter_context(_events_open(events))
        if type(runs) is SqliteRunStorage:
            stack.enter_context(_runs_open(runs))
        for storage in (events, runs):
            if _is_postgres(storage):
                stack.enter_context(_pooled(storage))
        yield


def _is_postgres(storage: object) -> bool:
    if "dagster_postgres" not in sys.modules:  # an extra: who has no such storage need not have it
        return False
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    return type(storage) in (PostgresEventLogStorage, PostgresRunStorage)


@contextmanager
def _pooled(storage: Any) -> Iterator[None]:
    """Dagster's engine makes a connection each time; this one keeps it while it lives."""
    from dagster_postgres.utils import create_pg_engine

    given = storage._engine
    kept = create_pg_engine(
        storage.postgres_url, storage._token_provider, isolation_level="AUTOCOMMIT", pool_pre_ping=True
    )
    storage._engine = kept
    try:
        yield
    finally:
        storage._engine = given
        kept.dispose()


def _events_open(storage: "SqliteEventLogStorage") -> AbstractContextManager[None]:
    engines = _Engines(MOST_OPEN)

    @contextmanager
    def connect(shard: str) -> Iterator["Connection"]:
        with storage._db_lock:  # as Dagster's own: one connection at a time
            engine = engines.of(storage.conn_string_for_shard(shard))
            if shard not in storage._initialized_dbs:
                storage._initdb(engine)
                storage._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    return _instead(storage, "_connect", connect, engines)


def _runs_open(storage: "SqliteRunStorage") -> AbstractContextManager[None]:
    engines = _Engines(1)

    @contextmanager
    def connect() -> Iterator["Connection"]:
        with engines.of(storage._conn_string).connect() as connection, connection.begin():
            yield connection

    return _instead(storage, "connect", connect, engines)


@contextmanager
def _instead(storage: object, name: str, connect: object, engines: _Engines) -> Iterator[None]:
    setattr(storage, name, connect)
    try:
        yield
    finally:
        delattr(storage, name)
        engines.close()
