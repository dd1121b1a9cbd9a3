"""A delivery of three days in lt4rec's own columns, small enough to count by hand."""

from datetime import date
from pathlib import Path

import pytest

from lt4rec_core.data.source_check import check_source
from lt4rec_core.data.sources import load_source

SQL = Path(__file__).parents[4] / "sql"
DAY = date(2026, 3, 2)
PARAMS = {"time_zone": "UTC", "prior_strength": 10, "history_length": 20, "conversion_threshold": 0.5}
SHOWN = {
    "dt": "2026-03-02", "occurred_at": "2026-03-02 12:00:00", "user_id": "ann", "video_id": "v1",
    "is_click": "true", "play_ms": "5000", "duration_ms": "10000",
}  # fmt: skip
NEXT = {"dt": "2026-03-03", "occurred_at": "2026-03-03 12:00:00"}
ROWS = [
    {},
    {"user_id": "bob", "is_click": "false", "play_ms": "0"},
    {"user_id": "bob", "video_id": "v2", "play_ms": "20000"},
    {**NEXT},
    {**NEXT, "user_id": "cat", "video_id": "v3", "is_click": "false", "play_ms": "1"},
]
"""Four of five fields as SHOWN; three clicks, with watch ratios 0.5, 1 (played twice) and 0.5."""


def csv(rows, columns=tuple(SHOWN)):
    """Text of a file; each row says only what differs from SHOWN."""
    lines = [columns, *([{**SHOWN, **row}[c] for c in columns] for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


@pytest.fixture
def deliver(tmp_path):
    """Write files below a source path."""

    def write(
        rows=ROWS, users="user_id\nann\nbob\n", videos="video_id,category\nv1,fun\nv2,news\n", **options
    ):
        texts = {"impressions/log.csv": rows, "users.csv": users, "videos.csv": videos}
        for name, text in texts.items():
            if text is not None:
                path = tmp_path / "logs" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                text = text if isinstance(text, str | bytes) else csv(text, **options)
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "logs"

    return write


@pytest.fixture
def check(deliver):
    """Check a delivery of the source ``custom``."""

    def run(*args, source="custom", days=(), sql_root=SQL, day=None, max_rows=None, limits=None, **files):
        return check_source(
            load_source(sql_root, source),
            sql_root,
            source_path=deliver(*args, **files),
            params=PARAMS,
            days=list(days),
            day=day,
            max_rows=max_rows,
            limits=limits,
        )

    return run
