"""The house plan holds: rooms in reading order, imports one way, the core without Dagster."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE_ROOMS = [
    "errors",
    "config",
    "catalogue",
    "data",
    "quality",
    "model",
    "evaluation",
    "training",
    "serving",
    "experiments",
    "report",
]
ASSET_ROOMS = [
    "cluster_settings",
    "settings",
    "trials",
    "partitions",
    "project",
    "tables_page",
    "provenance",
    "resources",
    "metadata",
    "progress",
    "labels",
    "gate",
    "tables",
    "learning",
    "research",
    "cells",
    "cluster",
    "cluster_day",
    "findings",
    "online",
    "report",
    "defs",
    "schedule",
    "graph",
    "records",
    "postgres",
    "home",
    "outcome",
    "webhook",
    "backfill",
    "race",
    "study",
    "study_report",
    "automation",
    "definitions",
    "demo",
    "commands",
    "cli",
]
HEAVY = {
    "torch",
    "numba",
    "onnx",
    "great_expectations",
    "pandas",
    "matplotlib",
    "sklearn",
    "vl_convert",
    "sqlalchemy",
    "dagster_postgres",
    "dagster_ray",
    "ray",
}


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports_of(path):
    """Every dotted name a module imports, at the top of the file or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def room_of(dotted):
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else None


@pytest.mark.parametrize("path", modules("lt4rec_core"), ids=str)
def test_the_core_imports_neither_dagster_nor_the_assets(path):
    assert not [n for n in imports_of(path) if n.split(".")[0] in ("dagster", "lt4rec_assets")]


@pytest.mark.parametrize(
    ("package", "rooms"),
    [("lt4rec_core", CORE_ROOMS), ("lt4rec_assets", ASSET_ROOMS)],
    ids=lambda x: str(x)[:11],
)
def test_a_room_imports_only_from_the_rooms_above_it(package, rooms):
    upward = []
    for path in modules(package):
        here = path.relative_to(ROOT / package).with_suffix("").parts[0]
        if here == "__init__":
            continue
        for name in imports_of(path):
            if name.startswith(package + ".") and rooms.index(room_of(name)) > rooms.index(here):
                upward.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not upward


@pytest.mark.parametrize("path", modules("lt4rec_assets"), ids=str)
def test_loading_the_definitions_imports_nothing_heavy(path):
    top_level = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {a.name for n in top_level if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in top_level if isinstance(n, ast.ImportFrom)}
    assert not {n for n in names if n.split(".")[0] in HEAVY}


def test_every_module_has_a_docstring():
    missing = [
        str(p)
        for p in modules("lt4rec_core") + modules("lt4rec_assets")
        if not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not missing


def test_every_module_of_the_core_has_a_test_file_of_its_name():
    tests = {p.name for p in (ROOT / "tests").rglob("test_*.py")}
    untested = [
        str(p.relative_to(ROOT))
        for p in modules("lt4rec_core")
        if p.stem != "__init__" and f"test_{p.stem}.py" not in tests
    ]
    assert not untested
