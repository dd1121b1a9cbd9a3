"""The ranker as an asset: made every day, promoted or kept back, and what it says then."""

import json
import shutil
from datetime import date, timedelta

import dagster as dg
import numpy as np
import pyarrow.compute as pc
import pytest

from lt4rec_assets.defs.serving import RANKER
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.serving.batch import score_day
from lt4rec_core.serving.ranker import Ranker
from lt4rec_core.serving.shelf import served_folder
from lt4rec_core.training import modelfile
from lt4rec_core.training.store import ModelStore
from tests.assets.conftest import FIRST, LAST, SMALL, Home, make_settings

NO_FLOORS = (
    "[serving]\nauc_floor = 0.0\nmse_below_constant = false\nno_regression = false\nlatency_seconds = 0.0\n"
)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


@pytest.fixture
def copied(filled, tmp_path, monkeypatch):
    """``copied(serving)``: the filled home without its rankers, under other floors; again to change them."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    folder = tmp_path / "home"
    shutil.copytree(filled.project.settings.home, folder)
    shutil.rmtree(folder / "models" / "ranker")

    def make(serving=NO_FLOORS):
        return Home(make_settings(folder, SMALL.partition("[serving]")[0] + serving))

    return make


def rank(home, first=SECOND, last=LAST):
    outcome = home.backfill(first, last, select="key:serving/ranker")
    assert outcome.ok, outcome.failed
    return {day.isoformat(): told(home, day) for day in days(first, last)}


def days(first, last):
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def told(home, day):
    """The metadata of a day's newest materialisation."""
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(RANKER, asset_partitions=[day.isoformat()]), limit=1
        ).records
    return {k: v.value for k, v in records[0].asset_materialization.metadata.items()}


def in_use(home):
    folder = served_folder(home.project.settings.home)
    return folder and folder.name


def test_every_day_from_the_second_has_a_ranker_with_numbers_that_plot(filled):
    metadata = told(filled, LAST)

    assert metadata["multiply_adds"] < metadata["multiply_adds_of_dense_trunks"]
    assert metadata["bytes"] == sum(metadata[f"bytes_{part}"] for part in ("trunk", "embeddings", "features"))
    assert metadata["users"] > 50
    for size in (1, 64, 1024, 8192):
        assert 0 < metadata[f"latency_ms_p50_{size}"] <= metadata[f"latency_ms_p99_{size}"]
    assert isinstance(metadata["promoted"], bool)


def test_a_days_ranker_gives_the_predictions_of_the_day_after(filled):
    home, tomorrow = filled.project.settings.home, LAST
    (folder,) = (home / "models" / "ranker").glob(f"*/{tomorrow - timedelta(days=1)}")
    ranker, lake = Ranker.load(folder, filled.project.source.catalogue), Lake(home)

    table = score_day(ranker, lake, tomorrow)

    rows = lake.open("evaluation.predictions", tomorrow, tomorrow).read_all()
    rows = rows.filter(pc.equal(rows["model"], "snet"))
    assert table["video_id"].to_pylist() == rows["video_id"].to_pylist()
    for column in ("p_ctr", "p_cvr"):
        np.testing.assert_allclose(table[column].to_numpy(), rows[column].to_numpy(), atol=1e-5)


def test_candidates_score_as_the_day_after_where_nothing_but_age_is_new(filled):
    """Attributes are those of the ranker's day: a day later everyone is a day older, and bins may change.
    What was uploaded on the day itself is described from the day after only."""
    home, tomorrow = filled.project.settings.home, LAST
    (folder,) = (home / "models" / "ranker").glob(f"*/{tomorrow - timedelta(days=1)}")
    ranker = Ranker.load(folder)
    con = connect(home)
    ageing = {"user": "f_tenure", "video": "f_upload_age"}
    same = {}
    for side, column in ageing.items():
        features = ranker.catalogue.side(side)
        columns = [f.column for f in features if f.kind == "categorical"]
        entities = ranker.entities[side]
        found = (
            query(con, f"from features.{side}_features where dt = '{tomorrow}'").to_arrow_table().to_pylist()
        )
        same[side] = set()
        sql = f"select {side}_id from source.{side}s where dt = '{tomorrow - timedelta(days=1)}'"
        described = {name for (name,) in query(con, sql).fetchall()}
        for row in found:
            (at,) = entities.rows([row[f"{side}_id"]])
            if row[f"{side}_id"] not in described:
                continue
            ours = dict(zip(columns, entities.ids[at].tolist(), strict=True))
            differing = {c for c in columns if ours[c] != row[c]}
            assert differing <= {column}, (row[f"{side}_id"], differing)
            if not differing:
                same[side].add(row[f"{side}_id"])
    rows = query(
        con, f"from evaluation.predictions where dt = '{tomorrow}' and model = 'snet'"
    ).to_arrow_table().to_pylist()  # fmt: skip
    rows = [r for r in rows if r["user_id"] in same["user"] and r["video_id"] in same["video"]]

    assert len(rows) > 100
    for row in rows[:60]:
        context = {"page": row["page"], "occurred_at": row["occurred_at"]}
        scores, seconds = ranker.score_candidates(row["user_id"], [row["video_id"]], context)
        assert scores["ctr"][0] == pytest.approx(row["p_ctr"], abs=1e-5)
        assert scores["cvr"][0] == pytest.approx(row["p_cvr"], abs=1e-5)
        assert seconds[0] == row["duration_ms"] / 1000


def test_the_first_ranker_goes_into_use_and_then_each_newer_one(copied):
    home = copied()
    assert in_use(home) is None

    for day in (SECOND, THIRD):
        metadata = rank(home, day, day)[day.isoformat()]

        assert metadata["promoted"] is True
        assert metadata["served_day"] == in_use(home) == day.isoformat()


def test_a_ranker_under_a_floor_leaves_the_last_good_one_in_use_and_says_so(copied):
    rank(copied(), SECOND, SECOND)
    strict = copied("[serving]\nauc_floor = 0.999\nlatency_seconds = 0.0\n")

    metadata = rank(strict, THIRD, THIRD)[THIRD.isoformat()]

    assert metadata["promoted"] is False
    assert metadata["served_day"] == in_use(strict) == SECOND.isoformat()
    assert "floor 0.999" in metadata["reason"]
    with dg.DagsterInstance.get() as instance:
        check = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(RANKER, "promotion"), limit=1
        )[0].event.asset_check_evaluation
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert f"In use: {SECOND}" in check.description
    con = connect(strict.project.settings.home)
    history = query(
        con,
        f"select passed from quality.latest_checks where check_name = 'promotion' and dt = '{THIRD}'",
    ).fetchall()
    assert history == [(False,)]


def test_the_floors_of_the_settings_judge_the_first_day_too(copied):
    home = copied("[serving]\nauc_floor = 0.999\nlatency_seconds = 0.0\n")

    metadata = rank(home, SECOND, SECOND)[SECOND.isoformat()]

    assert metadata["promoted"] is False
    assert metadata["served_day"] == "none yet"


def test_running_an_old_day_again_changes_nothing_of_what_is_in_use(copied):
    home = copied()
    before = rank(home)
    assert in_use(home) == LAST.isoformat()

    again = rank(home, SECOND, SECOND)[SECOND.isoformat()]

    assert again["ranker_digest"] == before[SECOND.isoformat()]["ranker_digest"]
    assert in_use(home) == LAST.isoformat()


def test_a_day_that_falls_under_a_floor_when_it_is_run_again_hands_back_to_the_one_before(copied):
    rank(copied(), SECOND, THIRD)
    strict = copied("[serving]\nauc_floor = 0.999\nlatency_seconds = 0.0\n")

    metadata = rank(strict, THIRD, THIRD)[THIRD.isoformat()]

    assert metadata["served_day"] == in_use(strict) == SECOND.isoformat()


def test_a_damaged_ranker_in_use_is_told_and_stops_nothing(copied):
    home = copied(NO_FLOORS.replace("no_regression = false", "no_regression = true"))
    rank(home, SECOND, SECOND)
    store = ModelStore(home.project.settings.home)
    (file,) = store.root.glob(f"ranker/*/{SECOND}/*.safetensors")
    file.write_bytes(b"damaged")

    metadata = rank(home, date.fromisoformat("2026-01-08"), date.fromisoformat("2026-01-08"))["2026-01-08"]

    assert metadata["promoted"] is True


def test_a_ranker_that_a_later_day_measures_below_the_floors_is_withdrawn(copied):
    home, fourth = copied(), THIRD + timedelta(days=1)
    rank(home, SECOND, THIRD)
    turn_upside_down(home, THIRD)
    assert in_use(home) == THIRD.isoformat()
    between = copied(NO_FLOORS.replace("auc_floor = 0.0", "auc_floor = 0.51"))

    metadata = rank(between, fourth, fourth)[fourth.isoformat()]

    assert metadata["withdrawn"].startswith(THIRD.isoformat())
    assert THIRD.isoformat() not in (in_use(between), metadata["served_day"])
    (manifest,) = (home.project.settings.home / "models" / "ranker").glob(f"*/{fourth}/manifest.json")
    (withdrawn,) = json.loads(manifest.read_text())["withdrawn"]
    assert withdrawn["day"] == THIRD.isoformat()
    assert "floor 0.51" in withdrawn["reason"]


def test_old_rankers_are_removed_when_a_day_is_made(copied):
    home = copied(NO_FLOORS + "keep_days = 2\n")

    rank(home)

    folders = (home.project.settings.home / "models" / "ranker").glob("*/*")
    assert sorted(path.name for path in folders) == [str(LAST - timedelta(days=1)), str(LAST)]


def turn_upside_down(home, day):
    """A promoted ranker that ranks the wrong way round."""
    store = ModelStore(home.project.settings.home)
    (folder,) = store.root.glob(f"ranker/*/{day}")
    saved = modelfile.load(folder, "the ranker")
    tensors = {name: -t if name == "logits/ctr" else t for name, t in saved.tensors.items()}
    identity = saved.manifest["identity"] | {"model": "upside down"}
    modelfile.publish(folder, tensors, identity, {"promotion": {"promoted": True}})


def test_without_the_days_counts_no_ranker_is_made(copied, monkeypatch):
    home = copied()
    published = Lake.published
    monkeypatch.setattr(
        Lake,
        "published",
        lambda lake, table: set() if table == "features.user_daily_stats" else published(lake, table),
    )

    outcome = home.backfill(SECOND, SECOND, select="key:serving/ranker")

    assert "features.user_daily_stats of that day, which is not there" in next(iter(outcome.failed.values()))
