"""Each check of a published table passes on a sound day and fails on its own fault."""

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lt4rec_core.data.lake import Lake
from lt4rec_core.data.sources import load_source
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import QualityError
from lt4rec_core.quality.published import PUBLISHED_CHECKS, check_published

SQL = Path(__file__).resolve().parents[3] / "sql"
DAY, EIGHT = date(2026, 1, 9), datetime(2026, 1, 9, 8)
NAN = float("nan")
GROUPS = {"samples": ("impressions", "clicks", "conversions"), "evaluation": ("daily_metrics", "calibration")}


class Day:
    """One day whose rows one can count, and what its checks say."""

    def __init__(self, home):
        self.lake, self.source = Lake(home), load_source(SQL, "simulator")
        self.lake.create(
            read_sql_file(SQL / group / f"{name}.sql") for group, names in GROUPS.items() for name in names
        )

    def put(self, table, *rows):
        schema = self.lake.snapshot(table).schema
        batch = pa.Table.from_pylist([{"dt": DAY, **row} for row in rows], schema=schema)
        self.lake.publish(self.lake.stage(table, DAY, batch.to_reader()))

    def check(self, table, **params):
        params = {"conversion_threshold": 0.5, **params}
        found = check_published(self.lake, self.source, table, DAY, params=params)
        return {result.name: result for result in found}

    def failed(self, table, **params):
        return {name for name, result in self.check(table, **params).items() if not result.passed}


@pytest.fixture
def day(tmp_path):
    return Day(tmp_path)


def play(video, **changes):
    key = {"user_id": "u", "video_id": video, "occurred_at": EIGHT}
    return {**key, "play_ms": 600, "duration_ms": 1000, **changes}


def conversion(video, **changes):
    return {**play(video), "watch_ratio": 0.6, "is_converted": True, **changes}


def impression(video, is_click=True):
    return {**play(video), "is_click": is_click}


def test_clicks_that_are_the_clicked_impressions_pass(day):
    day.put("samples.impressions", impression("a"), impression("b", is_click=False))
    day.put("samples.clicks", play("a"))

    assert not day.failed("samples.clicks")


@pytest.mark.parametrize(
    ("clicks", "counts"),
    [
        ([], (0, 1)),  # one is missing
        ([play("a"), play("b")], (1, 0)),  # one was no click
        ([play("a"), play("a")], (2, 1)),  # one stands twice
        ([play("a", play_ms=1)], (1, 1)),  # one played another time
    ],
)
def test_clicks_that_are_not_the_clicked_impressions_are_shown(day, clicks, counts):
    day.put("samples.impressions", impression("a"), impression("b", is_click=False))
    day.put("samples.clicks", *clicks)

    result = day.check("samples.clicks")["references"]

    assert (result.passed, result.severity) == (False, "critical")
    (row,) = result.sample_rows
    assert (row["n_clicks"], row["n_impressions"]) == counts


def test_a_day_without_a_click_passes(day):
    day.put("samples.impressions", impression("b", is_click=False))

    assert not day.failed("samples.clicks")
    assert not day.failed("samples.conversions")


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, set()),
        ({"play_ms": 1}, {"references"}),
        ({"video_id": "b"}, {"references"}),
        ({"watch_ratio": NAN}, {"labels"}),
        ({"watch_ratio": None}, {"labels"}),
        ({"watch_ratio": 1.5}, {"labels"}),
        ({"is_converted": False}, {"labels"}),
        ({"is_converted": None}, {"labels"}),
    ],
)
def test_conversions_are_the_clicks_with_possible_labels(day, changes, failed):
    day.put("samples.clicks", play("a"))
    day.put("samples.conversions", conversion("a", **changes))

    assert day.failed("samples.conversions") == failed


def metric(model="snet", metric="auc", value=0.7, **changes):
    interval = {"ci_low": 0.6, "ci_high": 0.8}
    row = {"model": model, "task": "ctr", "metric": metric, "slice": "all", "value": value, "n": 9}
    return {**row, **interval, **changes}


@pytest.mark.parametrize(
    ("row", "passes"),
    [
        (metric(), True),
        (metric(value=None, ci_low=None, ci_high=None), True),
        (metric(metric="log_loss", value=1.4), True),
        (metric(value=1.1), False),
        (metric(metric="gauc", value=1.1), False),
        (metric(metric="mse", value=-0.1), False),
        (metric(value=NAN), False),
        (metric(ci_low=0.9), False),
        (metric(n=-1), False),
    ],
)
def test_metrics_lie_where_they_can(day, row, passes):
    day.put("evaluation.daily_metrics", row)

    assert ("ranges" not in day.failed("evaluation.daily_metrics")) == passes


def test_a_model_no_better_than_the_constant_is_a_warning(day):
    errors = {"snet": 0.2, "baseline": 0.1, "constant": 0.2, "oracle": 0.3}
    day.put("evaluation.daily_metrics", *(metric(m, "mse", v) for m, v in errors.items()))

    result = day.check("evaluation.daily_metrics")["constant"]

    assert (result.passed, result.severity) == (False, "warning")
    assert result.message == "snet ctr: mse 0.2, constant 0.2."
    assert set(result.observed) == {"snet ctr", "baseline ctr"}


def test_without_a_constant_there_is_nothing_to_compare_with(day):
    day.put("evaluation.daily_metrics", metric(metric="mse"))

    assert not day.failed("evaluation.daily_metrics")


def part(decile, predicted, actual=0.5, n=10):
    row = {"model": "snet", "task": "ctr", "decile": decile}
    return {**row, "predicted": predicted, "actual": actual, "n": n}


SOUND = [part(i, i / 20) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("parts", "passes"),
    [
        (SOUND, True),
        ([part(1, 0.1, n=1), part(2, 0.2, n=1)], True),  # two impressions make two parts
        (SOUND[1:], False),
        ([*SOUND[:-1], part(10, 0.5, n=12)], False),
        ([*SOUND[:-1], part(10, 0.1)], False),  # lower than the ninth
        ([*SOUND[:-1], part(10, 1.5)], False),
        ([*SOUND[:-1], part(10, 0.5, actual=NAN)], False),
    ],
)
def test_a_calibration_has_ten_parts_that_rise(day, parts, passes):
    day.put("evaluation.calibration", *parts)

    assert ("shape" not in day.failed("evaluation.calibration")) == passes


def test_the_gap_weighs_each_part_by_its_impressions(day):
    day.put("evaluation.calibration", part(1, 0.1, actual=0.2, n=30), part(2, 0.5, actual=0.1, n=10))

    gap = (30 * 0.1 + 10 * 0.4) / 40
    observed = day.check("evaluation.calibration")["gap"].observed["snet ctr"]
    assert observed == {"gap": pytest.approx(gap), "n": 40}
    assert "gap" in day.failed("evaluation.calibration", max_calibration_gap=gap - 0.001)
    assert "gap" not in day.failed("evaluation.calibration", max_calibration_gap=gap + 0.001)


def test_names_are_unique_and_no_gated_table_is_among_them():
    assert not PUBLISHED_CHECKS.keys() & {"samples.impressions", "training.samples", "evaluation.predictions"}
    for checks in PUBLISHED_CHECKS.values():
        assert len({check.name for check in checks}) == len(checks)


def test_a_table_without_checks_is_named(day):
    with pytest.raises(QualityError, match=r"samples\.impressions has no checks of its published days"):
        day.check("samples.impressions")
