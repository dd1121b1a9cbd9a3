"""Docstrings of the core: there is one wherever somebody else may look, and it names the errors raised there.

That they are well-formed is ruff's to see (rules D); this reads what it cannot: errors of our own.
"""

import ast

import pytest

from lt4rec_core import errors
from tests.docs.blocks import ROOT

MODULES = sorted((ROOT / "lt4rec_core").rglob("*.py"))
OURS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.Lt4recError)
}


def public(tree, prefix="", kinds=(ast.FunctionDef, ast.ClassDef)):
    """Each public class, function and method, with its name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")


def own_nodes(function):
    """What runs when the function is called, and not when a function inside it is."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield node
            yield from own_nodes(node)


def raised_by(function):
    """The errors of ours that a function raises itself."""
    return {
        node.exc.func.id
        for node in own_nodes(function)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in OURS
    }


def names_of(error):
    """The error and those above it, but for the root, which says too little."""
    return {kind.__name__ for kind in OURS[error].__mro__ if issubclass(kind, OURS[error].__base__)}


def faults_of(tree):
    for name, node in public(tree):
        said = ast.get_docstring(node) or ""
        if not said:
            yield f"{name} has no docstring"
        if isinstance(node, ast.FunctionDef):
            unnamed = {
                e for e in raised_by(node) if not any(n in said for n in names_of(e) - {"Lt4recError"})
            }
            if unnamed:
                yield f"{name} raises {', '.join(sorted(unnamed))} and does not say so"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_says_what_it_is_and_which_errors_it_raises(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)
    assert list(faults_of(tree)) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def f():\n    pass", "f has no docstring"),
        ("class C:\n    'Said.'\n    def m(self):\n        pass", "C.m has no docstring"),
        ("def f():\n    'Said.'\n    raise SourceError('x')", "f raises SourceError and does not say so"),
        ("def f():\n    'Raises LakeError.'\n    raise QueryError('x')", None),
        ("def f():\n    'Said.'\n    raise ValueError('x')", None),
        ("def f():\n    'Said.'\n    def g():\n        raise LakeError('x')", None),
        ("def _f():\n    raise LakeError('x')", None),
    ],
)
def test_the_check_sees_what_it_is_for(code, fault):
    assert list(faults_of(ast.parse(code))) == ([fault] if fault else [])
