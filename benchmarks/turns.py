"""Contestants that run in turn, each in a process of its own: what it needs is its own, memory included."""

import importlib
import multiprocessing
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.measure import measured


class Turn(NamedTuple):
    """What one turn took."""

    done: float
    """What the contestant says it did, for example samples."""
    cpu: float
    wall: float
    peak_mb: float
    """The process's resident memory at its highest during the turn."""


class Turns:
    """Processes that wait for their turn; leave the block to end them.

    Args:
        contestants: name to where its class is found (``module:Class``) and the class's arguments. It is
            made in its process and has a method ``run`` that returns what it did.
        here: make them all in this process, to show that they run.
    """

    def __init__(self, contestants: Mapping[str, tuple[str, Mapping[str, Any]]], here: bool = False) -> None:
        self._contestants, self._in_process = contestants, here
        self._here: dict[str, Any] = {}
        self._pipes: dict[str, Connection] = {}
        self._processes: list[Any] = []

    def __enter__(self) -> "Turns":
        if self._in_process:
            self._here = {name: _make(*found) for name, found in self._contestants.items()}
            return self
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch"])  # imported once, before anything runs
        for name, (where, arguments) in self._contestants.items():
            here, there = context.Pipe()
            process = context.Process(target=_wait_for_turns, args=(there, where, arguments), daemon=True)
            process.start()
            there.close()
            self._pipes[name] = here
            self._processes.append(process)
            self._answer(name)  # ready; one after the other, so that no turn meets another's start
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes.values():
            pipe.close()
        for process in self._processes:
            process.join(10)

    def turn(self, name: str) -> Turn:
        """Let one run while the others wait."""
        if name in self._here:
            return _take(self._here[name])
        self._pipes[name].send("run")
        return self._answer(name)

    def _answer(self, name: str) -> Any:
        try:
            return self._pipes[name].recv()
        except EOFError:
            raise SystemExit(f"{name} ended early; what it printed stands above.") from None


def _wait_for_turns(pipe: Connection, where: str, arguments: Mapping[str, Any]) -> None:
    contestant = _make(where, arguments)
    pipe.send("ready")
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(_take(contestant))


def _make(where: str, arguments: Mapping[str, Any]) -> Any:
    import torch

    torch.set_num_threads(1)
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)(**arguments)


def _take(contestant: Any) -> Turn:
    began = time.perf_counter()
    with measured() as span:
        done = contestant.run()
    return Turn(done, span.cpu, time.perf_counter() - began, span.peak_mb)
