"""What a request says of itself, encoded by the catalogue's own SQL, as in ``sql/training/samples.sql``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.duck import connect_scratch
from lt4rec_core.errors import ServingError

GIVEN = ("page", "occurred_at", "position", "duration_ms")
"""What a request may say; what it does not say is missing, and ``occurred_at`` is now."""


class ContextEncoder:
    """Context features of candidates. One DuckDB connection in memory, used by one thread at a time."""

    def __init__(self, catalogue: FeatureCatalogue, time_zone: str) -> None:
        """Compile the select list once; hours and weekdays are those of ``time_zone``."""
        self._columns = [f.column for f in catalogue.side("context")]
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
        n = len(duration_ms)
        try:
            rows = pa.table(
                {
                    "place": pa.array(range(n), pa.int32()),
                    "page": pa.array([_text(context.get("page"))] * n, pa.string()),
                    "position": pa.array([context.get("position")] * n, pa.int32()),
                    "occurred_at": pa.array([moment(context)] * n, pa.timestamp("us")),
                    "duration_ms": pa.array(duration_ms, pa.int64()),
                }
            )
        except (pa.ArrowException, TypeError) as error:
            raise ServingError(
                f"The context {dict(context)} cannot be read: {error}. "
                "page is text, position a whole number, duration_ms whole milliseconds."
            ) from error
        with self._lock:
            self._con.register("candidates", rows)
            found = self._con.execute(self._sql, {"time_zone": self._time_zone}).fetchnumpy()
        ids = np.empty((n, len(self._columns)), dtype=np.int32)
        for i, column in enumerate(self._columns):
            ids[:, i] = found[column]
        return ids


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


def _text(page: Any) -> str | None:
    return None if page is None else str(page)
