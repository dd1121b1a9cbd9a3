"""A day is measured once; what is kept of it counts as long as it is of what is published."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from lt4rec_core.data.lake import Staged
from lt4rec_core.quality.audit import audit
from lt4rec_core.quality.profiles import PROFILES, Profile, Profiles, as_rows, keep_profiles

SAMPLES, USERS = "training.samples", "source.users"


@pytest.fixture
def kept(world):
    """All days of the lake measured and kept."""
    profiles = Profiles(world.lake, world.source, SAMPLES)
    profiles.of(world.lake.days(SAMPLES))
    keep_profiles(world.lake, profiles.measured)


def before(world, n=1):
    return world.day - timedelta(days=n)


def measured(world, *days):
    """The days that have to be measured."""
    profiles = Profiles(world.lake, world.source, SAMPLES)
    profiles.of(days)
    return [profile.day for profile in profiles.measured]


@contextmanager
def published(world, table, day, change):
    rows = world.lake.open(table, day, day).read_all()
    try:
        world.lake.publish(world.lake.stage(table, day, change(rows).to_reader()))
        yield
    finally:
        world.lake.publish(world.lake.stage(table, day, rows.to_reader()))


def audited(world, staged):
    report = audit(
        world.lake,
        world.source,
        world.files[SAMPLES],
        staged,
        params=world.params,
        report_dir=world.folder / "reports",
    )
    return report, {result.name: result.observed for result in report.results}


def test_a_profile_counts_the_day_by_definition(world):
    (profile,) = Profiles(world.lake, world.source, SAMPLES).of([world.day])
    rows = world.rows(SAMPLES)

    assert profile.day == world.day
    assert profile.values["n_samples"] == len(rows)
    assert profile.values["n_users"] == len(set(rows["user_id"].to_pylist()))
    assert profile.values["click_rate"] == sum(rows["is_click"].to_pylist()) / len(rows)
    assert profile.values["values of f_country"] == len(set(rows["f_country"].to_pylist()))


def test_what_was_kept_is_what_was_measured(world, kept):
    days = world.lake.days(SAMPLES)
    (read,) = Profiles(world.lake, world.source, SAMPLES).of(days[:1])

    assert read == Profiles(world.lake, world.source, SAMPLES)._measure(days[0], read.identity)


def test_the_samples_of_earlier_days_are_not_read_once_they_were_measured(world, kept):
    (file,) = world.lake.snapshot(SAMPLES).between(before(world), before(world))
    aside = file.with_name("aside")
    whole = audited(world, staged_again(world))[1]
    file.rename(aside)
    try:
        without = audited(world, staged_again(world))[1]
    finally:
        aside.rename(file)

    assert without == whole
    assert whole["drift"]["n_samples"]["n_days"] == 4


def staged_again(world):
    return world.lake.stage(SAMPLES, world.day, world.rows(SAMPLES).to_reader())


def test_an_earlier_day_that_is_published_again_is_measured_again(world, kept):
    usual = audited(world, staged_again(world))[1]["drift"]["n_samples"]["usual"]
    with published(world, SAMPLES, before(world), lambda rows: rows.slice(4)):
        assert measured(world, before(world), before(world, 2)) == [before(world)]
        fewer = audited(world, staged_again(world))[1]["drift"]["n_samples"]["usual"]

    assert fewer == usual - 4 / 4
    assert measured(world, before(world)) == [], "its first rows are published again"


def test_a_day_whose_users_are_published_again_is_measured_again(world, kept):
    with published(world, USERS, before(world), lambda rows: rows.slice(0, 0)):
        assert measured(world, before(world), before(world, 2)) == [before(world)]
        (profile,) = Profiles(world.lake, world.source, SAMPLES).of([before(world)])

    assert profile.values["unknown_user_share"] == 1.0


def test_a_changed_statement_measures_every_day_again(world, kept, tmp_path):
    root = tmp_path / "sql"
    (root / "profiles").mkdir(parents=True)
    text = (world.source.profiles / "training_samples.sql").read_text()
    (root / "profiles" / "training_samples.sql").write_text(text.replace("'n_users'", "'n_people'"))
    other = replace(world, source=replace(world.source, sql_root=root))

    assert measured(other, *world.lake.days(SAMPLES)) == world.lake.days(SAMPLES)


def test_files_whose_names_say_nothing_are_measured_once(world, monkeypatch):
    monkeypatch.setattr("lt4rec_core.data.replacing.published_name", lambda digest: "part-old.zstd.parquet")
    with published(world, SAMPLES, before(world), lambda rows: rows.slice(1)):
        profiles = Profiles(world.lake, world.source, SAMPLES)
        profiles.of([before(world)])
        assert [profile.day for profile in profiles.measured] == [before(world)]
        keep_profiles(world.lake, profiles.measured)

        assert measured(world, before(world)) == []
        monkeypatch.undo()


def test_what_an_audit_measured_of_a_day_is_trusted_once_the_day_is_published(world):
    staged = world.lake.stage(SAMPLES, world.day, world.rows(SAMPLES).slice(2).to_reader())
    report, _ = audited(world, staged)
    today = [profile for profile in report.profiles if profile.day == world.day]
    assert len(today) == 1
    with published(world, SAMPLES, world.day, lambda rows: rows.slice(2)):
        keep_profiles(world.lake, today)
        assert measured(world, world.day) == []


def test_a_staged_day_of_unknown_content_is_measured_and_not_kept(world, kept):
    report, _ = audited(world, replace(staged_again(world), digest=""))
    files = world.lake.snapshot(PROFILES).files

    assert [(profile.day, profile.identity) for profile in report.profiles] == [(world.day, "")]
    keep_profiles(world.lake, report.profiles)
    assert world.lake.snapshot(PROFILES).files == files


def test_a_day_that_changed_while_it_was_measured_is_not_kept(world, monkeypatch):
    profiles = Profiles(world.lake, world.source, SAMPLES)
    identities = iter(["as it was", "as it is"])
    monkeypatch.setattr(Profiles, "_identity", lambda *_: next(identities))

    (profile,) = profiles.of([world.day])

    assert profile.identity == ""


def test_two_audits_that_measured_the_same_day_disturb_nobody(world, kept):
    days = world.lake.days(SAMPLES)
    profiles = Profiles(world.lake, world.source, SAMPLES)
    once = profiles.of(days)

    keep_profiles(world.lake, once)

    assert Profiles(world.lake, world.source, SAMPLES).of(days) == once
    assert measured(world, *days) == []


def test_a_home_without_the_table_or_with_a_damaged_one_measures_each_time(world, kept, monkeypatch):
    files = [file for _, file, _ in world.lake.snapshot(PROFILES).files]
    days = world.lake.days(SAMPLES)
    monkeypatch.setattr("lt4rec_core.quality.profiles.PROFILES", "quality.no_such_table")
    assert measured(world, *days) == days
    monkeypatch.undo()

    contents = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            file.write_bytes(b"no Parquet file")
        assert measured(world, *days) == days
    finally:
        for file, content in contents.items():
            file.write_bytes(content)


def test_days_without_rows_have_no_profile(world):
    day = max(world.lake.days(SAMPLES)) + timedelta(days=1)
    staged = Staged(SAMPLES, day, world.folder / "none.parquet", 0, digest="of no rows")
    pq.write_table(world.lake.snapshot(SAMPLES).schema.empty_table(), staged.path)

    assert Profiles(world.lake, world.source, SAMPLES).of([day + timedelta(days=1)]) == []
    (profile,) = Profiles(world.lake, world.source, SAMPLES, staged).of([day])
    assert profile.values == {}


def test_profiles_are_rows_for_checks_missing_values_included(world):
    rows = as_rows([Profile(SAMPLES, world.day, "any", {"n": 2.0, "mean": None})])

    assert rows.to_pylist() == [
        {"dt": world.day, "measure": "n", "value": 2.0},
        {"dt": world.day, "measure": "mean", "value": None},
    ]
    assert as_rows([]).schema == rows.schema
