"""What shapes the graph, read from the environment once; what only tunes learning, from ``lt4rec.toml``.

``.env`` in the working directory is honoured, as Dagster does; a variable that is set wins over it.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from lt4rec_assets.cluster_settings import RayConfig, ray_address
from lt4rec_core.config import check, from_mapping
from lt4rec_core.data.places import Place, is_remote, place, working_folder
from lt4rec_core.data.sources import is_path, load_source
from lt4rec_core.errors import ConfigError, StoreError
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.quality.thresholds import Thresholds
from lt4rec_core.serving.settings import ServingConfig

SQL_ROOT = Path(__file__).resolve().parent.parent / "sql"
"""The SQL files stand beside the packages, at the top of the checkout."""

LEARNING_TABLES = ("network", "training", "pruning")
SAMPLE_DEFAULTS: Mapping[str, Any] = {
    "conversion_threshold": 0.5,
    "prior_strength": 10,
    "history_length": 20,
}
"""Parameters of the SQL files; ``[samples]`` in ``lt4rec.toml`` overrides them."""


@dataclass(frozen=True, kw_only=True)
class Automation:
    """``[automation]`` of ``lt4rec.toml``: when things happen by themselves, once they are switched on."""

    daily_at: str = "04:00"
    """When yesterday's logs are complete, in the source's time zone."""

    retention_days: int = 30
    """How long a version that was replaced can still be read before a vacuum may remove it."""

    cited_days: int = 90
    """How long the versions that a day's models were trained on are kept beyond that."""

    def __post_init__(self) -> None:
        check(
            re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", str(self.daily_at)) is not None,
            f"daily_at is {self.daily_at!r}, which is no time of day. Write it as 04:00.",
        )
        for name, least in (("retention_days", 7), ("cited_days", 0)):
            value = getattr(self, name)
            check(
                isinstance(value, int) and not isinstance(value, bool) and value >= least,
                f"{name} is a number of days, at least {least}, got {value!r}. "
                "A backfill or an analyst may still be reading what was replaced.",
            )

    @property
    def cron(self) -> str:
        """``daily_at`` as cron has it."""
        hour, minute = self.daily_at.split(":")
        return f"{int(minute)} {int(hour)} * * *"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """``[operation]`` of ``lt4rec.toml``: who looks after this home."""

    owners: tuple[str, ...] = ()
    """Mail addresses, or teams as ``team:recommendation``; they stand on every asset."""

    def __post_init__(self) -> None:
        check(
            isinstance(self.owners, tuple) and all(isinstance(o, str) for o in self.owners),
            f'owners is {self.owners!r}, which is no list of texts. Write it as ["team:recommendation"].',
        )
        for owner in self.owners:
            check(
                re.fullmatch(r"team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner) is not None,
                f"owner {owner!r} is neither a mail address nor a team. Write a team as team:recommendation.",
            )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is fixed for one home. One home holds one data set."""

    home: Place
    """Lake, models, reports: a folder, or ``s3://bucket/prefix``."""

    source: str = "simulator"
    """Name of a folder in ``sql/sources``, or the path of one elsewhere."""

    source_path: Path | None = None
    """Where the files of the source lie; a generated source needs none."""

    start: date
    """First partition, inclusive, in the source's time zone."""

    end: date | None = None
    """Last partition, inclusive; None: up to yesterday, growing by one each day."""

    ticket_days: int = 7
    """Length of the ticket window from ``start``; its last day validates."""

    tasks: tuple[str, ...] = ("ctr", "cvr")
    """Tasks trained side by side; each gets a ticket of its own."""

    sql_root: Path = SQL_ROOT

    samples: Mapping[str, Any] = field(default_factory=lambda: dict(SAMPLE_DEFAULTS))
    """Values bound to the parameters of the SQL files."""

    quality: Thresholds = field(default_factory=Thresholds)
    """``[quality]`` of ``lt4rec.toml``: how far a day may stray before a check says so."""

    automation: Automation = field(default_factory=Automation)

    operation: Operation = field(default_factory=Operation)

    serving: ServingConfig = field(default_factory=ServingConfig)
    """``[serving]`` of ``lt4rec.toml``: when a ranker goes into use."""

    learning: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``[network]``, ``[training]`` and ``[pruning]`` of ``lt4rec.toml``, as written there."""

    generator: Mapping[str, Any] = field(default_factory=dict)
    """``[source]`` of ``lt4rec.toml``: settings of a generated source, over its defaults."""

    experiments: Mapping[str, Any] = field(default_factory=dict)
    """``[experiments]`` of ``lt4rec.toml``, as written there: the race for Table 2."""

    ray_address: str | None = None
    """``LT4REC_RAY``: the cluster that computes cells, tickets and large days; None: there is none."""

    ray: RayConfig = field(default_factory=RayConfig)
    """``[ray]`` of ``lt4rec.toml``: what is reserved there."""

    def __post_init__(self) -> None:
        if self.ticket_days < 2:
            raise ConfigError(
                f"LT4REC_TICKET_DAYS is {self.ticket_days}, but at least 2 days are needed: "
                "the last day of the ticket window validates, those before it train."
            )
        if self.end is not None and self.end < self.start:
            raise ConfigError(
                f"LT4REC_END ({self.end}) lies before LT4REC_START ({self.start}). "
                "Both are inclusive days in the source's time zone."
            )
        length = self.samples["history_length"]
        check(
            isinstance(length, int) and not isinstance(length, bool) and length >= 1,
            f"history_length is {length!r}, which is no number of clicked videos from 1 on. "
            f"Look at [samples] in {self.home / 'lt4rec.toml'}.",
        )

    @property
    def ticket_window(self) -> list[date]:
        """The days tickets are found on: all but the last train, the last validates."""
        return [self.start + timedelta(days=i) for i in range(self.ticket_days)]


def dagster_home(home: Place) -> Path:
    """Where Dagster keeps its records unless ``DAGSTER_HOME`` says otherwise."""
    return Path(os.environ.get("DAGSTER_HOME") or working_folder(home) / "dagster").resolve()


def read_settings(
    env: Mapping[str, str] | None = None, ignore: Collection[str] = (), start: date | None = None
) -> Settings:
    """Read the settings from the environment (and ``.env``) and from ``lt4rec.toml`` in the home.

    Args:
        env: read these variables instead.
        ignore: variables to read as if they were not set.
        start: the first day where neither LT4REC_START nor the source names one; None: that is an error.

    Raises:
        ConfigError: a value cannot be read, a required one is missing, or a name is unknown.
    """
    env = _environment() if env is None else env
    env = {name: value for name, value in env.items() if name not in ignore}
    home = _home(env)
    source = env.get("LT4REC_SOURCE") or "simulator"
    source = str(Path(source).resolve()) if is_path(source) else source
    path = env.get("LT4REC_SOURCE_PATH")
    first, last = _days(env, source, start)
    toml = read_toml(home / "lt4rec.toml")
    return Settings(
        home=home,
        source=source,
        source_path=Path(path).resolve() if path else None,
        start=first,
        end=last,
        ticket_days=_whole_number(env, "LT4REC_TICKET_DAYS", 7),
        tasks=_tasks(env.get("LT4REC_TASKS") or "ctr,cvr"),
        samples={**SAMPLE_DEFAULTS, **_known(toml, "samples", SAMPLE_DEFAULTS, home)},
        quality=from_mapping(
            Thresholds, toml.get("quality", {}), where=f"[quality] in {home / 'lt4rec.toml'}"
        ),
        automation=from_mapping(
            Automation, toml.get("automation", {}), where=f"[automation] in {home / 'lt4rec.toml'}"
        ),
        operation=from_mapping(
            Operation, toml.get("operation", {}), where=f"[operation] in {home / 'lt4rec.toml'}"
        ),
        serving=from_mapping(
            ServingConfig, toml.get("serving", {}), where=f"[serving] in {home / 'lt4rec.toml'}"
        ),
        learning={name: toml.get(name, {}) for name in LEARNING_TABLES},
        generator=toml.get("source", {}),
        experiments=toml.get("experiments", {}),
        ray_address=ray_address(env),
        ray=from_mapping(RayConfig, toml.get("ray", {}), where=f"[ray] in {home / 'lt4rec.toml'}"),
    )


def webhook_url(env: Mapping[str, str] | None = None) -> str | None:
    """Where failures are posted. It may hold a secret: it stands in the environment only, and nowhere else.

    Raises:
        ConfigError: it is no http or https address. The message does not repeat it.
    """
    env = _environment() if env is None else env
    url = (env.get("LT4REC_WEBHOOK_URL") or "").strip()
    if url and not re.match(r"https?://[^/\s]+", url, re.IGNORECASE):
        raise ConfigError("LT4REC_WEBHOOK_URL is no http:// or https:// address. Correct or unset it.")
    return url or None


def postgres_url(env: Mapping[str, str] | None = None) -> str | None:
    """Where Dagster's records stand, if not in SQLite files. It may hold a password, as the webhook may."""
    env = _environment() if env is None else env
    return (env.get("LT4REC_POSTGRES") or "").strip() or None


def read_toml(path: Place) -> dict[str, Any]:
    """Read ``lt4rec.toml``; a home without one has the defaults.

    Raises:
        ConfigError: it is not TOML, or has a table that nobody reads.
    """
    try:
        toml = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except StoreError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}.") from error
    known = {
        *LEARNING_TABLES, "automation", "experiments", "operation", "quality", "ray", "samples", "serving",
        "source",
    }  # fmt: skip
    if unknown := sorted(set(toml) - known):
        raise ConfigError(
            f"{path} has the unknown tables {', '.join(unknown)}. Known are {', '.join(sorted(known))}."
        )
    for name, table in toml.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} is {table!r}, but should be a table, [{name}].")
    return toml


def _environment() -> Mapping[str, str]:
    from dotenv import dotenv_values

    from_file = {k: v for k, v in dotenv_values(Path.cwd() / ".env").items() if v is not None}
    return {**from_file, **os.environ}


def _home(env: Mapping[str, str]) -> Place:
    """Where LT4REC_HOME says. What reads a bucket knows this process's environment, and no ``.env``."""
    text = (env.get("LT4REC_HOME") or ".lt4rec").strip()
    if not is_remote(text):
        return Path(text).resolve()
    for name, value in env.items():
        if name.startswith("AWS_") or name == "LT4REC_LOCAL":  # from .env: what is set already wins
            os.environ.setdefault(name, value)
    return place(text)


def _days(env: Mapping[str, str], source: str, start: date | None) -> tuple[date, date | None]:
    first, last = (optional_day(name, env.get(name) or "") for name in ("LT4REC_START", "LT4REC_END"))
    if first is not None:
        return first, last
    default = load_source(SQL_ROOT, source).default_days
    if default is None and start is not None:
        return start, last
    if default is None:
        raise ConfigError(
            f"LT4REC_START is not set, and the source {source!r} has no first day of its own. "
            "Set it to the first day of the logs, as in LT4REC_START=2022-04-25."
        )
    return default[0], last or default[1]


def optional_day(name: str, text: str) -> date | None:
    """Read a day written as 2022-04-25; an empty text is None.

    Raises:
        ConfigError: it is neither.
    """
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{name} is {text!r}, which is not a day. Write it as 2022-04-25.") from None


def _whole_number(env: Mapping[str, str], name: str, default: int) -> int:
    text = (env.get(name) or "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise ConfigError(f"{name} is {text!r}, which is not a whole number.") from None


def _tasks(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    get_tasks(names)
    if not {"ctr", "cvr"} <= set(names):
        raise ConfigError(
            f"LT4REC_TASKS is {text!r}, but ctr and cvr are always trained. Add others beside them."
        )
    return names


def _known(toml: Mapping[str, Any], table: str, known: Mapping[str, Any], home: Place) -> Mapping[str, Any]:
    given: dict[str, Any] = toml.get(table, {})
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(
            f"{home / 'lt4rec.toml'}: [{table}] has the unknown settings {', '.join(unknown)}. "
            f"Known are {', '.join(sorted(known))}."
        )
    return given
