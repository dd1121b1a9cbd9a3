import dagster as dg
import pytest

from lt4rec_assets import labels
from lt4rec_assets.graph import build_graph
from lt4rec_assets.labels import code_version
from lt4rec_assets.project import Project
from lt4rec_assets.settings import read_settings
from lt4rec_core.errors import ConfigError
from lt4rec_core.quality.suites import CHECKS


def project_of(tmp_path, toml="", **env):
    (tmp_path / "lt4rec.toml").write_text(toml)
    return Project.of(read_settings({"LT4REC_HOME": str(tmp_path), **env}))


def specs_of(project):
    graph = build_graph(project).resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_owners_of_the_settings_stand_on_every_asset(tmp_path):
    project = project_of(tmp_path, '[operation]\nowners = ["team:video", "ada@example.com"]\n')

    assert all(set(spec.owners) == {"team:video", "ada@example.com"} for spec in specs_of(project).values())


def test_without_a_setting_nobody_is_named_as_owner(tmp_path):
    assert not any(spec.owners for spec in specs_of(project_of(tmp_path)).values())


@pytest.mark.parametrize(
    ("owners", "message"),
    [
        ('["video"]', r"owner 'video' is neither a mail address nor a team"),
        ('"team:video"', r"owners is 'team:video', which is no list of texts"),
    ],
)
def test_an_owner_that_dagster_would_refuse_is_named_as_a_setting(tmp_path, owners, message):
    with pytest.raises(ConfigError, match=message):
        project_of(tmp_path, f"[operation]\nowners = {owners}\n")


def test_every_asset_has_domain_and_source_as_tags_kinds_and_a_code_version(tmp_path):
    for name, spec in specs_of(project_of(tmp_path)).items():
        assert spec.tags["domain"] == name.split("/")[0]
        assert spec.tags["source"] == "simulator"
        assert spec.kinds, name
        assert spec.code_version, name


def test_gated_assets_can_be_selected_by_tag(tmp_path):
    graph = build_graph(project_of(tmp_path)).resolve_asset_graph()

    gated = dg.AssetSelection.from_string("tag:gated=yes").resolve(graph)

    assert {".".join(key.path) for key in gated} == set(CHECKS)


def versions_of(project):
    return {name: spec.code_version for name, spec in specs_of(project).items()}


def test_a_change_of_training_settings_changes_the_code_version_of_what_learns_and_of_nothing_else(tmp_path):
    before = versions_of(project_of(tmp_path))
    after = versions_of(project_of(tmp_path, "[training]\nbatch_size = 64\n"))

    assert {name for name in before if before[name] != after[name]} >= {
        "tickets/ticket",
        "tickets/sharing_report",
        "models/snet",
        "models/baseline",
        "evaluation/predictions",
    }
    assert {
        name: v for name, v in before.items() if name.split("/")[0] in ("source", "samples", "features")
    }.items() <= after.items()


def test_code_counts_and_comments_do_not(tmp_path, monkeypatch):
    project = project_of(tmp_path)
    monkeypatch.setattr(labels, "CORE", tmp_path)

    def version(text):
        labels._digest_of_code.cache_clear()
        (tmp_path / "part.py").write_text(text)
        return code_version(project, "part.py")

    plain = version("x = 1\n")
    assert version("# why\n\nx = 1\n") == plain
    assert version("x = 2\n") != plain
    labels._digest_of_code.cache_clear()
