"""The questions and the Python in README.md and docs/ are run, on a home whose five days are there."""

import pytest

from lt4rec_assets.cli import main
from lt4rec_core.data.analyst import connect, query
from tests.docs.blocks import every
from tests.docs.test_documents import COMMANDS

ELSEWHERE = {
    "ANALYSTS.md": "its commands and answers are compared by test_analysts_page.py",
    "OWN_LOGS.md": "followed literally by tests/docs/test_own_logs.py and tests/slow/test_own_logs.py",
}
"""Documents whose questions and snippets are run by a test of their own."""

QUESTIONS = [
    param
    for param in COMMANDS
    if param.values[1][0].endswith("lt4rec")
    and param.values[1][1] in ("sql", "versions")
    and not param.id.startswith(tuple(ELSEWHERE))
]


@pytest.fixture
def at_home(filled, tmp_path, monkeypatch):
    """A folder in which ``.lt4rec`` is the filled home, as the documents have it."""
    (tmp_path / ".lt4rec").symlink_to(filled.project.settings.home)
    monkeypatch.chdir(tmp_path)
    # The tiny models stay below the floors, so that no ranker is in use: take the newest all the same.
    rankers = sorted((tmp_path / ".lt4rec").glob("models/ranker/*/*"))
    monkeypatch.setattr("lt4rec_core.serving.shelf.served_folder", lambda home: rankers[-1])
    monkeypatch.setenv("LT4REC_HOME", ".lt4rec")
    monkeypatch.setenv("LT4REC_START", str(filled.project.settings.start))


@pytest.mark.parametrize(("assigned", "command"), QUESTIONS)
def test_a_question_is_answered(at_home, assigned, command, capsys):
    assert main(command[1:]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "block", [b for b in every("python") if b.document.name not in ELSEWHERE], ids=lambda b: b.where
)
def test_python_runs_as_it_stands(at_home, block):
    exec(compile(block.text, block.where, "exec"), {"__name__": "shown"})


@pytest.mark.parametrize(
    "block", [b for b in every("sql") if b.document.name not in ELSEWHERE], ids=lambda b: b.where
)
def test_sql_is_answered(at_home, filled, block):
    query(connect(filled.project.settings.home), block.text)
