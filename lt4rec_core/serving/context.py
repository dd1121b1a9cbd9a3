"""What a request says of itself, encoded by the catalogue's own SQL, as in ``sql/training/samples.sql``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.duck import connect_scratch
from lt4rec_core.errors import ServingError

GIVEN = ("page", "occurred_at", "position", "duration_ms")
"""What a request may say; what it does not say is missing, and ``occurred_at`` is now."""

REMEMBERED = 1_000_000
"""Requests, and lengths, whose features are remembered."""


class ContextEncoder:
    """Context features of candidates. SQL encodes what was not asked before; answers are remembered.

    A statement costs milliseconds, a ranking less than one. But pages, hours and lengths repeat: per request
    and per length nothing is encoded twice. Any number of threads may ask.
    """

    def __init__(self, catalogue: FeatureCatalogue, time_zone: str) -> None:
        """Compile the select list once; hours and weekdays are those of ``time_zone``."""
        features = catalogue.side("context")
        self._columns = [f.column for f in features]
        self._of_length = [i for i, f in enumerate(features) if f.input == "duration_ms"]
        self._sql = f"""
            with shown as (
                select
                    *,
                    timezone($time_zone, timezone('UTC', occurred_at)) as local_time,
                    extract(hour from local_time) as hour,
                    extract(isodow from local_time) as weekday
                from candidates
            )
            select {catalogue.fragments()["context_features"].sql}
            from shown
            order by place
        """
        self._time_zone = time_zone
        self._con = connect_scratch(threads=1)
        self._lock = Lock()
        self._requests: dict[tuple[Any, ...], np.ndarray] = {}
        self._lengths: dict[int | None, np.ndarray] = {}

    def __call__(self, context: Mapping[str, Any], duration_ms: Sequence[int | None]) -> np.ndarray:
        """Encode one request for candidates of these lengths.

        Args:
            context: ``page``, ``occurred_at`` (a datetime, UTC where it names no zone) and ``position``.
            duration_ms: per candidate its length, None where unknown.

        Returns:
            (n, context features) int32 bucket ids, in the catalogue's order.

        Raises:
            ServingError: an unknown key, or a value that cannot be read.
        """
        at = moment(context)
        at -= timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
        page, position = context.get("page"), context.get("position")
        request = (None if page is None else str(page), position, at)
        try:
            of_request = self._requests.get(request)
            if of_request is None:
                of_request = _bounded(self._requests)[request] = self._encode([request], [None])[0]
            of_length = {n: found for n in set(duration_ms) if (found := self._lengths.get(n)) is not None}
            if new := list(set(duration_ms) - set(of_length)):
                encoded = dict(zip(new, self._encode([request] * len(new), new), strict=True))
                of_length |= encoded
                _bounded(self._lengths).update(encoded)
        except (pa.ArrowException, TypeError) as error:
            raise ServingError(
                f"The context {dict(context)} cannot be read: {error}. "
                "page is text, position a whole number, duration_ms whole milliseconds."
            ) from error
        ids = np.tile(of_request, (len(duration_ms), 1))
        if len(duration_ms):
            lengths = np.array([of_length[n] for n in duration_ms])
            ids[:, self._of_length] = lengths[:, self._of_length]
        return ids

    def _encode(self, requests: Sequence[tuple[Any, ...]], duration_ms: Sequence[int | None]) -> np.ndarray:
        """Encode row by row, (n, context features)."""
        pages, positions, times = zip(*requests, strict=True)
        rows = pa.table(
            {
                "place": pa.array(range(len(requests)), pa.int32()),
                "page": pa.array(pages, pa.string()),
                "position": pa.array(positions, pa.int32()),
                "occurred_at": pa.array(times, pa.timestamp("us")),
                "duration_ms": pa.array(duration_ms, pa.int64()),
            }
        )
        with self._lock:
            self._con.register("candidates", rows)
            found = self._con.execute(self._sql, {"time_zone": self._time_zone}).fetchnumpy()
        return np.stack([found[column].astype(np.int32) for column in self._columns], axis=1)


def encoder_for(catalogue: FeatureCatalogue, time_zone: str) -> ContextEncoder:
    """The encoder of a catalogue, one for all rankers of a process: they ask the same of it."""
    name = (catalogue.digest, time_zone)
    if name not in _ENCODERS:
        _ENCODERS[name] = ContextEncoder(catalogue, time_zone)
    return _ENCODERS[name]


_ENCODERS: dict[tuple[str, str], ContextEncoder] = {}


def _bounded(remembered: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """What was asked stays, within bounds: then it begins anew."""
    if len(remembered) > REMEMBERED:
        remembered.clear()
    return remembered


def moment(context: Mapping[str, Any]) -> datetime:
    """When the request is made, UTC without saying so, as the logs have it.

    Raises:
        ServingError: it is no datetime, or the context says something that nobody reads.
    """
    if unknown := sorted(set(context) - set(GIVEN)):
        raise ServingError(
            f"The context says {', '.join(unknown)}, which nothing reads. It may say {', '.join(GIVEN)}."
        )
    at = context.get("occurred_at") or datetime.now(UTC)
    if not isinstance(at, datetime):
        raise ServingError(f"occurred_at is {at!r}. Give a datetime; without a time zone it is UTC.")
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
