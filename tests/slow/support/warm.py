"""``lt4rec`` in a process of its own that has its libraries already: forked from one that only imported them.

Importing takes longer than a small day's work, and fifty restarts would do little else.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

from support.homes import Home, Started, end_session, new_log

# torch and great_expectations come with the rooms that import them inside functions.
PRELOADED = [
    "lt4rec_assets.cli",
    "lt4rec_assets.definitions",
    "lt4rec_core.training.daily",
    "great_expectations",
]
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([*PRELOADED, __name__])


class WarmProcess:
    """What ``subprocess.Popen`` offers of a process and the tests need."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode


@contextmanager
def warm_process(home: Home, *arguments: str) -> Iterator[Started]:
    """As ``Home.process``: start ``lt4rec``, in a session of its own that is ended on leaving."""
    log = new_log(home)
    process = _server.Process(
        target=_run, args=(arguments, home.environment(), str(home.path.parent), str(log))
    )
    process.start()
    try:
        yield Started(WarmProcess(process), log)
    finally:
        with suppress(ProcessLookupError):
            process.kill()  # it may not lead its session yet
        end_session(WarmProcess(process))


def _run(arguments: tuple[str, ...], environment: dict[str, str], folder: str, log: str) -> None:
    os.setsid()
    for number, target in ((1, log), (2, log)):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    import torch

    from lt4rec_assets.cli import main

    torch.set_num_threads(1)
    sys.exit(main(arguments))
