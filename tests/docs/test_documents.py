"""What README.md and docs/ tell people to type, set and follow: it exists and is spelled so.

tests/assets/test_documents.py runs the questions and the Python on a filled home; tests/docs/test_own_logs.py
follows OWN_LOGS.md literally.
"""

import importlib.util
import re
import shlex
import tomllib
from itertools import takewhile

import dagster as dg
import pytest

from lt4rec_assets.cli import _parser
from lt4rec_assets.graph import beta_features
from lt4rec_assets.settings import read_settings
from lt4rec_core.data.sources import load_source
from tests.docs.blocks import DOCUMENTS, ROOT, every

LANGUAGES = {"sh", "python", "sql", "toml", "yaml", "nginx", "json", "text"}
NOT_OURS = {
    "dagster": "Dagster's own command line; jobs that it runs are run in tests/assets",
    "dagster-daemon": "a server that does not end; tests/slow starts it",
    "dagster-webserver": "a server that does not end; tests/slow starts it",
    "cp": "copies the example of the settings",
    "docker": "needs an engine; tests/test_deployment.py reads compose.yaml",
    "diff": "compares a home's dagster.yaml with the project's",
    "ray": "starts servers; tests/slow/support/ray.py starts one",
    "sudo": "needs a machine's root: passwords for nginx",
}
"""Programs whose lines are not run, and why; whatever is not named here is run or checked."""

VARIABLES = set(re.findall(r"\bLT4REC_[A-Z_]+\b", (ROOT / "lt4rec_assets" / "settings.py").read_text()))
FOR_TESTS = {"LT4REC_TEST_KUAIRAND": "where the tests find the real logs"}
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands_of(block):
    """The commands of a ``sh`` block: variables set before each, and its words."""
    pending = ""
    for line in block.text.splitlines():
        pending += line.removesuffix("\\") + ("" if line.endswith("\\") else "\n")
        try:
            words = [] if line.endswith("\\") else shlex.split(pending, comments=True)
        except ValueError:  # a quotation goes on in the next line
            continue
        if not words:
            pending = pending if line.endswith("\\") else ""
            continue
        words = words[: next((i for i, word in enumerate(words) if word in ("<", ">", "|")), None)]
        assigned = list(takewhile(lambda word: re.match(r"[A-Z0-9_]+=", word), words))
        yield assigned, words[len(assigned) :]
        pending = ""
    assert not pending, f"{block.where}: {pending!r} does not end"


COMMANDS = [
    pytest.param(assigned, command, id=f"{block.where} {' '.join(command)[:60]}")
    for block in every("sh")
    for assigned, command in commands_of(block)
]


@pytest.mark.parametrize("block", every(), ids=lambda block: block.where)
def test_a_block_says_what_it_is(block):
    assert block.language in LANGUAGES


@pytest.mark.parametrize(("assigned", "command"), COMMANDS)
def test_a_command_is_one_that_there_is(assigned, command):
    program = command[0].rpartition("/")[2]
    if program == "export":
        assigned = [*assigned, *command[1:]]
    elif program == "lt4rec":
        args = _parser().parse_args(command[1:])
        if hasattr(args, "select"):
            with beta_features():
                dg.AssetSelection.from_string(args.select)
    elif program == "make":
        assert set(w for w in command[1:] if "=" not in w) <= TARGETS
    elif program in ("python", "python3"):
        if command[1] == "-m":
            assert importlib.util.find_spec(command[2])
        else:
            assert any(command[1] == block.file for block in every()), "a script of the document itself"
    else:
        assert program in NOT_OURS
    names = {word.partition("=")[0] for word in assigned}
    assert {n for n in names if n.startswith("LT4REC_")} <= VARIABLES


def test_each_program_that_is_left_alone_is_met():
    met = {command[0].rpartition("/")[2] for _, command in (p.values for p in COMMANDS)}

    assert set(NOT_OURS) <= met


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_variable_or_target_that_a_document_names_exists(document):
    text = document.read_text(encoding="utf-8")

    assert set(re.findall(r"\bLT4REC_[A-Z][A-Z_]*\b", text)) <= VARIABLES | set(FOR_TESTS)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= TARGETS


def test_every_variable_stands_in_the_example():
    assert set(re.findall(r"\bLT4REC_[A-Z_]+\b", (ROOT / ".env.example").read_text())) == VARIABLES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(there), f"{document.name} links to {target}"


def anchors_of(document):
    """As GitHub makes them: lower case, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ +(.+?)\s*$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("block", every("toml"), ids=lambda block: block.where)
def test_settings_shown_are_accepted(block, tmp_path):
    toml = tomllib.loads(block.text)
    if "feature" in toml:
        folder = tmp_path / "shown"
        folder.mkdir()
        (folder / "source.toml").write_text(block.text)
        assert load_source(ROOT / "sql", str(folder)).catalogue.features
        return
    (tmp_path / "lt4rec.toml").write_text(block.text)
    settings = read_settings({"LT4REC_HOME": str(tmp_path)})
    learn(settings)


def learn(settings):
    """What the settings reader only passes on is read by those who learn."""
    from lt4rec_assets.learning import Learning
    from lt4rec_assets.project import Project
    from lt4rec_assets.research import Research
    from lt4rec_assets.trials import ExperimentsConfig
    from lt4rec_core.data.lake import Lake

    learning = Learning.of(Project.of(settings))
    research = Research(learning, Lake(settings.home), ExperimentsConfig.of(settings))
    assert research.base.network
    assert research.split
