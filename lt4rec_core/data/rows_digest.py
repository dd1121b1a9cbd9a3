"""A digest of the rows of a day: the same rows in the same order give it again, however they came in batches.

It depends on values alone, not on the bytes of a Parquet file, which change with the library that wrote them.
"""

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class RowsDigest:
    """SHA-256 over a stream of rows, column by column."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = ", ".join(f"{field.name} {field.type}" for field in schema)
        # Batches leave no trace: each of these sees one stream of values, whatever they came in.
        self._streams: dict[str, Any] = defaultdict(hashlib.sha256)
        self._n: dict[str, int] = defaultdict(int)

    def update(self, rows: pa.Table) -> None:
        """Add the next rows."""
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            for chunk in column.chunks:
                self._add(name, chunk)

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        parts = [f"{path} {stream.hexdigest()}" for path, stream in sorted(self._streams.items())]
        return hashlib.sha256("\n".join([self._schema, *parts]).encode()).hexdigest()

    def _add(self, path: str, values: pa.Array) -> None:
        """Where it is NULL, and what it is elsewhere; of texts and lists, how long and of what."""
        if values.null_count:
            nulls = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
            self._streams[f"{path}.nulls"].update((nulls + self._n[path]).astype(np.int64))
        self._n[path] += len(values)
        if pa.types.is_list(values.type):
            self._lengths(path, pc.list_value_length(values))
            self._add(f"{path}.items", values.flatten())
        elif pa.types.is_string(values.type):
            self._lengths(path, pc.binary_length(values))
            self._streams[path].update(_text(values))
        else:
            self._streams[path].update(_numbers(values))

    def _lengths(self, path: str, lengths: pa.Array) -> None:
        self._streams[f"{path}.lengths"].update(_numbers(lengths))


def _numbers(values: pa.Array) -> np.ndarray:
    """Numbers, times, days and booleans as they lie in memory, with 0 in place of NULL."""
    plain = pa.uint8() if pa.types.is_boolean(values.type) else values.type
    if pa.types.is_date32(values.type):
        plain = pa.int32()
    elif pa.types.is_timestamp(values.type):
        plain = pa.int64()
    return np.ascontiguousarray(pc.fill_null(values.cast(plain), 0).to_numpy(zero_copy_only=False))


def _text(values: pa.Array) -> memoryview:
    """All texts one after another; NULL is as empty as ''."""
    filled = pc.fill_null(values, "")
    _, offsets, data = filled.buffers()
    if data is None or not len(filled):
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[[filled.offset, filled.offset + len(filled)]]
    return memoryview(data)[ends[0] : ends[1]]
