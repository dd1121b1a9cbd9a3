"""The generator as a source sees it: ``lt4rec_core.data.simulator.generate``."""

import hashlib
import time
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lt4rec_core.data.simulator import default_days, generate
from lt4rec_core.data.simulator.report import _clean
from lt4rec_core.data.simulator.world import make_world
from lt4rec_core.errors import ConfigError

DAY = date(2026, 1, 8)
SMALL = {"impressions_per_day": 2_000}

GOLDEN = {
    "impressions": "44e63eef8e2088c2903b84fa451d8101ed5962498111621a95617bc38374aa7e",
    "truth": "886ba2415d8997972a645f54e1d93fcc2ea5e8caf336a6e25e1a7f414c4f09f1",
    "users": "61ed1ccac74de0a87f9c38a45b780b376f6315089533f4f4c1d200b3defb9104",
    "videos": "5322cfe454f0166a7dfba2ba885f546e009dff5347e655fa4416e26f8e808a33",
}


def digest(table):
    """SHA-256 over names and values; floats count to the sixth decimal: the last bits of ``exp`` vary."""
    hashed = hashlib.sha256()
    for name in table.column_names:
        hashed.update(name.encode())
        column = table[name].combine_chunks()
        if pa.types.is_list(column.type):
            hashed.update(np.diff(column.offsets.to_numpy()).astype("<i8").tobytes())
            column = column.flatten()
        if pa.types.is_string(column.type):
            hashed.update("\0".join(column.to_pylist()).encode())
            continue
        hashed.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_floating(column.type):
            column = pc.cast(pc.round(pc.multiply(column, 1e6)), pa.int64())
        if pa.types.is_date(column.type):
            column = column.cast(pa.int32())
        values = pc.fill_null(column.cast(pa.int64()), 0)
        hashed.update(values.to_numpy().astype("<i8").tobytes())
    return hashed.hexdigest()


@pytest.fixture(scope="module")
def fortnight():
    """Accepted rows of the default days, with their truth."""
    first, last = default_days()
    days = [generate(first + timedelta(days=i), {}) for i in range((last - first).days + 1)]
    return pa.concat_tables([_clean(tables["impressions"], tables["truth"]) for tables in days])


def test_the_default_days_are_a_fortnight_from_a_monday():
    first, last = default_days()

    assert first.weekday() == 0
    assert (last - first).days == 13


def test_the_default_platform_is_frozen():
    """Models are compared on it. Who changes it on purpose measures docs/SOURCES.md anew, too."""
    tables = generate(DAY, SMALL)

    assert {name: digest(table) for name, table in tables.items()} == GOLDEN


def test_a_day_is_the_same_alone_and_after_others():
    alone = generate(DAY, SMALL)

    make_world.cache_clear()
    for other in (date(2026, 1, 12), date(2026, 1, 5)):
        generate(other, SMALL)

    again = generate(DAY, SMALL)
    assert all(again[name].equals(alone[name]) for name in alone)


def test_another_seed_or_day_gives_another_log():
    log = generate(DAY, SMALL)["impressions"]

    assert not generate(DAY, {**SMALL, "seed": 1})["impressions"].equals(log)
    assert not generate(DAY + timedelta(days=7), SMALL)["impressions"]["video_id"].equals(log["video_id"])


def test_an_unknown_setting_is_refused():
    with pytest.raises(ConfigError, match="no setting 'speed'"):
        generate(DAY, {"speed": 3})


def test_who_joins_on_a_day_is_known_from_the_next_day_on():
    today, tomorrow = (
        set(generate(DAY + timedelta(days=i), {})["users"]["user_id"].to_pylist()) for i in (0, 1)
    )
    seen = set(generate(DAY, {})["impressions"]["user_id"].to_pylist())

    assert seen - today
    assert seen - today <= tomorrow


def test_users_and_videos_have_one_row_each_and_no_hole():
    tables = generate(DAY, SMALL)

    for name, key, n in (("users", "user_id", 3_950), ("videos", "video_id", 5_900)):
        table = tables[name]
        assert table.num_rows == len(set(table[key].to_pylist())) == n
        assert sum(column.null_count for column in table.columns) == 0
    assert all(len(tags) == len(set(tags)) > 0 for tags in tables["videos"]["tags"].to_pylist())
    assert pc.max(tables["users"]["joined_on"]).as_py() == DAY - timedelta(days=1)
    assert pc.max(tables["videos"]["uploaded_on"]).as_py() == DAY - timedelta(days=1)


@pytest.mark.parametrize("by", ["p_click", "duration_ms", "date"])
def test_clicks_follow_their_true_probability_in_every_bin(fortnight, by):
    click, p = (fortnight[name].to_numpy().astype(float) for name in ("is_click", "p_click"))

    for rows in bins(fortnight[by]):
        noise = np.sqrt((p[rows] * (1 - p[rows])).sum())
        assert abs(click[rows].sum() - p[rows].sum()) < 4 * noise


@pytest.mark.parametrize("by", ["expected_watch_ratio", "p_click", "duration_ms", "date"])
def test_watch_ratios_of_clicks_have_their_true_mean_in_every_bin(fortnight, by):
    clicked = fortnight.filter(fortnight["is_click"])
    play, duration, expected = (
        clicked[name].to_numpy() for name in ("play_ms", "duration_ms", "expected_watch_ratio")
    )
    error = np.minimum(play / duration, 1) - expected

    for rows in bins(clicked[by]):
        assert abs(error[rows].mean()) < 4 * error[rows].std() / len(rows) ** 0.5


def bins(column, n=14):
    """Rows in ``n`` equal parts, by the order of a column."""
    return np.array_split(np.argsort(column.to_numpy(), kind="stable"), n)


def test_200_000_impressions_a_cpu_second():
    started = time.process_time()
    n = generate(DAY, {"impressions_per_day": 300_000})["impressions"].num_rows

    assert n / (time.process_time() - started) > 200_000
