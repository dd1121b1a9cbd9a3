"""What the UI says of settings, resources and jobs before anybody starts something."""

import dagster as dg
import pytest
from pydantic import ValidationError

from lt4rec_assets.definitions import build_definitions
from lt4rec_assets.defs.evaluation import MetricsConfig
from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings

JOBS = ("daily_chain", "vacuum")
NEEDED = {"day", "check", "reason"}
"""Settings that nobody can guess: which day, which check, and why."""


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return build_definitions(Project.of(read_settings({"LT4REC_HOME": str(home)})))


def jobs_of(definitions):
    return [definitions.resolve_implicit_global_asset_job_def(), *map(definitions.resolve_job_def, JOBS)]


def fields_of(type_, path):
    """Every setting of a configuration, those inside lists too."""
    inner = getattr(type_, "inner_type", None)
    if inner is not None:
        yield from fields_of(inner, path)
    for name, field in (getattr(type_, "fields", None) or {}).items():
        yield (*path, name), field
        yield from fields_of(field.config_type, (*path, name))


def settings_of(definitions):
    for job in jobs_of(definitions):
        for node in job.all_node_defs:
            if node.has_config_field:
                yield from fields_of(node.config_schema.config_type, (node.name,))


def test_the_assets_that_can_be_configured_are_those_one_may_say_something_to(definitions):
    configured = {path[0] for path, _ in settings_of(definitions)}

    assert configured >= {
        "samples__impressions",
        "training__samples",
        "evaluation__predictions",
        "evaluation__daily_metrics",
        "tickets__ticket",
        "models__snet",
        "models__baseline",
        "run_the_day",
        "remove_old_versions",
    }


def test_every_setting_is_described_and_has_a_default_unless_nobody_could_guess_it(definitions):
    for path, field in settings_of(definitions):
        assert len(field.description or "") > 20, path
        assert field.default_provided or path[-1] in NEEDED, path


@pytest.mark.parametrize("n", [19, 10_001])
def test_a_number_has_bounds_which_its_description_tells(definitions, n):
    (described,) = [f.description for path, f in settings_of(definitions) if path[-1] == "n_replicates"]

    assert "from 20 to 10,000" in described
    with pytest.raises(ValidationError):
        MetricsConfig(n_replicates=n)


def test_resources_and_their_settings_are_described(definitions):
    resources = definitions.resolve_implicit_global_asset_job_def().resource_defs

    assert set(resources) == {"lake", "store", "cluster", "io_manager"}
    for name, resource in resources.items():
        assert resource.description, name
        for path, field in fields_of(resource.config_schema.config_type, (name,)):
            assert field.description, path


def test_jobs_their_steps_schedules_and_sensors_are_described(definitions):
    for job in jobs_of(definitions)[1:]:
        assert job.description, job.name
        assert all(node.description for node in job.all_node_defs), job.name
    assert all(one.description for one in [*definitions.schedules, *definitions.sensors])


def test_no_value_goes_from_asset_to_asset_past_the_lake(definitions):
    @dg.asset
    def number() -> int:
        return 7

    io_manager = definitions.resources["io_manager"]
    done = dg.materialize([number], resources={"io_manager": io_manager}, raise_on_error=False)

    (failure,) = done.filter_events(lambda event: event.is_step_failure)
    assert "values go through the lake" in failure.step_failure_data.error.to_string()
