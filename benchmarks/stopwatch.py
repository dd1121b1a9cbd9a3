"""Where CPU seconds go: functions are wrapped, and each second belongs to the innermost wrapped one."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.measure import cpu_seconds


class Stopwatch:
    """CPU seconds by label; what no label claims goes to ``rest``."""

    def __init__(self, rest: str) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._labels = [rest]
        self._since = cpu_seconds()

    def _book(self) -> None:
        now = cpu_seconds()
        self.seconds[self._labels[-1]] += now - self._since
        self._since = now

    def lap(self) -> dict[str, float]:
        """The seconds since the last lap."""
        self._book()
        seconds, self.seconds = self.seconds, defaultdict(float)
        return seconds

    @contextmanager
    def watching(self, label: str) -> Iterator[None]:
        """Book a block under a label."""
        self._book()
        self._labels.append(label)
        try:
            yield
        finally:
            self._book()
            self._labels.pop()

    def wrap(self, owner: Any, name: str, label: str) -> Any:
        """Return a patch that books every call of ``owner.name`` under a label; enter it to apply."""
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.watching(label):
                return function(*args, **kwargs)

        return patch.object(owner, name, timed)
