"""Each named check passes on a sound day and fails on its own fault."""

import json
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lt4rec_core.catalogue import FeatureCatalogue
from lt4rec_core.data.lake import Staged
from lt4rec_core.data.runner import run_sql
from lt4rec_core.data.sqlfile import read_sql_file
from lt4rec_core.errors import QualityError
from lt4rec_core.quality.audit import audit
from lt4rec_core.quality.suites import CHECKS

IMPRESSIONS, SAMPLES, PREDICTIONS = "samples.impressions", "training.samples", "evaluation.predictions"


def put(column, value, where=None):
    """Set one cell: that of the first row, or of the first row for which ``where`` names a true column."""

    def change(rows):
        i = 0 if where is None else pc.index(rows[where], True).as_py()
        cells = rows[column].to_pylist()
        cells[i] = value
        field = rows.schema.field(column)
        return rows.set_column(rows.schema.get_field_index(column), field, pa.array(cells, field.type))

    return change


def twice(rows):
    return pa.concat_tables([rows, rows.slice(0, 1)])


def without_first(rows):
    return rows.slice(1)


def without_rows(rows):
    return rows.slice(0, 0)


def without_baseline(rows):
    return rows.filter(pc.equal(rows["model"], "snet"))


def unclicked(column, value):
    """Set a cell of the first row without a click."""

    def change(rows):
        rows = rows.append_column("unclicked", pc.invert(rows["is_click"]))
        return put(column, value, where="unclicked")(rows).drop_columns("unclicked")

    return change


def same_scores(rows):
    for name in ("p_ctr", "p_cvr"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array([0.5] * len(rows)))
    return rows.set_column(rows.schema.get_field_index("p_ctcvr"), "p_ctcvr", pa.array([0.25] * len(rows)))


def constant(column):
    return lambda rows: rows.set_column(
        rows.schema.get_field_index(column), column, pa.array([1] * len(rows), pa.int32())
    )


def as_type(column, type_):
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(type_))


def renamed(rows):
    return rows.rename_columns(["who" if name == "page" else name for name in rows.column_names])


def with_truth(rows):
    return rows.append_column("p_click", pa.array([0.5] * len(rows)))


def flipped(column):
    return lambda rows: put(column, not rows[column][0].as_py())(rows)


def other_label(rows):
    return put("watch_ratio", 0.123, where="is_click")(rows)


NAN, INFINITE = float("nan"), float("inf")
FAULTS = [
    (IMPRESSIONS, "schema", renamed),
    (IMPRESSIONS, "schema", as_type("play_ms", pa.int32())),
    (IMPRESSIONS, "keys", twice),
    (IMPRESSIONS, "keys", put("user_id", None)),
    (IMPRESSIONS, "keys", put("occurred_at", None)),
    (IMPRESSIONS, "volume", without_rows),
    (IMPRESSIONS, "labels", put("is_click", None)),
    (IMPRESSIONS, "labels", put("play_ms", -1)),
    (IMPRESSIONS, "labels", put("play_ms", None)),
    (IMPRESSIONS, "labels", put("duration_ms", 0)),
    (IMPRESSIONS, "references", flipped("is_click")),
    (IMPRESSIONS, "references", put("user_id", "nobody the log knows")),
    (IMPRESSIONS, "accounting", without_first),
    (IMPRESSIONS, "accounting", twice),
    (IMPRESSIONS, "drift", lambda rows: rows.slice(0, len(rows) // 3)),
    (SAMPLES, "schema", with_truth),
    (SAMPLES, "keys", twice),
    (SAMPLES, "keys", put("video_id", None)),
    (SAMPLES, "volume", without_rows),
    (SAMPLES, "labels", put("is_click", None)),
    (SAMPLES, "labels", put("watch_ratio", NAN, where="is_click")),
    (SAMPLES, "labels", put("watch_ratio", INFINITE, where="is_click")),
    (SAMPLES, "labels", put("watch_ratio", -0.1, where="is_click")),
    (SAMPLES, "labels", put("watch_ratio", None, where="is_click")),
    (SAMPLES, "labels", put("is_converted", None, where="is_click")),
    (SAMPLES, "labels", unclicked("watch_ratio", 0.5)),
    (SAMPLES, "labels", unclicked("is_converted", False)),
    (SAMPLES, "references", without_first),
    (SAMPLES, "references", twice),
    (SAMPLES, "references", other_label),
    (SAMPLES, "references", put("video_id", "shown to nobody")),
    (SAMPLES, "leak", flipped("is_new_user")),
    (SAMPLES, "leak", flipped("is_new_video")),
    (SAMPLES, "leak", put("is_new_video", None)),
    (SAMPLES, "ranges", put("f_user_id", 50_000)),
    (SAMPLES, "ranges", put("f_user_id", -1)),
    (SAMPLES, "ranges", put("f_user_id", None)),
    (SAMPLES, "drift", lambda rows: rows.slice(0, len(rows) // 3)),
    (SAMPLES, "cardinality", constant("f_country")),
    (SAMPLES, "cardinality", constant("f_gender")),
    (PREDICTIONS, "schema", as_type("p_ctr", pa.float32())),
    (PREDICTIONS, "keys", twice),
    (PREDICTIONS, "keys", put("model", None)),
    (PREDICTIONS, "volume", without_rows),
    (PREDICTIONS, "coverage", without_first),
    (PREDICTIONS, "coverage", without_rows),
    (PREDICTIONS, "coverage", without_baseline),
    (PREDICTIONS, "coverage", twice),
    (PREDICTIONS, "coverage", put("model", "an unknown model")),
    (PREDICTIONS, "coverage", put("user_id", "nobody the samples know")),
    (PREDICTIONS, "ranges", put("p_ctr", NAN)),
    (PREDICTIONS, "ranges", put("p_cvr", None)),
    (PREDICTIONS, "ranges", put("p_ctcvr", INFINITE)),
    (PREDICTIONS, "ranges", put("p_ctr", 1.01)),
    (PREDICTIONS, "ranges", put("p_ctr", -0.01)),
    (PREDICTIONS, "ranges", put("p_ctcvr", 0.99999)),
    (PREDICTIONS, "ranges", put("p_like", NAN)),
    (PREDICTIONS, "ranges", put("model_digest", None)),
    (PREDICTIONS, "references", flipped("is_click")),
    (PREDICTIONS, "references", put("watch_ratio", 0.123, where="is_click")),
    (PREDICTIONS, "references", put("page", "elsewhere")),
    (PREDICTIONS, "drift", same_scores),
]


@contextmanager
def published(world, folder, table, edits):
    """Publish the day as the table's statement makes it once its text is edited; undo that afterwards."""
    before = world.rows(table)
    text = world.files[table].path.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "edited.sql").write_text(text)
    edited = read_sql_file(folder / "edited.sql", table=table, fragments=world.source.catalogue.fragments())
    try:
        world.lake.publish(run_sql(world.lake, world.source, edited, world.day, world.params, threads=1))
        yield
    finally:
        world.lake.publish(world.lake.stage(table, world.day, before.to_reader()))


def by_name(report):
    return {result.name: result for result in report.results}


@pytest.mark.parametrize("table", CHECKS)
def test_a_sound_day_passes_every_check(world, table):
    report = world.audit(table, max_new_share_rise=1.0, max_unknown_share_rise=1.0)

    assert [(r.name, r.message) for r in report.results if not r.passed] == []
    assert [r.name for r in report.results] == [check.name for check in CHECKS[table]]
    assert report.passed


@pytest.mark.parametrize(
    ("table", "check", "change"), FAULTS, ids=[f"{i} {t} {c}" for i, (t, c, _) in enumerate(FAULTS)]
)
def test_a_fault_fails_the_check_that_is_named_after_it(world, table, check, change):
    report = world.audit(table, change)

    result = by_name(report)[check]
    assert not result.passed
    assert result.severity == next(spec.severity for spec in CHECKS[table] if spec.name == check)
    assert result.message != "Passed."
    if result.severity == "critical":
        assert not report.passed


def test_every_check_has_a_fault_in_this_list():
    assert {(t, c) for t, c, _ in FAULTS} == {(t, spec.name) for t, specs in CHECKS.items() for spec in specs}


def test_a_list_feature_outside_its_embedding_is_out_of_range(world):
    column = next(name for name in world.rows(SAMPLES).column_names if name.startswith("m_"))

    for cell in ([3, 10**9], [-1], [None], None):
        result = by_name(world.audit(SAMPLES, put(column, cell)))["ranges"]
        assert result.sample_rows[0]["faulty_features"] == [column]


def test_features_that_counted_the_day_itself_are_a_leak(world):
    features = world.rows("features.user_features")
    one_more = pc.add(features["n_clicks_7d"], 1)
    leaky = features.set_column(features.schema.get_field_index("n_clicks_7d"), "n_clicks_7d", one_more)
    try:
        world.lake.publish(world.lake.stage("features.user_features", world.day, leaky.to_reader()))
        result = by_name(world.audit(SAMPLES))["leak"]
    finally:
        world.lake.publish(world.lake.stage("features.user_features", world.day, features.to_reader()))

    assert not result.passed
    assert result.observed["offending rows"] == len(features)
    row = result.sample_rows[0]
    assert (row["entity"], row["fault"]) == ("user", "counts clicks")
    assert int(row["found"]) == int(row["before"]) + 1


CLICKS = ("samples.clicks[-7..-1]", "samples.clicks[-7..0]")
CONVERSIONS = (
    "--           samples.clicks",
    "--           samples.conversions[0],\n--           samples.clicks",
)
NUMBERS = {"counts impressions", "counts clicks", "rates clicks", "rates likes"}
NUMBERS |= {"rates watching", "rates watching to the end", "compares watching"}
TODAY = "(select avg(watch_ratio) from samples.conversions as c where c.user_id = past.user_id)"


@pytest.mark.parametrize(
    ("side", "edits", "faults"),
    [
        ("user", [CLICKS], {"remembers clicks"}),
        ("user", [("-epoch_us(clicks.occurred_at)", "epoch_us(clicks.occurred_at)")], {"remembers clicks"}),
        (
            "user",
            [("features.user_daily_stats[-7..-1]", "features.user_daily_stats[-7..0]")],
            NUMBERS,
        ),
        (
            "video",
            [("features.video_daily_stats[-7..-1]", "features.video_daily_stats[-7..0]")],
            NUMBERS,
        ),
        (
            "user",
            [
                CONVERSIONS,
                ("rates.watch_ratio as watch_ratio_7d", "1.0 - rates.watch_ratio as watch_ratio_7d"),
            ],
            {"rates watching"},
        ),
        ("user", [CONVERSIONS, ("past.watch_surplus / n_watched_and_prior", TODAY)], {"compares watching"}),
        ("video", [("rates.like_rate as", "rates.click_rate as")], {"rates likes"}),
        ("video", [("past.n_completes +", "past.n_clicks +")], {"rates watching to the end"}),
    ],
)
def test_a_changed_statement_is_a_leak(world, tmp_path, side, edits, faults):
    name = f"features.{side}_features"
    with published(world, tmp_path, name, edits):
        result = by_name(world.audit(SAMPLES))["leak"]

    assert not result.passed
    assert {row["entity"] for row in result.sample_rows} == {side}
    assert {row["fault"] for row in result.sample_rows} <= faults


def test_rates_of_labels_made_scarce_are_no_leak(world, tmp_path):
    day_before = replace(world, day=world.day - timedelta(days=1))
    scarce = [("from samples.conversions", "from samples.conversions where hash(video_id) % 2 = 0")]
    with (
        published(day_before, tmp_path, "features.user_daily_stats", scarce),
        published(world, tmp_path, "features.user_features", []),
    ):
        assert by_name(world.audit(SAMPLES))["leak"].passed


def test_on_the_first_day_a_history_holds_nothing(world, tmp_path):
    first = replace(world, day=min(world.lake.days(SAMPLES)))
    assert by_name(first.audit(SAMPLES))["leak"].passed

    with published(first, tmp_path, "features.user_features", [CLICKS]):
        result = by_name(first.audit(SAMPLES))["leak"]

    assert not result.passed
    assert {row["before"] for row in result.sample_rows} == {"[[]]"}


def test_of_many_users_each_day_others_have_their_history_made_anew(world, tmp_path):
    n_users = len(world.rows("features.user_features"))
    found = []
    with published(world, tmp_path, "features.user_features", [CLICKS]):
        for share in (1, 3):
            leak = by_name(world.audit(SAMPLES, history_users=-(-n_users // share)))["leak"]
            found.append(leak.observed["offending rows"])
            assert {row["fault"] for row in leak.sample_rows} == {"remembers clicks"}

    assert 0 < found[1] < found[0] <= n_users


def test_what_is_not_made_anew_is_counted_all_the_same(world, tmp_path):
    with published(world, tmp_path, "features.user_features", [CLICKS]):
        all_users = by_name(world.audit(SAMPLES))["leak"].observed["offending rows"]
        few = by_name(world.audit(SAMPLES, history_users=1))["leak"]
    more = ("features.user_daily_stats[-7..-1]", "features.user_daily_stats[-7..0]")
    with published(world, tmp_path, "features.user_features", [more]):
        counts = by_name(world.audit(SAMPLES, history_users=1))["leak"]

    assert few.observed["offending rows"] < all_users
    assert {row["fault"] for row in counts.sample_rows} <= NUMBERS
    assert counts.observed["offending rows"] >= len(world.rows("features.user_features"))


def test_a_catalogue_without_a_history_has_none_to_check(world):
    features = [f for f in world.source.catalogue.features if f.input != "clicked_videos"]
    other = replace(world, source=replace(world.source, catalogue=FeatureCatalogue(features)))
    assert by_name(other.audit(SAMPLES))["leak"].passed


def exchanged(column):
    """Two rows exchange a value, so that each column holds what it held."""

    def change(rows):
        cells = rows[column].to_pylist()
        other = next(i for i, cell in enumerate(cells) if cell != cells[0])
        cells[0], cells[other] = cells[other], cells[0]
        field = rows.schema.field(column)
        return rows.set_column(rows.schema.get_field_index(column), field, pa.array(cells, field.type))

    return change


@pytest.mark.parametrize(
    ("table", "column", "n_wrong"), [(IMPRESSIONS, "play_ms", 4), (SAMPLES, "is_click", 2)]
)
def test_values_that_two_rows_exchanged_are_found_in_both(world, table, column, n_wrong):
    result = by_name(world.audit(table, exchanged(column)))["references"]

    assert result.observed["offending rows"] >= n_wrong
    assert not result.passed


@pytest.mark.parametrize("table", [IMPRESSIONS, SAMPLES])
def test_rows_in_another_order_are_the_same_rows_and_a_key_that_stands_twice_is_found_there(world, table):
    def shuffled(rows):
        return rows.take(np.random.default_rng(0).permutation(len(rows)))

    def first_again_at_the_end(rows):
        return pa.concat_tables([shuffled(rows), shuffled(rows).slice(0, 1)])

    sound = by_name(world.audit(table, shuffled))
    faulty = by_name(world.audit(table, first_again_at_the_end))

    assert (sound["keys"].passed, sound["references"].passed) == (True, True)
    assert faulty["keys"].sample_rows[0]["n_rows"] == 2
    assert (faulty["keys"].observed["offending rows"], faulty["references"].passed) == (1, False)


def test_warnings_do_not_block_the_day(world):
    report = world.audit(IMPRESSIONS, max_volume_change=0.0, max_rate_change=0.0)

    assert not by_name(report)["drift"].passed
    assert report.passed


def test_the_first_days_have_nothing_to_drift_from_and_pass_with_a_note(world):
    early = type(world)(
        world.lake, world.source, world.files, world.params, world.folder, day=min(world.lake.days(SAMPLES))
    )

    result = by_name(early.audit(SAMPLES, max_volume_change=0.0))["drift"]

    assert result.passed
    assert "no earlier day" in result.message
    assert result.observed["n_samples"]["usual"] is None


def test_the_values_that_features_take_are_counted_per_day(world):
    rows = world.rows(SAMPLES)

    observed = by_name(world.audit(SAMPLES))["cardinality"].observed

    assert observed["f_country"]["today"] == len(set(rows["f_country"].to_pylist()))
    assert observed["f_country"]["n_days"] == 4
    assert "f_user_id" not in observed  # the check of drift counts users
    assert "m_tags" not in observed


def test_a_feature_that_lost_values_is_named_and_blocks_nothing(world):
    report = world.audit(SAMPLES, constant("f_country"))

    assert by_name(report)["cardinality"].message.startswith("f_country: today 1.0, usual ")
    assert report.passed


def test_too_few_days_before_are_no_ground_for_a_warning(world):
    result = by_name(world.audit(SAMPLES, max_volume_change=0.0, min_drift_days=5))["drift"]
    assert result.passed
    assert result.observed["n_samples"]["n_days"] == 4


@pytest.mark.parametrize("table", ["source.users", "source.videos"])
def test_days_whose_users_or_videos_did_not_come_are_warned_of_from_the_first_on(world, table):
    first = replace(world, day=min(world.lake.days(SAMPLES)))
    rows = first.rows(table)
    measure = f"unknown_{table.removeprefix('source.')[:-1]}_share"
    assert by_name(first.audit(SAMPLES))["drift"].passed
    try:
        world.lake.publish(world.lake.stage(table, first.day, rows.slice(0, 0).to_reader()))
        report = first.audit(SAMPLES)
    finally:
        world.lake.publish(world.lake.stage(table, first.day, rows.to_reader()))

    drift = by_name(report)["drift"]
    assert not drift.passed
    assert drift.observed[measure]["today"] == 1.0
    assert drift.message.startswith(f"{measure}: ")
    assert report.passed


def test_the_share_of_unknown_users_is_of_samples_and_compared_with_the_days_before(world):
    known, samples = world.rows("source.users"), world.rows(SAMPLES)
    active = pc.value_counts(samples["user_id"]).to_pylist()
    gone = max(
        (row for row in active if row["values"] in known["user_id"].to_pylist()), key=lambda r: r["counts"]
    )
    before = by_name(world.audit(SAMPLES))["drift"].observed["unknown_user_share"]
    fewer = known.filter(pc.not_equal(known["user_id"], gone["values"]))
    try:
        world.lake.publish(world.lake.stage("source.users", world.day, fewer.to_reader()))
        share = before["today"] + gone["counts"] / len(samples)
        rise = share - before["usual"]
        drifts = [
            by_name(world.audit(SAMPLES, max_unknown_share_rise=rise + change))["drift"]
            for change in (-1e-9, 1e-9)
        ]
    finally:
        world.lake.publish(world.lake.stage("source.users", world.day, known.to_reader()))

    for drift in drifts:
        assert drift.observed["unknown_user_share"]["today"] == pytest.approx(share, abs=1e-12)
        assert drift.observed["unknown_user_share"]["usual"] == before["usual"]
    assert ["unknown_user_share" in drift.message for drift in drifts] == [True, False]


def test_a_pass_shows_what_was_measured(world):
    rows = by_name(world.audit(IMPRESSIONS))["accounting"].observed["rows"]
    assert (
        rows["accepted"] + rows["rejected"] == rows["delivered"] == len(world.rows("source.impression_log"))
    )


def test_a_check_that_cannot_run_is_a_critical_failure_even_if_only_a_warning(world):
    report = world.audit(IMPRESSIONS, lambda rows: rows.drop_columns("is_click"))

    drift = by_name(report)["drift"]
    assert (drift.passed, drift.severity) == (False, "critical")
    assert "could not run" in drift.message
    assert "is_click" in drift.message
    assert not report.passed


def test_a_parameter_that_nothing_sets_is_named(world, monkeypatch):
    monkeypatch.setattr("lt4rec_core.quality.audit.DEFAULTS", {"min_rows": 1})
    result = by_name(world.audit(IMPRESSIONS))["drift"]
    assert "nothing sets $min_drift_days" in result.message


def test_at_most_five_offending_rows_are_shown_but_all_are_counted(world):
    report = world.audit(SAMPLES, lambda rows: rows.slice(8))

    result = by_name(report)["references"]
    assert result.observed["offending rows"] >= 8
    assert len(result.sample_rows) == 5


@pytest.mark.parametrize(
    ("table", "change"), [(SAMPLES, put("watch_ratio", NAN)), (PREDICTIONS, put("p_ctr", INFINITE))]
)
def test_results_can_be_written_as_strict_json_whatever_the_rows_hold(world, table, change):
    report = world.audit(table, change)
    for result in report.results:
        json.dumps(asdict(result), allow_nan=False)


def test_audits_one_after_the_other_see_their_own_rows(world):
    counts = [
        by_name(world.audit(IMPRESSIONS, lambda rows, n=n: rows.slice(0, n)))["volume"].observed
        for n in (3, 7)
    ]
    assert counts == [{"rows": 3}, {"rows": 7}]


def test_an_audit_changes_neither_the_staged_file_nor_the_lake_and_prints_nothing(world, capfd):
    before, files = world.lake.version(IMPRESSIONS), set(world.folder.glob("staged.*.parquet"))

    world.audit(IMPRESSIONS)

    assert capfd.readouterr() == ("", "")
    assert world.lake.version(IMPRESSIONS) == before
    (staged,) = set(world.folder.glob("staged.*.parquet")) - files
    assert pq.read_table(staged).equals(world.rows(IMPRESSIONS))


def test_a_report_that_cannot_be_written_is_an_error_that_says_where_and_why(world, tmp_path):
    in_the_way = tmp_path / "reports"
    in_the_way.write_text("a file where the folder should be")
    rows = world.rows(IMPRESSIONS)
    pq.write_table(rows, tmp_path / "staged.parquet")
    staged = Staged(IMPRESSIONS, world.day, tmp_path / "staged.parquet", len(rows))

    with pytest.raises(
        QualityError, match=r"reports/samples\.impressions.*html cannot be written: File exists"
    ):
        audit(
            world.lake,
            world.source,
            world.files[IMPRESSIONS],
            staged,
            params=world.params,
            report_dir=in_the_way,
        )


def test_a_table_without_a_suite_is_refused(world, tmp_path):
    staged = Staged("samples.clicks", world.day, tmp_path / "nothing.parquet", 0)
    with pytest.raises(
        QualityError, match=r"samples.clicks has no suite .* gated tables are samples.impressions"
    ):
        audit(world.lake, world.source, world.files["samples.clicks"], staged, params={}, report_dir=tmp_path)
