"""docs/ANALYSTS.md: every command and snippet runs, and answers with the columns that the page shows."""

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from lt4rec_assets.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ANALYSTS.md"
BLOCK = re.compile(r"```(?P<kind>sh|python|text)\n(?P<body>.*?)```", re.DOTALL)


def blocks():
    return [(m["kind"], m["body"]) for m in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def commands(body):
    """The commands of a block; one goes on in the next line inside its quotes."""
    return [shlex.split(c) for c in re.split(r"\n(?=\.venv/bin/)", body.strip())]


def headers(text):
    """The lines that name columns: of tables with a frame, and of versions, CSV and descriptions."""
    framed = [[c.strip() for c in a.split("│")[1:-1]] for a in after_lines(text, "┌")]
    plain = [line.split() for line in text.splitlines() if line.startswith((" version", "column ", "dt,"))]
    return framed + plain


def after_lines(text, first):
    lines = text.splitlines()
    return [b for a, b in pairwise(lines) if a.startswith(first)]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Where the page's reader stands; what the page writes lies here."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "question.sql").write_text("select count(*) as n from samples.clicks\n")
    return folder


@pytest.fixture
def reader(filled, elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere)
    for name, value in (("HOME", str(filled.project.settings.home)), ("TICKET_DAYS", "2")):
        monkeypatch.setenv(f"LT4REC_{name}", value)
    monkeypatch.setenv("LT4REC_START", "2026-01-05")
    monkeypatch.setenv("LT4REC_END", "2026-01-09")


def run(command, monkeypatch):
    """What one command prints; its exit status is 2 where it is refused."""
    arguments = command[1:]
    if "<" in arguments:
        *arguments, _, path = arguments
        monkeypatch.setattr("sys.stdin", io.StringIO(Path(path).read_text()))
    return main(arguments)


def test_every_command_and_snippet_runs_and_answers_with_the_columns_shown(reader, monkeypatch, capsys):
    names, said, n_asked = {}, "", 0
    for kind, body in blocks():
        if kind == "sh":
            statuses = [run(command, monkeypatch) for command in commands(body)]
            captured = capsys.readouterr()
            said, n_asked = captured.out, n_asked + len(statuses)
            refused = "from sample.click" in body
            assert statuses == [2 if refused else 0] * len(statuses), captured.err
        elif kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, str(PAGE), "exec"), names)
            said = out.getvalue()
        else:
            assert [h for h in headers(body) if h not in headers(said)] == [], said
    assert n_asked >= 15


def test_the_page_answers_ten_questions():
    questions = re.findall(r"^### (\d+)\. .*\?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert questions == [str(n) for n in range(1, 11)]


def test_polars_reads_what_a_connection_answers(reader):
    polars = pytest.importorskip("polars", reason="polars is the reader's own")
    from lt4rec_core.data import lake

    con = lake.connect()
    table = con.sql("select dt, user_id from samples.clicks").to_arrow_table()
    assert polars.from_arrow(table).shape == (len(table), 2)
