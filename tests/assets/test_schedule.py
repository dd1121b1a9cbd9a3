"""What the declarative conditions ask for, and what the gates keep them from asking for."""

from datetime import timedelta

import dagster as dg
import pytest

from lt4rec_assets.definitions import build_definitions
from lt4rec_assets.graph import beta_features
from lt4rec_assets.project import Project
from tests.assets.conftest import FIRST, make_settings


@pytest.fixture
def growing(tmp_path):
    """The definitions of a home without a last day."""
    settings = make_settings(tmp_path, LT4REC_END="2026-01-09")
    open_ended = Project.of(type(settings)(**{**vars(settings), "end": None}))
    return build_definitions(open_ended)


def specs(definitions):
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_daily_tables_of_a_home_that_grows_have_a_freshness_policy(growing):
    found = specs(growing)

    policy = found["evaluation/daily_metrics"].freshness_policy
    assert policy.fail_window.to_timedelta() == timedelta(days=2)
    assert policy.warn_window.to_timedelta() == timedelta(hours=30)
    assert found["tickets/ticket"].freshness_policy is None
    assert found["source/users"].automation_condition is not None


def test_a_home_with_a_last_day_is_never_stale_and_its_logs_are_not_read_by_themselves(filled):
    found = specs(filled.definitions)

    assert not [key for key, spec in found.items() if spec.freshness_policy]
    assert found["source/users"].automation_condition is None
    assert found["samples/clicks"].automation_condition is not None


def materialised(instance, day, *keys):
    for key in keys:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=key.split("/"), partition=day.isoformat())
        )


def test_nothing_is_requested_behind_a_gate_that_refused(filled):
    last = FIRST + timedelta(days=4)
    evaluate = filled.definitions
    read = ("source/users", "source/videos", "source/impression_log", "samples/screened_impressions")
    with dg.DagsterInstance.ephemeral() as instance, beta_features():
        start = dg.evaluate_automation_conditions(evaluate, instance)
        # All that impressions needs is there; it is asked for, fails its gate and is not there.
        materialised(instance, last, *read)
        first = dg.evaluate_automation_conditions(evaluate, instance, cursor=start.cursor)
        asked = {part.asset_key.to_user_string() for part in _requested(first)}
        refused = dg.evaluate_automation_conditions(evaluate, instance, cursor=first.cursor)
        still = _requested(refused)
        materialised(instance, last, "samples/impressions")
        repaired = dg.evaluate_automation_conditions(evaluate, instance, cursor=refused.cursor)
        released = {(p.asset_key.to_user_string(), p.partition_key) for p in _requested(repaired)}

    assert "samples/impressions" in asked
    assert not still  # asked for once, not over and over
    assert ("samples/clicks", last.isoformat()) in released


def _requested(result):
    return {part for one in result.results for part in one.true_subset.expensively_compute_asset_partitions()}
