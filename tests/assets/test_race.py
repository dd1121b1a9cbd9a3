import pytest

from lt4rec_assets.race import run_race
from lt4rec_assets.report import write_report
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.variants import SCARCITY_ROWS

ROWS = ("base_ctr", "base_cvr", "s_weight")
"""Those that the fixture ``raced`` has raced."""


@pytest.fixture(autouse=True)
def no_other_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def keys_of(outcome, asset):
    return [partition for key, partition in outcome.green if key.path[-1] == asset]


def test_every_row_is_tuned_once_and_every_seed_is_a_cell(raced):
    outcome = raced.raced

    assert outcome.ok, outcome.failed
    assert keys_of(outcome, "tuned_settings") == list(ROWS)
    assert set(keys_of(outcome, "variant_run")) == {
        f"{share}|{row}|{seed}" for share in ("1", "0.5") for row in ROWS for seed in (0, 1)
    }


def test_analysts_read_the_comparison_in_the_lake(raced):
    found = raced.ask("select variant, metric, reference, n_seeds, value, difference, reference_value from "
                     "experiments.offline_comparison order by variant, metric")  # fmt: skip

    assert [row[:4] for row in found] == [
        ("s_weight", "ctr_auc", "base_ctr", 2),
        ("s_weight", "cvr_mse", "base_cvr", 2),
    ]
    assert all(abs(value - reference - difference) < 1e-12 for *_, value, difference, reference in found)


def test_analysts_compare_the_variants_in_one_view(raced):
    found = raced.ask(
        "select variant, ctr_verdict, cvr_verdict, n_seeds from experiments.variant_comparison "
        "order by variant"
    )

    assert found[0] == ("base_ctr", "reference", None, 2)
    assert found[1] == ("base_cvr", None, "reference", 2)
    assert [(row[0], row[3]) for row in found[2:]] == [("s_weight", 2)]
    assert {*found[2][1:3]} <= {"better", "worse", "level"}


def test_the_scarcity_curve_has_every_share(raced):
    shares = raced.ask("select distinct label_share from experiments.label_scarcity order by 1")

    assert shares == [(0.5,), (1.0,)]
    assert set(ROWS) < {*SCARCITY_ROWS}


def test_the_summary_says_which_rows_are_not_complete_and_shows_the_figures(raced):
    metadata = raced.latest("experiments/offline_comparison")

    assert "hard_sharing" in metadata["rows_not_complete"].value
    assert "s_weight" not in metadata["rows_not_complete"].value.split(", ")
    for name in ("figure_3", "figure_4"):
        assert "data:image/png;base64," in metadata[name].value
    assert "data:image/png;base64," in raced.latest("experiments/label_scarcity")["curve"].value


def test_a_race_that_is_run_again_repeats_no_finished_cell(raced):
    outcome = run_race(raced.project.settings, ("s_weight",), (0.5,), say=lambda line: None, tables=False)

    assert keys_of(outcome, "variant_run") == ["0.5|s_weight|0", "0.5|s_weight|1"]
    assert raced.latest("experiments/variant_run", "0.5|s_weight|0")["reused"].value is True


def test_a_race_of_scarce_labels_alone_leaves_table_two_alone(raced):
    outcome = run_race(raced.project.settings, ("base_ctr",), (0.5,), say=lambda line: None)

    assert outcome.ok
    assert keys_of(outcome, "label_scarcity")
    assert not keys_of(outcome, "offline_comparison")


@pytest.mark.parametrize(
    ("rows", "shares", "message"),
    [
        (("s_wait",), (), "Unknown variant: s_wait"),
        ((), (0.25,), r"--shares 0.25: this home has 1, 0.5"),
    ],
)
def test_what_is_no_row_or_share_of_this_home_is_named(raced, rows, shares, message):
    with pytest.raises(ConfigError, match=message):
        run_race(raced.project.settings, rows, shares, say=lambda line: None)


def test_a_cell_that_fails_takes_no_other_along(raced, monkeypatch):
    from lt4rec_assets.research import Research
    from lt4rec_core.errors import TrainingError

    run = Research.run

    def sometimes(self, cell):
        if (cell.variant, cell.seed) == ("full_sharing", 0):
            raise TrainingError("this seed went wrong")
        return run(self, cell)

    monkeypatch.setattr(Research, "run", sometimes)

    outcome = run_race(raced.project.settings, ("full_sharing",), (1.0,), say=lambda line: None, tables=False)

    assert [partition for _, partition in outcome.failed] == ["1|full_sharing|0"]
    assert "this seed went wrong" in next(iter(outcome.failed.values()))
    assert keys_of(outcome, "variant_run") == ["1|full_sharing|1"]


def test_a_row_is_taken_apart_on_the_validation_day(raced):
    outcome = run_race(raced.project.settings, (), (), say=lambda line: None, ablate=("base_cvr",))

    assert outcome.ok, outcome.failed
    found = raced.ask("select dt, variant, change, n_seeds from experiments.ablations order by change")
    assert {str(day) for day, *_ in found} == {"2026-01-07"}
    assert {(variant, n) for _, variant, _, n in found} == {("base_cvr", 2)}
    assert {"the other CVR loss", "2 passes"} <= {change for _, _, change, _ in found}


def test_an_interrupt_ends_the_race_and_not_just_a_cell(raced, monkeypatch):
    from dagster._core.errors import DagsterExecutionInterruptedError

    from lt4rec_assets.research import Research

    def interrupted(self, cell):
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(Research, "run", interrupted)

    with pytest.raises(KeyboardInterrupt):
        run_race(raced.project.settings, ("base_ctr",), (1.0,), say=lambda line: None, tables=False)


def test_the_report_of_a_raced_home_shows_table_two_and_the_tickets_of_the_race(raced, tmp_path):
    """It stands here, beside the others that need this home."""
    written = write_report(raced.project, tmp_path / "page.html")
    text = written.path.read_text()

    assert 'id="chart-race-cvr-mse"' in text
    assert 'id="chart-sharing-race"' in text
    missing = {gap.asset: gap.why for _, gap in written.gaps}
    assert "tickets/ticket" in missing  # no model of this home was trained
    assert "hard_sharing" in missing["experiments/variant_run"]
