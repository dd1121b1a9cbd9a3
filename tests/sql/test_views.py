"""sql/views: the usual questions, answered on rows that can be counted by hand."""

import shutil
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake

MONDAY = date(2026, 1, 5)


def day(n):
    return MONDAY + timedelta(days=n)


class Views:
    """A lake with the project's tables and views; rows go in, the answers of a view come out."""

    def __init__(self, home, project):
        self.project, self.lake = project, Lake(home)

    def put(self, table, *rows):
        """Publish rows day by day; what a row does not say is NULL."""
        schema = self.lake.snapshot(table).schema
        for dt in sorted({row["dt"] for row in rows}):
            whole = pa.Table.from_pylist([row for row in rows if row["dt"] == dt], schema=schema)
            self.lake.publish(self.lake.stage(table, dt, whole.to_reader()))

    def ask(self, text):
        return query(connect(self.lake.home), text).fetchall()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A lake whose tables have no row yet."""
    home = tmp_path_factory.mktemp("empty")
    project = Project.of(read_settings({"LT4REC_HOME": str(home), "LT4REC_START": "2026-01-05"}))
    Lake(home).create(project.lake_tables)
    return Views(home, project)


@pytest.fixture
def views(empty, tmp_path):
    return Views(shutil.copytree(empty.lake.home, tmp_path / "home"), empty.project)


def metric(dt, value, model="snet", name="mse", slice_="all", n=200, **more):
    """One row of evaluation.daily_metrics."""
    row = {"dt": dt, "model": model, "task": "ctr", "metric": name, "slice": slice_, "value": value, "n": n}
    return {**row, "is_after_ticket_window": dt > day(2), **more}


METRICS = "evaluation.daily_metrics"


def test_every_view_yields_the_columns_of_its_header_over_tables_without_a_row(views):
    con = connect(views.lake.home)
    assert len(views.project.views) > 10
    for view in views.project.views:
        answer = query(con, f"from {view.table}")
        found = [(n, str(t).lower()) for n, t in zip(answer.columns, answer.types, strict=True)]
        assert found == [(c.name, c.type) for c in view.columns], view.table
        assert answer.fetchall() == [], view.table


def test_metrics_over_time_average_the_days_of_a_week_and_not_seven_rows(views):
    views.put(METRICS, *(metric(day(n), float(n)) for n in (0, 1, 6, 7)), metric(day(7), None, name="auc"))

    answer = views.ask(
        "select value, mean_7d, n_days_7d, is_after_ticket_window from evaluation.metrics_over_time "
        "where metric = 'mse' order by dt"
    )

    # The seventh day sees 0, 1, 6; the eighth 1, 6, 7: the first is a week old.
    assert answer == [(0, 0, 1, False), (1, 0.5, 2, False), (6, 7 / 3, 3, True), (7, 14 / 3, 3, True)]
    assert views.ask("select mean_7d, n_days_7d from evaluation.metrics_over_time where metric = 'auc'") == [
        (None, 0)
    ]


def test_snet_against_baseline_knows_which_way_is_better(views):
    for name, snet, baseline in (
        ("auc", 0.8, 0.75),
        ("gauc", 0.7, 0.75),
        ("mse", 0.25, 0.5),
        ("log_loss", 0.5, 0.25),
        ("pcoc", 0.75, 1.5),
    ):
        rows = [metric(day(3), snet, name=name), metric(day(3), baseline, "baseline", name)]
        views.put(METRICS, *rows, metric(day(3), 0.5, "constant", name), metric(day(3), 0.1, "oracle", name))
        ((found, difference, better, constant, oracle, n),) = views.ask(
            "select metric, difference, is_better, constant, oracle, n from evaluation.snet_against_baseline"
        )
        assert (found, difference) == (name, pytest.approx(snet - baseline, abs=1e-15))
        assert better is (name in ("auc", "mse", "pcoc")), name
        assert (constant, oracle, n) == (0.5, 0.1, 200)


def test_snet_against_baseline_leaves_out_what_only_one_of_them_has_and_averages_a_week(views):
    snet = [metric(day(0), 0.5), metric(day(1), 0.25), metric(day(2), 0.5)]
    views.put(METRICS, *snet, *(metric(day(n), 1.0, "baseline") for n in (0, 1)))

    answer = views.ask(
        "select dt, difference, relative, difference_7d from evaluation.snet_against_baseline order by dt"
    )

    assert answer == [(day(0), -0.5, -0.5, -0.5), (day(1), -0.75, -0.75, -0.625)]


def test_the_worst_slice_is_the_first_and_a_small_one_is_not_ranked(views):
    views.put(
        METRICS,
        metric(day(3), 0.25, n=1000),
        metric(day(3), 0.75, slice_="is_new_user=true", n=100),
        metric(day(3), 0.125, slice_="is_new_user=false", n=900),
        metric(day(3), 0.5, slice_="page=feed", n=400),
        metric(day(3), 0.99, slice_="page=search", n=99),
        metric(day(3), 0.75, name="auc", n=1000),
        metric(day(3), 0.5, name="auc", slice_="page=feed", n=400),
        metric(day(3), 0.875, name="auc", slice_="activity=0", n=400),
        metric(day(3), 1.25, name="pcoc", n=1000),
        metric(day(3), 0.5, name="pcoc", slice_="page=feed", n=400),
        metric(day(3), None, name="pcoc", slice_="activity=0", n=400),
    )

    answer = views.ask(
        "select metric, worst_rank, dimension, slice, worse_by, overall, share from evaluation.worst_slices "
        "order by metric, worst_rank nulls last, slice"
    )

    assert answer == [
        ("auc", 1, "page", "page=feed", 0.25, 0.75, 0.4),
        ("auc", 2, "activity", "activity=0", -0.125, 0.75, 0.4),
        ("mse", 1, "is_new_user", "is_new_user=true", 0.5, 0.25, 0.1),
        ("mse", 2, "page", "page=feed", 0.25, 0.25, 0.4),
        ("mse", 3, "is_new_user", "is_new_user=false", -0.125, 0.25, 0.9),
        ("mse", None, "page", "page=search", pytest.approx(0.74), 0.25, 0.099),
        (
            "pcoc",
            1,
            "page",
            "page=feed",
            0.25,
            1.25,
            0.4,
        ),  # half is further from right than a quarter too much
        ("pcoc", None, "activity", "activity=0", None, 1.25, 0.4),
    ]


def test_calibration_by_slice_says_how_much_too_high(views):
    views.put(
        METRICS,
        metric(day(3), 1.25, name="pcoc"),
        metric(day(3), 0.5, name="pcoc", slice_="duration=15 to 60 s"),
        metric(day(3), 0.7),
    )

    answer = views.ask(
        "select dimension, slice, pcoc, too_high_by from evaluation.calibration_by_slice order by slice"
    )

    assert answer == [("all", "all", 1.25, 0.25), ("duration", "duration=15 to 60 s", 0.5, -0.5)]


def test_today_is_compared_with_the_day_measured_before_it(views):
    views.put(
        METRICS,
        metric(day(1), 9.0),
        metric(day(3), 0.5, ci_low=0.4, ci_high=0.6, n=150),
        metric(day(5), 0.75, n=200),
        metric(day(5), 0.75, slice_="page=feed"),
    )

    answer = views.ask(
        "select compared_with, slice, today, yesterday, difference, relative, is_better, "
        "is_outside_interval, n_today, n_yesterday from evaluation.today_against_yesterday order by slice"
    )

    assert answer == [
        (day(3), "all", 0.75, 0.5, 0.25, 0.5, False, True, 200, 150),
        (day(3), "page=feed", 0.75, None, None, None, None, None, 200, None),
    ]


def test_a_first_day_has_nothing_to_be_compared_with(views):
    views.put(METRICS, metric(day(1), 9.0))

    columns = "compared_with, today, yesterday"
    assert views.ask(f"select {columns} from evaluation.today_against_yesterday") == [(None, 9.0, None)]


def compared(variant, name, difference, p_holm, **more):
    """One row of experiments.offline_comparison."""
    reference = {"ctr_auc": "base_ctr", "cvr_mse": "base_cvr"}[name]
    row = {"dt": day(8), "variant": variant, "variant_group": "paper", "metric": name, "reference": reference}
    row |= {"n_seeds": 5, "value": 0.5 + difference, "reference_value": 0.5, "difference": difference}
    return {**row, "p_holm": p_holm, "ci_low": difference - 1, "ci_high": difference + 1, **more}


def test_the_rows_of_a_race_are_judged_task_by_task_beside_their_references(views):
    views.put(
        "experiments.offline_comparison",
        compared("hard_sharing", "ctr_auc", 0.125, 0.01),
        compared("s_weight", "ctr_auc", -0.125, 0.049, density_ctr=0.2, density_cvr=0.3),
        compared("hard_sharing", "cvr_mse", 0.25, 0.04),
        compared("s_weight", "cvr_mse", -0.25, 0.05),
        compared("ple", "cvr_mse", -0.25, 0.001, n_seeds=4),
    )

    answer = views.ask(
        "select variant, variant_group, n_seeds, ctr_auc, ctr_verdict, cvr_mse, cvr_mse_difference, "
        "cvr_verdict from experiments.variant_comparison order by variant"
    )

    assert answer == [
        ("base_ctr", "reference", 5, 0.5, "reference", None, None, None),
        ("base_cvr", "reference", 5, None, None, 0.5, None, "reference"),
        ("hard_sharing", "paper", 5, 0.625, "better", 0.75, 0.25, "worse"),
        ("ple", "paper", 4, None, None, 0.25, -0.25, "better"),
        ("s_weight", "paper", 5, 0.375, "worse", 0.25, -0.25, "level"),
    ]
    densities = (
        "select density_ctr, density_cvr from experiments.variant_comparison where variant = 's_weight'"
    )
    assert views.ask(densities) == [(0.2, 0.3)]


def searched(task, number, value, at, *, chosen=False, density=1.0):
    """One row of tickets.search_rounds."""
    row = {"dt": day(6), "task": task, "round": number, "density": density, "metric": "auc", "value": value}
    return {**row, "is_chosen": chosen, "mask_digest": f"mask{at}", "recorded_at": datetime(2026, 1, 12, at)}


def test_the_ticket_summary_holds_the_newest_ticket_of_each_task_beside_the_dense_network(views):
    views.put(
        "tickets.search_rounds",
        searched("ctr", 0, 0.5, 1),
        searched("ctr", 1, 0.9, 1, chosen=True, density=0.9),
        searched("ctr", 0, 0.5, 2),
        searched("ctr", 1, 0.625, 2, chosen=True, density=0.75),
        searched("ctr", 2, 0.25, 2, density=0.5),
        searched("cvr", 0, 0.75, 1, chosen=True),
    )

    answer = views.ask(
        "select task, density, sparsity, n_rounds, chosen_round, value, dense_value, difference, mask_digest "
        "from tickets.ticket_summary order by task"
    )

    assert answer == [
        ("ctr", 0.75, 0.25, 2, 1, 0.625, 0.5, 0.125, "mask2"),
        ("cvr", 1.0, 0.0, 0, 0, 0.75, 0.75, 0.0, "mask1"),
    ]


def audited(check, hour, passed=True, *, dt=MONDAY, run="r", **more):
    """One row of quality.check_history."""
    row = {"dt": dt, "asset": "samples/impressions", "check_name": check, "passed": passed, "run_id": run}
    return {
        "severity": "critical",
        "is_blocking": False,
        "audited_at": datetime(2026, 1, 9, hour),
        **row,
        **more,
    }


def test_quality_over_time_tells_a_repair_from_a_first_success(views):
    views.put(
        "quality.check_history",
        audited("keys", 1, passed=False, is_blocking=True),
        audited("volume", 1, passed=False, is_blocking=True),
        audited("keys", 2),
        audited("volume", 2, passed=False, waiver="a holiday"),
        audited("drift", 2, passed=False, severity="warning"),
        audited("keys", 1, dt=day(1)),
        audited("keys", 1, passed=False, dt=day(2), is_blocking=True),
    )

    answer = views.ask(
        "select n_audits, n_checks, n_failed, n_waived, n_blocking, failed_checks, is_good, was_refused, "
        "last_audited_at from quality.quality_over_time order by dt"
    )

    assert answer == [
        (2, 3, 2, 1, 0, "drift, volume", True, True, datetime(2026, 1, 9, 2)),
        (1, 1, 0, 0, 0, None, True, False, datetime(2026, 1, 9, 1)),
        (1, 1, 1, 0, 1, "keys", False, False, datetime(2026, 1, 9, 1)),
    ]


def delivered(dt, user, reason=None, *, is_click=False):
    """One row of samples.screened_impressions."""
    return {"dt": dt, "user_id": user, "video_id": "v", "is_click": is_click, "reject_reason": reason}


def test_rejected_rows_are_counted_by_day_and_reason(views):
    views.put(
        "samples.screened_impressions",
        *(delivered(day(0), "u", r) for r in ("duplicate", "duplicate", "unreadable", None)),
        delivered(day(1), "u"),
        delivered(day(2), "u", "wrong_day"),
    )

    answer = views.ask(
        "select dt, reject_reason, n_rejected, n_delivered, share from samples.rejected_by_reason "
        "order by all"
    )

    assert answer == [
        (day(0), "duplicate", 2, 4, 0.5),
        (day(0), "unreadable", 1, 4, 0.25),
        (day(2), "wrong_day", 1, 1, 1.0),
    ]


def test_the_funnel_goes_from_delivered_to_watched(views):
    views.put(
        "samples.screened_impressions",
        delivered(day(0), "a", is_click=True),
        delivered(day(0), "a", is_click=True),
        delivered(day(0), "b"),
        delivered(day(0), "b"),
        delivered(day(0), "c", "duplicate", is_click=True),
        delivered(day(1), "a"),
    )
    clicks = [{"dt": day(0), "watch_ratio": ratio, "is_converted": ratio >= 0.5} for ratio in (0.25, 0.75)]
    views.put("samples.conversions", *clicks)

    columns = "n_delivered, n_impressions, n_clicks, n_conversions, click_rate, conversion_rate"
    answer = views.ask(
        f"select {columns}, mean_watch_ratio, n_users, n_videos from samples.funnel_over_time order by dt"
    )

    assert answer == [(5, 4, 2, 1, 0.5, 0.5, 0.5, 2, 1), (1, 1, 0, None, 0.0, None, None, 1, 1)]
