"""Where cells and tickets are computed: in this process or, where ``LT4REC_RAY`` says so, on a Ray cluster.

Dagster stays where it is: a run asks for what it wants, waits, and records it. A node of the cluster reads
and writes the home, which all of them share, and knows nothing of Dagster's records. Ray is imported only
where it is used.
"""

import hashlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
from pydantic import Field

from lt4rec_assets.project import Project
from lt4rec_assets.settings import Settings
from lt4rec_core.errors import ConfigError, Lt4recError, TrainingError

if TYPE_CHECKING:
    import ray

Say = Callable[[str], None]
Work = Callable[..., Any]
"""A function of ``cells.py``."""
Call = tuple[Any, ...]

PATIENCE_SECONDS = 10
CHECKOUT = Path(__file__).resolve().parent.parent


class Cluster(Protocol):
    """Somewhere to compute."""

    def each(
        self, project: Project, work: Work, calls: Sequence[Call], say: Say
    ) -> Iterator[tuple[Call, Any]]:
        """Every call with what came of it, in the order in which they end: a result or an error.

        One that fails takes no other along.
        """

    def train_together(self, project: Project) -> bool:
        """Whether several workers train a streamed day; then this process is connected to them."""


def one(cluster: Cluster, project: Project, work: Work, call: Call, say: Say) -> Any:
    """The result of a single call; its error is raised."""
    ((_, found),) = cluster.each(project, work, [call], say)
    if isinstance(found, Exception):
        raise found
    return found


class Here(dg.ConfigurableResource):
    """The run's own process computes, one call after the other."""

    address: str = Field(default="", description="Of a Ray cluster; LT4REC_RAY names none.")

    def each(
        self, project: Project, work: Work, calls: Sequence[Call], say: Say
    ) -> Iterator[tuple[Call, Any]]:
        """Every call with its result, or the error that was raised on purpose."""
        for call in calls:
            try:
                found = work(project, say, *call)
            except Lt4recError as error:
                found = error
            yield call, found

    def train_together(self, project: Project) -> bool:
        """There is this process alone."""
        return False


def cluster_of(settings: Settings) -> dg.ConfigurableResource:
    """The resource that assets compute with: the cluster of ``LT4REC_RAY``, or this process.

    Raises:
        ConfigError: the variable is set, but the extra is not installed.
    """
    if not settings.ray_address:
        return Here()
    try:
        import dagster_ray  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"LT4REC_RAY is set, but dagster-ray cannot be imported ({error}). "
            "Install the extra: pip install -c requirements.lock -e '.[ray]'."
        ) from None
    return _ray_class()(address=settings.ray_address)


@lru_cache(maxsize=1)
def _ray_class() -> type:
    from dagster_ray import RayResource

    class RayCluster(RayResource):  # type: ignore[misc,unused-ignore]
        """A Ray cluster that somebody else starts and ends; runs connect when they need it."""

        address: str = Field(description="Of the cluster's head, or auto. Set by LT4REC_RAY.")

        @property
        def host(self) -> str:
            return self.address.rpartition(":")[0] or self.address

        @property
        def name(self) -> str:
            return f"the Ray cluster at {self.address}"

        @property
        def ray_address(self) -> str:
            return self.address

        @property
        def created(self) -> bool:
            return True

        @property
        def ready(self) -> bool:
            return True

        @contextmanager
        def yield_for_execution(self, context: Any) -> Iterator[Any]:
            """Connect nowhere yet: a run whose ticket is found already need not, and says clearly why not."""
            try:
                yield self
            finally:
                if self.connected:
                    self.context.disconnect()
                    self._context = None

        def each(
            self, project: Project, work: Work, calls: Sequence[Call], say: Say
        ) -> Iterator[tuple[Call, Any]]:
            self.join(project)
            return side_by_side(project, work, calls, say)

        def train_together(self, project: Project) -> bool:
            if project.settings.ray.workers == 1:
                return False
            self.join(project)
            return True

        def join(self, project: Project) -> None:
            """Connect, unless this run is connected."""
            if self.connected:
                return
            reach(self.address)
            import ray

            handler = signal.getsignal(signal.SIGTERM)
            try:
                self._context = ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            except Exception as error:
                raise ConfigError(
                    f"the Ray cluster of LT4REC_RAY, {self.address}, cannot be joined: "
                    f"{str(error).strip().splitlines()[0]}. This machine must belong to it: "
                    f"ray start --address={self.address} --num-cpus=0 (docs/RAY.md)."
                ) from error
            if threading.current_thread() is threading.main_thread() and callable(handler):
                signal.signal(signal.SIGTERM, handler)  # Ray takes it over; a run that is ended is Dagster's
            need = project.settings.ray
            check_fits(need.cpus, need.memory_gb)

    return RayCluster


def reach(address: str) -> None:
    """See that a cluster answers: Ray itself would wait for minutes.

    Raises:
        ConfigError: nothing listens there.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"no Ray cluster answers at {address}, the address of LT4REC_RAY: {error}. Start it with "
            "ray start --head, or unset LT4REC_RAY to compute in this process (docs/RAY.md)."
        ) from None


def check_fits(cpus: int, memory_gb: float) -> None:
    """See that some node is large enough: what fits nowhere would wait for ever.

    Raises:
        ConfigError: none is.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    memory = memory_gb * 2**30
    if not any(node.get("CPU", 0) >= cpus and node.get("memory", 0) >= memory for node in nodes):
        largest = max((node.get("CPU", 0) for node in nodes), default=0)
        most = max((node.get("memory", 0) for node in nodes), default=0) / 2**30
        raise ConfigError(
            f"[ray] asks for {cpus} CPUs and {memory_gb:g} GiB at once, but the largest of the cluster's "
            f"{len(nodes)} nodes has {largest:g} CPUs and {most:.1f} GiB. Look at [ray] in lt4rec.toml and "
            "at `ray status`."
        )


def side_by_side(project: Project, work: Work, calls: Sequence[Call], say: Say) -> Iterator[tuple[Call, Any]]:
    """``each`` on the cluster that this process is connected to."""
    import ray

    tries: dict[Call, int] = {}
    running: dict[Any, Call] = {}

    def start(call: Call) -> None:
        tries[call] = tries.get(call, 0) + 1
        running[_submit(project.settings, work, call)] = call

    for call in calls:
        start(call)
    while running:
        ready, _ = ray.wait(list(running), num_returns=1)
        call = running[ready[0]]
        name = _name_of(call)
        try:
            kind, told = ray.get(next(ready[0]))
        except ray.exceptions.RayTaskError as error:
            kind, told = "done", error
        except ray.exceptions.RayError as error:  # the process or its node is gone, not the work wrong
            del running[ready[0]]
            if tries[call] <= project.settings.ray.retries:
                say(f"{name}: its process on the cluster died ({type(error).__name__}); begun again")
                start(call)
                continue
            yield call, _died(name, tries[call], error)
            continue
        if kind == "said":
            say(told if len(calls) == 1 else f"{name}: {told}")
            continue
        del running[ready[0]]
        yield call, told


def _died(name: str, n: int, error: Exception) -> TrainingError:
    first = str(error).strip().splitlines()[0]
    return TrainingError(
        f"{name}: its process on the cluster died {n} times, at last with {type(error).__name__}: {first}. "
        "If memory ran out, reserve what it needs with [ray] memory_gb; else look at the logs of Ray on that "
        "node."
    )


def _name_of(call: Call) -> str:
    return " ".join(str(value) for value in call)


def _submit(settings: Settings, work: Work, call: Call) -> "ray.ObjectRefGenerator":
    import ray

    need = settings.ray
    options: dict[str, Any] = {"num_cpus": need.cpus, "max_retries": 0, "num_returns": "streaming"}
    if need.memory_gb:
        options["memory"] = int(need.memory_gb * 2**30)
    task = ray.remote(at_node).options(name=f"lt4rec {work.__name__} {_name_of(call)}", **options)
    return task.remote(settings, code_digest(), work, call)


def at_node(settings: Settings, code: str, work: Work, call: Call) -> Iterator[tuple[str, Any]]:
    """Run at a node: what the work says while it goes on, then its result or error.

    The work runs in a thread of its own, so that what it says leaves at once.
    """
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def run() -> None:
        try:
            found = work(project_at_node(settings, code), lambda text: said.put(("said", text)), *call)
        except Exception as error:
            found = error if isinstance(error, Lt4recError | OSError) else _told(error)
        said.put(("done", found))

    threading.Thread(target=run, daemon=True).start()
    while True:
        kind, told = said.get()
        yield kind, told
        if kind == "done":
            return


def _told(error: Exception) -> RuntimeError:
    """An error that nobody meant, with where it came from: its class may not be known elsewhere."""
    import traceback

    return RuntimeError("".join(traceback.format_exception(error)))


def project_at_node(settings: Settings, code: str) -> Project:
    """The project of a home as a node sees it.

    Raises:
        ConfigError: the node has other code, or does not see the home.
    """
    node = socket.gethostname()
    if code_digest() != code:
        raise ConfigError(
            f"node {node} has other code than the machine that runs Dagster: {CHECKOUT} differs. Install the "
            "same version on every node, and start Ray there again."
        )
    if not (settings.home / "lake").is_dir():
        raise ConfigError(
            f"node {node} does not see {settings.home / 'lake'}. Every node must see LT4REC_HOME at the same "
            "path (docs/RAY.md)."
        )
    key = repr(settings)
    if key not in _PROJECTS:
        _PROJECTS[key] = Project.of(settings)
    return _PROJECTS[key]


_PROJECTS: dict[str, Project] = {}
"""Of this process, by settings."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of what decides a result: both packages and the SQL."""
    digest = hashlib.sha256()
    for folder, pattern in (("lt4rec_core", "*.py"), ("lt4rec_assets", "*.py"), ("sql", "*")):
        for path in sorted((CHECKOUT / folder).rglob(pattern)):
            if path.is_file():
                digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
