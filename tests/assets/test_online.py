"""Table 3 on the small home that was raced: what is published, and what is left without a truth."""

import dagster as dg
import pytest

from lt4rec_assets.defs.online import ONLINE
from lt4rec_assets.race import run_race
from lt4rec_core.experiments.logged import METRICS as LOGGED
from lt4rec_core.experiments.online import METRICS as SIMULATED
from lt4rec_core.experiments.online import OnlineConfig

SIZE = {"n_requests": 25, "n_candidates": 20, "n_shown": 4}
POLICIES = 6


@pytest.fixture(autouse=True)
def no_other_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def run(home, **size):
    job = home.definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.from_config(str(home.project.settings.home / "dagster")) as instance:
        return job.execute_in_process(
            instance=instance,
            asset_selection=[ONLINE],
            run_config={"ops": {ONLINE.to_python_identifier(): {"config": {**SIZE, **size}}}},
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def ranked(raced):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        assert run(raced).success
    return raced


def values(home, metric):
    sql = f"select policy, value from experiments.online_simulation where metric = '{metric}'"
    return dict(home.ask(sql))


def test_every_policy_the_truth_and_lots_are_in_the_table(ranked):
    found = ranked.ask("select data, metric, count(*) from experiments.online_simulation group by all")

    counts = {(data, metric): n for data, metric, n in found}
    assert {metric: counts["simulated", metric] for metric in SIMULATED} == dict.fromkeys(
        SIMULATED, POLICIES + 2
    )
    assert counts["logged", "ndcg_at_10"] == POLICIES + 2
    assert {metric for data, metric in counts if data == "logged"} == set(LOGGED)


def test_the_truth_ranks_better_than_any_policy_and_lots_worse(ranked):
    found = values(ranked, "expected_view_time")

    oracle, random = found.pop("oracle"), found.pop("random")
    assert len(found) == POLICIES
    assert random < min(found.values()) <= max(found.values()) < oracle


def test_the_single_task_models_are_the_reference_of_all(ranked):
    rows = ranked.ask(
        "select ctr_row, cvr_row, n_seeds, difference, ci_low, user_high from experiments.online_simulation "
        "where metric = 'view_time' and policy = reference"
    )

    assert rows == [("base_ctr", "base_cvr", 2, 0, 0, 0)]


def test_the_sweep_holds_the_exponents_of_table_3(ranked):
    ((view_time,),) = ranked.ask(
        "select view_time from experiments.online_exponents "
        "where policy = 'base_ctr*base_cvr*length' and (a, b, c) = (1, 1, 1)"
    )

    assert view_time == pytest.approx(values(ranked, "view_time")["base_ctr*base_cvr*length"])
    metadata = ranked.latest("experiments/online_simulation")
    assert metadata["exponents"].value.startswith("![view time")
    assert "oracle" in metadata["table_3"].value


def test_a_second_run_gives_the_same_and_fits_nothing(ranked, monkeypatch):
    from lt4rec_core.experiments.race import Race

    before = ranked.ask("from experiments.online_simulation order by all")
    monkeypatch.setattr(Race, "fit", None)

    assert run(ranked).success
    assert ranked.ask("from experiments.online_simulation order by all") == before


def test_a_source_that_replays_logs_has_the_logged_metrics_and_says_why_no_others(ranked, monkeypatch):
    monkeypatch.delattr("lt4rec_core.data.simulator.draw_requests")

    assert run(ranked).success

    metadata = ranked.latest("experiments/online_simulation")
    assert metadata["simulated"].value is False
    assert "cannot be simulated: it replays logs" in metadata["why_not_simulated"].value
    assert ranked.ask("select distinct data from experiments.online_simulation") == [("logged",)]


def test_impossible_sizes_are_refused_by_name(ranked):
    result = run(ranked, n_shown=21)

    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    assert "n_shown is 21, more than the 20 candidates" in failure.event_specific_data.error.to_string()


def test_one_command_runs_it_at_its_usual_size(raced, monkeypatch):
    asked = []
    told = {"simulated": True}
    monkeypatch.setattr("lt4rec_assets.online.publish_online", lambda *a: asked.append(a[2]) or told)

    outcome = run_race(raced.project.settings, (), (), say=lambda line: None, online=True)

    assert [key for key, _ in outcome.green] == [ONLINE]
    assert asked == [OnlineConfig(n_requests=1000, n_candidates=50, n_shown=10)]
