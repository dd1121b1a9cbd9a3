"""A tiny data set in KuaiRand's published file layout, one log file a day; made up, not taken from it."""

import csv
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

DAYS = [date(2022, 4, 25) + timedelta(days=i) for i in range(5)]
N_USERS, N_VIDEOS = 30, 50
ROWS_PER_DAY = 200

# fmt: off
LOG_COLUMNS = (
    "user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow", "is_comment",
    "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms", "profile_stay_time",
    "comment_stay_time", "is_profile_enter", "is_rand", "tab",
)
# fmt: on


def write_entities(folder: Path) -> None:
    """The users' and the videos' file."""
    users = (
        {
            "user_id": u,
            "user_active_degree": "full_active" if u % 3 else "high_active",
            "follow_user_num": 10 * u,
            "register_days": 100 + u,
            **{f"onehot_feat{i}": u % (i + 2) for i in range(18)},
        }
        for u in range(N_USERS)
    )
    videos = (
        {
            "video_id": v,
            "author_id": v // 3,
            "video_type": "NORMAL",
            "upload_dt": "2022-04-10",
            "upload_type": "LongImport",
            "server_width": 720,
            "server_height": 1280,
            "music_id": v,
            "music_type": 9,
            "tag": f"{v % 7},{v % 11}",
        }
        for v in range(N_VIDEOS)
    )
    _write(folder / "data" / "user_features_tiny.csv", users)
    _write(folder / "data" / "video_features_basic_tiny.csv", videos)


def write_day(folder: Path, day: date, *, bad: bool = False) -> None:
    """The log of a day. In a bad one no row has a duration, so that none can be accepted."""
    draw = random.Random(day.toordinal())
    _write(_log(folder, day), [_row(day, i, draw, bad) for i in range(ROWS_PER_DAY)])


def _log(folder: Path, day: date) -> Path:
    return folder / "data" / f"log_standard_{day:%m_%d}_tiny.csv"


def _row(day: date, i: int, draw: random.Random, bad: bool) -> dict[str, Any]:
    noon = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)  # in Beijing
    shown = noon + timedelta(seconds=draw.randrange(-6 * 3600, 6 * 3600), milliseconds=i)
    user, video = draw.randrange(N_USERS), draw.randrange(N_VIDEOS)
    duration = 5_000 + 1_000 * video
    click = draw.random() < (0.6 if user % 2 else 0.3)
    return {
        **dict.fromkeys(LOG_COLUMNS, 0),
        "user_id": user,
        "video_id": video,
        "date": f"{day:%Y%m%d}",
        "hourmin": "1200",
        "time_ms": int(shown.timestamp() * 1000),
        "is_click": int(click),
        "play_time_ms": int(duration * draw.random()) if click else 0,
        "duration_ms": 0 if bad else duration,
        "tab": 1,
    }


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Put the file in its place in one step, as a delivery does."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    with open(draft, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draft.replace(path)
