"""What must not happen anywhere in the code: a pickle loaded, a port open to others."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = [
    p for room in ("lt4rec_core", "lt4rec_assets", "benchmarks") for p in sorted((ROOT / room).rglob("*.py"))
]
RUNS_WHAT_IT_READS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "pickle5",
}
"""Modules that run code when they load a file that somebody else may have written."""

LOADS = {
    ("torch", "load"): "weights_only",
    ("np", "load"): "allow_pickle",
    ("numpy", "load"): "allow_pickle",
    ("pd", "read_pickle"): None,
    ("pandas", "read_pickle"): None,
}
"""Functions that may unpickle, and the argument that forbids it; None: never."""


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_is_loaded_and_nothing_is_evaluated(path):
    assert offences(path.read_text()) == []


def offences(text):
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in RUNS_WHAT_IT_READS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in RUNS_WHAT_IT_READS:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            found += [f"{name} in line {node.lineno}" for name in called(node) if is_unsafe(name, node)]
    return found


def called(node):
    """What is called: ``eval``, ``torch.load``."""
    if isinstance(node.func, ast.Name):
        yield node.func.id
    elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        yield f"{node.func.value.id}.{node.func.attr}"


def is_unsafe(name, call):
    if name in ("eval", "exec", "__import__", "os.system"):
        return True
    module, _, function = name.partition(".")
    if (module, function) not in LOADS:
        return False
    given = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    wanted = {"weights_only": True, "allow_pickle": False}
    safe = LOADS[module, function]
    return safe is None or given.get(safe) is not wanted[safe]


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x')",
        "pd.read_pickle('x')",
        "eval(x)",
    ],
)
def test_the_search_finds_what_it_looks_for(text):
    assert offences(text)


def test_what_loads_tensors_and_nothing_else_is_allowed():
    assert not offences(
        "torch.load('x', weights_only=True)\nnp.load('x', allow_pickle=False)\nload_tensors(b)"
    )


@pytest.mark.parametrize(
    "name", ["lt4rec_assets", "lt4rec_core", "dagster.yaml", "workspace.yaml", "Makefile"]
)
def test_nothing_listens_to_other_machines(name):
    path = ROOT / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]

    assert [str(f) for f in files if "0.0.0.0" in f.read_text()] == []
