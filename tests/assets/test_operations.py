"""docs/OPERATIONS.md: what it tells people to type works; test_documents.py asks its questions."""

import re
import shlex
from pathlib import Path

import dagster as dg
import pytest
import yaml

from lt4rec_assets.backfill import read_waivers
from lt4rec_assets.cli import _parser
from lt4rec_assets.graph import beta_features
from lt4rec_assets.settings import read_settings
from lt4rec_core.model.variants import get_variants
from lt4rec_core.quality.thresholds import Thresholds

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith(".venv/bin/lt4rec ")
]


def test_the_page_shows_commands():
    assert {command[0] for command in COMMANDS} == {"backfill", "prepare", "race", "sql", "versions"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_parses(command):
    args = _parser().parse_args(command)

    if command[0] == "backfill":
        read_waivers(args.waive, args.first, args.last)
    if command[0] == "race":
        get_variants((*args.rows, *args.ablate))


def test_what_is_to_be_selected_exists(filled):
    graph = filled.definitions.resolve_asset_graph()
    for command in COMMANDS:
        if command[0] == "backfill":
            with beta_features():
                chosen = dg.AssetSelection.from_string(_parser().parse_args(command).select)
                assert chosen.resolve(graph)


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if b.startswith("ops:")])
def test_a_configuration_for_the_launchpad_fits(filled, block):
    config = yaml.safe_load(block)
    (op,) = config["ops"]
    definitions = filled.definitions
    is_vacuum = op == "remove_old_versions"
    job = (
        definitions.resolve_job_def("vacuum")
        if is_vacuum
        else definitions.resolve_implicit_global_asset_job_def()
    )

    assert dg.validate_run_config(job, config)["ops"][op]


def test_the_settings_shown_are_known_and_say_their_defaults(tmp_path):
    tomls = "\n".join(blocks("toml"))
    (tmp_path / "lt4rec.toml").write_text(tomls)

    settings = read_settings({"LT4REC_HOME": str(tmp_path)})

    assert settings.automation == type(settings.automation)()
    assert settings.quality == Thresholds(min_rows=1000)
    for name in Thresholds().as_params():
        assert f"\n{name} = " in tomls


def test_the_files_and_names_it_speaks_of_exist(filled):
    repository = filled.definitions.get_repository_def()
    names = {s.name for s in (*repository.schedule_defs, *repository.sensor_defs)}
    for name in names:
        assert f"`{name}`" in PAGE
    for path in ("workspace.yaml", "dagster.yaml", "requirements.lock", ".env.example"):
        assert path in PAGE
        assert (ROOT / path).exists()
