import subprocess
import sys
from dataclasses import replace

import pytest

from lt4rec_core.errors import ConfigError
from lt4rec_core.model.tasks import get_tasks
from lt4rec_core.model.variants import SCARCITY_ROWS, SINGLE_TASK, VARIANTS, Variant, get_variants
from lt4rec_core.training.settings import TrainingConfig
from lt4rec_core.training.tickets import PruneConfig


@pytest.mark.parametrize("name", VARIANTS)
def test_the_settings_that_define_a_row_are_settings(name):
    variant = VARIANTS[name]

    replace(TrainingConfig(), **dict(variant.training))
    replace(PruneConfig(), **dict(variant.pruning))


def test_the_rows_of_table_2_are_all_there():
    table_2 = """base_ctr base_cvr hard_sharing s_weight s_neuron s_weight_taskbalance
    s_weight_gradientconflict_raise s_weight_gradientconflict_damp s_weight_multiview s_weight_biggernet
    s_weight_tuning"""
    assert {v.name for v in VARIANTS.values() if v.group == "paper"} >= set(table_2.split())


def test_esmm_learns_cvr_from_all_impressions():
    ctr, entire = VARIANTS["esmm"].tasks

    assert (ctr, entire.sample, entire.label) == (*get_tasks(["ctr"]), "all", "click_watch_ratio")


def test_masks_over_anything_but_one_trunk_make_no_sense():
    with pytest.raises(ConfigError, match="one shared trunk"):
        Variant(name="x", group="control", description="", sharing="mmoe", masks="tickets")


def test_an_unknown_row_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"Unknown variant: s_wieght. Known are base_ctr"):
        get_variants(["s_wieght"])


def test_the_table_can_be_read_without_pytorch():
    code = "import sys, lt4rec_core.model.variants; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_beyond_the_paper_have_a_fixed_density_and_random_masks_to_be_compared_with():
    """Of equal rounds and quantiles the last round keeps equal shares, whatever ranks the weights."""

    def kept(variant):
        pruning = replace(PruneConfig(), **dict(variant.pruning))
        assert pruning.choose == "last"
        return round((1 - pruning.q) ** pruning.n_pruning, 2)

    random = {kept(VARIANTS[f"random_masks_{name}"]) for name in ("fixed_sparsity", "4percent", "together")}
    beyond = [variant for variant in VARIANTS.values() if variant.group == "beyond"]
    assert beyond
    assert {kept(variant) for variant in beyond} <= random


def test_the_rows_of_the_scarcity_curve_are_rows():
    assert set(SINGLE_TASK) < set(SCARCITY_ROWS) <= set(VARIANTS)
