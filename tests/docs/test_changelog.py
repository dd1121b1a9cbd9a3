"""CHANGELOG.md keeps the form that CONTRIBUTING.md promises, and agrees with the package's version."""

import re
import tomllib
from datetime import date

from tests.docs.blocks import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
VERSIONS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
RELEASED = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in VERSIONS[1:]]
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def numbers(match):
    return tuple(map(int, match.groups()[:3]))


def test_what_is_not_released_comes_first_and_releases_follow_with_their_day():
    assert VERSIONS[0] == "[Unreleased]"
    assert all(RELEASED), VERSIONS
    assert [numbers(m) for m in RELEASED] == sorted((numbers(m) for m in RELEASED), reverse=True)
    assert all(date.fromisoformat(m[4]) for m in RELEASED)


def test_changes_stand_under_the_kinds_there_are():
    assert set(re.findall(r"^### (.*)$", TEXT, re.MULTILINE)) <= KINDS
    assert not re.findall(r"^- .*\n(?!  |- |\n|\Z)", TEXT, re.MULTILINE), "an entry that ends in mid-air"


def test_the_package_has_the_version_released_last_or_the_next_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = tuple(map(int, project["version"].split(".")))

    assert version >= max((numbers(m) for m in RELEASED), default=(0, 0, 0))
    assert RELEASED or f"{project['version']}." in TEXT.partition("### ")[0]
