"""From the day's log to model-ready samples in pandas: the same rows as the pipeline's, in the same order."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

KEY = ["user_id", "video_id", "occurred_at"]
FLAGS = ["is_like", "is_follow", "is_comment", "is_forward", "is_long_view"]
PRIOR, HISTORY = 10, 20
RATES = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7]
RATIOS = [0.3, 0.36, 0.42, 0.48, 0.52, 0.56, 0.6, 0.66, 0.72, 0.8]
SURPLUSES = [-0.12, -0.08, -0.05, -0.025, -0.01, 0.01, 0.025, 0.05, 0.08, 0.12]
COUNTS = [1, 5, 10, 20, 40, 80, 160, 320]
DURATIONS = [10_000, 20_000, 30_000, 40_000, 50_000, 65_000, 80_000, 100_000, 130_000, 170_000, 220_000]
DURATIONS += [300_000, 450_000, 700_000]
CATEGORIES = [
    "animals",
    "beauty",
    "comedy",
    "dance",
    "education",
    "film",
    "food",
    "games",
    "music",
    "news",
    "sports",
    "travel",
]
USER = {
    "age_bucket": ["12-17", "18-23", "24-30", "31-40", "41-49", "50+"],
    "gender": ["female", "male", "undisclosed"],
    "country": ["AR", "BR", "DE", "ID", "IN", "MX", "TR", "US"],
    "device": ["android_high", "android_low", "iphone", "tablet", "web"],
}


def run(home: Path, log: Path, day: date, out: Path) -> None:
    """Write the day's samples, and what tomorrow's features need of it, into ``out``."""
    import pandas as pd

    shown = _accepted(pd.read_parquet(log / "impressions.parquet"), day)
    clicks = shown.loc[shown["is_click"], [*KEY, "play_ms", "duration_ms", "watch_ratio", "is_converted"]]
    clicks.sort_values(KEY).to_parquet(out / "clicks.parquet", compression="zstd")
    watched = _watched(clicks)
    for entity in ("user", "video"):
        stats = _daily_stats(shown, watched, f"{entity}_id")
        stats.to_parquet(out / f"{entity}_daily_stats.parquet", compression="zstd")

    days = [day - timedelta(days=back) for back in range(1, 8)]
    users = _user_features(shown, pd.read_parquet(log / "users.parquet"), home / "lake", days, day)
    videos = _video_features(shown, pd.read_parquet(log / "videos.parquet"), home / "lake", days, day)
    samples = shown.merge(users, on="user_id", how="left").merge(videos, on="video_id", how="left")
    samples["f_page"] = _listed(samples["page"], ["feed", "discover", "follow", "search"])
    samples["f_position"] = _binned(samples["position"], [2, 3, 4, 5, 7, 9, 12, 16, 24])
    samples["f_duration"] = _binned(samples["duration_ms"], DURATIONS)
    samples["f_hour"] = (samples["occurred_at"].dt.hour + 1).astype("int32")
    samples["f_weekday"] = (samples["occurred_at"].dt.weekday + 1).astype("int32")
    samples = samples.drop(columns=["position", "play_ms"]).sort_values(KEY)
    samples.to_parquet(out / "samples.parquet", compression="zstd", index=False)


def _accepted(log: "pd.DataFrame", day: date) -> "pd.DataFrame":
    import pandas as pd

    log["occurred_at"] = pd.to_datetime(log.pop("time_ms"), unit="ms").astype("datetime64[us]")
    log = log.rename(columns={"date": "dt"})
    noon = pd.Timestamp(day) + pd.Timedelta(hours=12)
    near = (log["occurred_at"] - noon).abs() <= pd.Timedelta(hours=24)
    there = log[["user_id", "video_id", "is_click", "play_ms", "duration_ms"]].notna().all(axis=1)
    shown = log[near & there & (log["play_ms"] >= 0) & (log["duration_ms"] > 0)]
    # The longest play of a key stays.
    shown = shown.sort_values("play_ms", ascending=False, kind="stable").drop_duplicates(KEY).copy()
    shown["is_click"] = shown["is_click"].astype(bool)
    ratio = (shown["play_ms"] / shown["duration_ms"]).clip(upper=1.0)
    shown["watch_ratio"] = ratio.where(shown["is_click"])
    shown["is_converted"] = (ratio >= 0.5).astype("boolean").where(shown["is_click"])
    return shown


def _watched(clicks: "pd.DataFrame") -> "pd.DataFrame":
    import numpy as np

    watched = clicks[["user_id", "video_id", "is_converted"]].copy()
    watched["is_complete"] = clicks["watch_ratio"] == 1
    watched["play_ms"] = clicks[["play_ms", "duration_ms"]].min(axis=1)
    watched["millionths"] = (clicks["watch_ratio"] * 1_000_000).round().astype("int64")
    length = np.floor(2 * np.log2(clicks["duration_ms"].astype("float64")))
    grouped = watched["millionths"].groupby(length)
    watched["surplus"] = watched["millionths"] - grouped.transform("sum") // grouped.transform("count")
    return watched


def _daily_stats(shown: "pd.DataFrame", watched: "pd.DataFrame", key: str) -> "pd.DataFrame":
    stats = shown.groupby(key).agg(
        n_impressions=("is_click", "size"),
        n_clicks=("is_click", "sum"),
        n_likes=("is_like", "sum"),
        n_long_views=("is_long_view", "sum"),
    )
    clicked = watched.groupby(key).agg(
        n_watched=("millionths", "size"),
        n_conversions=("is_converted", "sum"),
        n_completes=("is_complete", "sum"),
        play_ms=("play_ms", "sum"),
        watch_ratio_millionths=("millionths", "sum"),
        watch_surplus_millionths=("surplus", "sum"),
    )
    return stats.join(clicked).fillna(0)


def _of_days(lake: Path, table: str, days: Sequence[date], columns: list[str]) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow.parquet as pq

    files = [file for day in days for file in sorted((lake / table / f"dt={day}").glob("*.parquet"))]
    parts = [pq.ParquetFile(file).read(columns).to_pandas() for file in files]
    return pd.concat(parts, ignore_index=True)


def _rates(shown: "pd.DataFrame", lake: Path, entity: str, days: Sequence[date]) -> "pd.DataFrame":
    """Per entity seen today: counts and rates of the days before, drawn towards everybody's."""
    import numpy as np

    sums = ["n_impressions", "n_clicks", "n_watched", "watch_ratio_millionths", "watch_surplus_millionths"]
    stats = _of_days(lake, f"features/{entity}_daily_stats", days, [f"{entity}_id", *sums])
    total = stats[sums].sum()
    click_rate = total["n_clicks"] / total["n_impressions"]
    watch_ratio = total["watch_ratio_millionths"] / total["n_watched"] / 1_000_000
    past = stats.groupby(f"{entity}_id")[sums].sum()
    past = past.reindex(shown[f"{entity}_id"].unique())
    known = past["n_watched"] + PRIOR
    known = known.where(past["n_watched"] > 0, np.nan)
    past["click_rate"] = (past["n_clicks"] + PRIOR * click_rate) / (past["n_impressions"] + PRIOR)
    past["watch_ratio"] = (past["watch_ratio_millionths"] / 1_000_000 + PRIOR * watch_ratio) / known
    past["watch_surplus"] = past["watch_surplus_millionths"] / 1_000_000 / known
    return past


def _features(past: "pd.DataFrame", entity: str) -> "pd.DataFrame":
    import pandas as pd

    made = pd.DataFrame(index=past.index)
    made[f"is_new_{entity}"] = past["n_impressions"].isna()
    made[f"f_{entity}_id"] = _hashed(past.index.to_series(), 50_000)
    made[f"f_{entity}_n_impressions"] = _binned(past["n_impressions"].fillna(0), COUNTS)
    made[f"f_{entity}_click_rate"] = _binned(past["click_rate"], RATES)
    made[f"f_{entity}_watch_ratio"] = _binned(past["watch_ratio"], RATIOS)
    made[f"f_{entity}_watch_surplus"] = _binned(past["watch_surplus"], SURPLUSES)
    return made


def _user_features(
    shown: "pd.DataFrame", users: "pd.DataFrame", lake: Path, days: Sequence[date], day: date
) -> "pd.DataFrame":
    import pandas as pd

    made = _features(_rates(shown, lake, "user", days), "user")
    about = users.set_index("user_id").reindex(made.index)
    for name, known in USER.items():
        made[f"f_{name}"] = _listed(about[name], known)
    tenure = (pd.Timestamp(day) - pd.to_datetime(about["joined_on"])).dt.days
    made["f_tenure"] = _binned(tenure, [2, 4, 7, 14, 28, 56])
    clicks = _of_days(lake, "samples/clicks", days, KEY)
    clicks = clicks[clicks["user_id"].isin(made.index)]
    clicks = clicks.sort_values(["user_id", "occurred_at", "video_id"], ascending=[True, False, True])
    clicks = clicks[clicks.groupby("user_id").cumcount() < HISTORY]
    clicks["bucket"] = _hashed(clicks["video_id"], 50_000)
    made["m_clicked_videos"] = clicks.groupby("user_id")["bucket"].agg(list).reindex(made.index)
    made["m_clicked_videos"] = _filled(made["m_clicked_videos"])
    return made


def _video_features(
    shown: "pd.DataFrame", videos: "pd.DataFrame", lake: Path, days: Sequence[date], day: date
) -> "pd.DataFrame":
    import pandas as pd

    made = _features(_rates(shown, lake, "video", days), "video")
    about = videos.set_index("video_id").reindex(made.index)
    made["f_author_id"] = _hashed(about["author_id"], 5_000)
    made["f_category"] = _listed(about["category"], CATEGORIES)
    tags = about["tags"].explode().dropna()
    made["m_tags"] = _hashed(tags, 1_000).groupby(level=0).agg(list).reindex(made.index)
    made["m_tags"] = _filled(made["m_tags"])
    made["f_title_style"] = _listed(about["title_style"], ["plain", "question", "sensational"])
    age = (pd.Timestamp(day) - pd.to_datetime(about["uploaded_on"])).dt.days
    made["f_upload_age"] = _binned(age, [2, 3, 5, 8, 14, 21, 30, 45])
    return made


def _hashed(values: "pd.Series", buckets: int) -> "pd.Series":
    """Each different text once."""
    known: dict[str, int] = {}
    md5: Callable[[bytes], Any] = hashlib.md5
    for text in values.dropna().unique():
        number = int.from_bytes(md5(text.encode()).digest()[8:], "little")
        known[text] = 1 + number % (buckets - 1)
    return values.map(known).fillna(0).astype("int32")


def _listed(values: "pd.Series", known: Sequence[str]) -> "pd.Series":
    numbers = {value: number for number, value in enumerate(known, start=1)}
    return values.map(numbers).fillna(len(known) + 1).where(values.notna(), 0).astype("int32")


def _binned(values: "pd.Series", edges: Sequence[float]) -> "pd.Series":
    import numpy as np
    import pandas as pd

    numbers = values.to_numpy("float64")
    bins = 1 + np.searchsorted(edges, numbers, side="right")
    return pd.Series(np.where(np.isnan(numbers), 0, bins), values.index).astype("int32")


def _filled(lists: "pd.Series") -> "pd.Series":
    return lists.map(lambda value: value if isinstance(value, list) else [])
