"""Where training stands, in the run's log: a line every few seconds, and none for what is over at once."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lt4rec_core.training.trainer import Progress

EVERY_S = 5.0
"""A line is a row in Dagster's records: a training of an hour makes 720."""


class ProgressLog:
    """Says how far a training is, no more often than every few seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._say, self._clock = say, clock
        self._last = self._began = clock()
        self._before = 0

    def __call__(self, what: str, progress: "Progress", epochs: int = 1) -> None:
        """Take note of a step.

        Args:
            what: is trained, as ``"round 2 of 4"``.
            progress: samples done of all passes, and the losses so far.
            epochs: how many passes those are.
        """
        if progress.done < self._before:
            self._began = self._clock()  # the next network
        self._before = progress.done
        now = self._clock()
        if now - self._last < EVERY_S:
            return
        self._last = now
        seen = [f"{task} loss {loss.loss:.4f}" for task, loss in progress.losses.items() if loss.n]
        parts = [what, f"{progress.done:,} of {progress.total:,} samples", *seen]
        if epochs > 1:
            epoch = min(progress.done * epochs // progress.total + 1, epochs)
            parts.insert(1, f"epoch {epoch} of {epochs}")
        if now > self._began:
            parts.append(f"{progress.done / (now - self._began):,.0f} samples/s")
        self._say(", ".join(parts))
