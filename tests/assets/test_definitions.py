import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from lt4rec_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "source", "samples", "features", "training", "tickets", "models", "evaluation", "experiments", "serving",
    "report", "views",
}  # fmt: skip


def test_the_graph_has_the_groups_of_the_plan(filled):
    graph = filled.definitions.resolve_asset_graph()

    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == GROUPS


def test_every_asset_is_described(filled):
    graph = filled.definitions.resolve_asset_graph()

    assert not [key for key in graph.get_all_asset_keys() if not graph.get(key).description]


def test_views_are_seen_with_their_columns_and_what_they_read_and_never_run(filled):
    graph = filled.definitions.resolve_asset_graph()
    views = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "views"}

    assert {".".join(key.path) for key in views} == {view.table for view in filled.project.views}
    assert views == graph.unexecutable_asset_keys
    worst = graph.get(dg.AssetKey(["evaluation", "worst_slices"]))
    assert worst.parent_keys == {dg.AssetKey(["evaluation", "daily_metrics"])}
    told = {c.name: c.description for c in worst.metadata["dagster/column_schema"].columns}
    assert told["n"] == "impressions behind the value [count]"
    assert graph.get(dg.AssetKey(["tickets", "ticket_summary"])).parent_keys == {
        dg.AssetKey(["tickets", "ticket"])
    }
    with pytest.raises(ConfigError, match="matches no asset"):
        filled.backfill(select="group:views")


def test_definitions_can_be_loaded_and_validated(filled):
    dg.Definitions.validate_loadable(filled.definitions)


def test_sharing_is_reported_with_pictures(filled):
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["tickets", "sharing_report"]))
    metadata = event.asset_materialization.metadata

    assert 0 < metadata["density_ctr"].value < 1
    assert 0 <= metadata["jaccard"].value <= 1
    assert metadata["sharing_picture"].value.startswith("![sharing per layer](data:image/png;base64,")
    assert "| ctr, cvr |" in metadata["pairs_of_tasks"].value


def load(tmp_path, **env):
    """Load the definitions in a process of its own; what it printed and which modules it imported."""
    code = (
        "import sys; from lt4rec_assets.definitions import defs; d = defs.load_fn(); "
        "print(' '.join(k.to_user_string() for k in d.resolve_asset_graph().get_all_asset_keys())); "
        "print(' '.join(sys.modules))"
    )
    env = {**os.environ, "LT4REC_HOME": str(tmp_path), **env}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )


def test_loading_imports_neither_torch_nor_great_expectations_nor_pandas_nor_sqlglot(tmp_path):
    done = load(tmp_path)

    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert not modules & {"torch", "numba", "great_expectations", "pandas", "matplotlib", "sqlglot"}


def test_a_wrong_setting_is_named_when_the_definitions_load(tmp_path):
    done = load(tmp_path, LT4REC_SOURCE="nowhere")

    assert done.returncode != 0
    assert "unknown source 'nowhere'; there are: custom, kuairand, simulator" in done.stderr


def test_a_source_without_a_truth_has_no_asset_for_it(tmp_path):
    done = load(
        tmp_path, LT4REC_SOURCE="kuairand", LT4REC_START="2022-04-25", LT4REC_SOURCE_PATH=str(tmp_path)
    )

    assert done.returncode == 0, done.stderr
    assert "source/impression_log" in done.stdout.split()
    assert "source/truth" not in done.stdout.split()
    assert "source/truth" in load(tmp_path / "simulated").stdout.split()
