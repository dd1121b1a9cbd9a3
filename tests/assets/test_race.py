import pytest

from lt4rec_assets.race import run_race
from lt4rec_core.errors import ConfigError
from lt4rec_core.model.variants import SCARCITY_ROWS

TOML = """
[source]
impressions_per_day = 400
n_users = 60
new_users_per_day = 2
n_videos = 50
new_videos_per_day = 2

[network]
embedding_dim = 4
hidden = [16, 8]

[training]
batch_size = 128

[pruning]
n_pruning = 1
q = 0.5

[experiments]
seeds = 2
n_test = 1
n_trials = 1
max_epochs = 1
label_shares = [0.5]
"""
ROWS = ("base_ctr", "base_cvr", "s_weight", "random_masks_independent")


@pytest.fixture(scope="module")
def raced_home(tmp_path_factory, make_home):
    """A home with the samples of five small days."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        home = make_home(tmp_path_factory.mktemp("raced"), TOML)
        made = home.backfill(select="group:source or group:samples or group:features or group:training")
        assert made.ok
        yield home


@pytest.fixture(scope="module")
def raced(raced_home):
    """A home in which some rows were raced with two seeds, at all and at half of the labels."""
    said = []
    outcome = run_race(raced_home.project.settings, ROWS, (), say=said.append)
    return raced_home, outcome, said


def keys_of(outcome, asset):
    return [partition for key, partition in outcome.green if key.path[-1] == asset]


def test_every_row_is_tuned_once_and_every_seed_is_a_cell(raced):
    _, outcome, _ = raced

    assert outcome.ok, outcome.failed
    assert keys_of(outcome, "tuned_settings") == list(ROWS)
    assert set(keys_of(outcome, "variant_run")) == {
        f"{share}|{row}|{seed}" for share in ("1", "0.5") for row in ROWS for seed in (0, 1)
    }


def test_analysts_read_the_comparison_in_the_lake(raced):
    home, _, _ = raced

    found = home.ask("select variant, metric, reference, n_seeds, value, difference, reference_value from "
                     "experiments.offline_comparison order by variant, metric")  # fmt: skip

    assert [row[:4] for row in found] == [
        ("random_masks_independent", "ctr_auc", "base_ctr", 2),
        ("random_masks_independent", "cvr_mse", "base_cvr", 2),
        ("s_weight", "ctr_auc", "base_ctr", 2),
        ("s_weight", "cvr_mse", "base_cvr", 2),
    ]
    assert all(abs(value - reference - difference) < 1e-12 for *_, value, difference, reference in found)


def test_the_scarcity_curve_has_every_share(raced):
    home, _, _ = raced

    shares = home.ask("select distinct label_share from experiments.label_scarcity order by 1")

    assert shares == [(0.5,), (1.0,)]
    assert set(ROWS) < {*SCARCITY_ROWS}


def test_the_summary_says_which_rows_are_not_complete_and_shows_the_figures(raced):
    home, _, _ = raced

    metadata = home.latest("experiments/offline_comparison")

    assert "hard_sharing" in metadata["rows_not_complete"].value
    assert "s_weight" not in metadata["rows_not_complete"].value.split(", ")
    for name in ("figure_3", "figure_4"):
        assert "data:image/png;base64," in metadata[name].value
    assert "data:image/png;base64," in home.latest("experiments/label_scarcity")["curve"].value


def test_a_race_that_is_run_again_repeats_no_finished_cell(raced):
    home, _, _ = raced

    outcome = run_race(home.project.settings, ("s_weight",), (0.5,), say=lambda line: None, tables=False)

    assert keys_of(outcome, "variant_run") == ["0.5|s_weight|0", "0.5|s_weight|1"]
    assert home.latest("experiments/variant_run", "0.5|s_weight|0")["reused"].value is True


@pytest.mark.parametrize(
    ("rows", "shares", "message"),
    [
        (("s_wait",), (), "Unknown variant: s_wait"),
        ((), (0.25,), r"--shares 0.25: this home has 1, 0.5"),
    ],
)
def test_what_is_no_row_or_share_of_this_home_is_named(raced, rows, shares, message):
    home, _, _ = raced

    with pytest.raises(ConfigError, match=message):
        run_race(home.project.settings, rows, shares, say=lambda line: None)


def test_a_cell_that_fails_takes_no_other_along(raced_home, monkeypatch):
    from lt4rec_assets.research import Research
    from lt4rec_core.errors import TrainingError

    run = Research.run

    def sometimes(self, cell):
        if (cell.variant, cell.seed) == ("full_sharing", 0):
            raise TrainingError("this seed went wrong")
        return run(self, cell)

    monkeypatch.setattr(Research, "run", sometimes)

    outcome = run_race(
        raced_home.project.settings, ("full_sharing",), (1.0,), say=lambda line: None, tables=False
    )

    assert [partition for _, partition in outcome.failed] == ["1|full_sharing|0"]
    assert "this seed went wrong" in next(iter(outcome.failed.values()))
    assert keys_of(outcome, "variant_run") == ["1|full_sharing|1"]
