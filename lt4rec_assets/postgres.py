"""Dagster's records on PostgreSQL: runs, events and schedules of a home that ``LT4REC_POSTGRES`` was set for.

``dagster.yaml`` names the class below and nothing else, so that no address and no password stands in a file.
Whatever opens the records (web server, daemon, code location, ``lt4rec backfill``) reads the variable itself.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lt4rec_assets.settings import postgres_url
from lt4rec_core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import URL

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")
PATIENCE_SECONDS = 10
STORAGE = f"""
# Runs, events and schedules stand in the PostgreSQL database that LT4REC_POSTGRES names.
storage:
  custom:
    module: {__name__}
    class: PostgresRecords
# The daemon launches runs side by side; with SQLite it had better not.
run_queue:
  dequeue_use_threads: true
  dequeue_num_workers: 8
"""
"""What a home on PostgreSQL has in its ``dagster.yaml`` beside the template."""


def is_on_postgres(config: Any) -> bool:
    """Whether a parsed ``dagster.yaml`` keeps the records as :data:`STORAGE` says."""
    storage = config.get("storage") if isinstance(config, dict) else None
    custom = storage.get("custom") if isinstance(storage, dict) else None
    return isinstance(custom, dict) and custom.get("module") == __name__


def read_url(text: str) -> "URL":
    """Read an address as libpq has them: what it leaves out stands in ``PG*`` or ``~/.pgpass``.

    Raises:
        ConfigError: it is none, or the extra is not installed. The message does not repeat the address.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        import dagster_postgres  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"LT4REC_POSTGRES is set, but dagster-postgres cannot be imported ({error}). "
            "Install the extra: pip install -c requirements.lock -e '.[postgres]'."
        ) from None
    with suppress(ArgumentError, ValueError):
        url = make_url(text)
        # A second @ is one of the password, and would send the rest of it out as the name of a server.
        if url.drivername in SCHEMES and "@" not in (url.host or ""):
            return url.set(drivername="postgresql+psycopg2")  # what SQLAlchemy takes by default is psycopg 3
    raise ConfigError(
        "LT4REC_POSTGRES is no address of a PostgreSQL database. Write it as "
        "postgresql://user@host:5432/dagster, with the password in PGPASSWORD or ~/.pgpass, "
        "or in the address with @ : / % as %40 %3A %2F %25."
    )


def reach(text: str) -> None:
    """Connect once, so that a server that is away is one clear line and not Dagster's pages of retries.

    Raises:
        ConfigError: the server does not answer or lets nobody in, or the address is none.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    url = read_url(text)
    options = {} if "connect_timeout" in url.query else {"connect_timeout": PATIENCE_SECONDS}
    try:
        with create_engine(url, poolclass=NullPool, connect_args=options).connect():
            pass
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise ConfigError(
            f"the PostgreSQL database of LT4REC_POSTGRES cannot be opened: {said}. "
            "See that the server runs, and that address, user and password are right "
            "(docs/OPERATIONS.md, Postgres)."
        ) from None


def __getattr__(name: str) -> Any:
    """``PostgresRecords``, made when Dagster asks for it: a home on SQLite needs no dagster-postgres."""
    if name != "PostgresRecords":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _records_class()


def _records_class() -> type:
    from dagster._serdes import ConfigurableClassData
    from dagster_postgres import DagsterPostgresStorage

    class PostgresRecords(DagsterPostgresStorage):
        """Dagster's own storage, with the address from the environment."""

        @classmethod
        def config_type(cls) -> dict[str, Any]:
            """Nothing is configured in the file."""
            return {}

        @classmethod
        def from_config_value(
            cls, inst_data: ConfigurableClassData | None, config_value: Any
        ) -> "PostgresRecords":
            """Make the storage.

            Raises:
                ConfigError: ``LT4REC_POSTGRES`` is not set, or no address.
            """
            text = postgres_url()
            if text is None:
                raise ConfigError(
                    "this home keeps Dagster's records on PostgreSQL, but LT4REC_POSTGRES is not set. "
                    "Set it for every process of this home (docs/OPERATIONS.md, Postgres)."
                )
            return cls(read_url(text).render_as_string(hide_password=False), inst_data=inst_data)

    globals()["PostgresRecords"] = PostgresRecords
    return PostgresRecords
