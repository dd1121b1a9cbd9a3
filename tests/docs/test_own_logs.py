"""docs/OWN_LOGS.md, followed literally up to the lake; tests/slow/test_own_logs.py goes on."""

import re
import shutil

import pytest

from lt4rec_core.data.source_check import check_source, lines_of
from lt4rec_core.data.sources import load_source
from tests.docs.blocks import ROOT
from tests.docs.following import Reader

PAGE = ROOT / "docs" / "OWN_LOGS.md"
MISTAKES = [
    (
        "impression_log.sql",
        "timezone($time_zone, timezone('UTC', timed.occurred_at))",
        "timezone($time_zone, timed.occurred_at)",
    ),
    ("impression_log.sql", "case when timed.action = 'pass' then 0 else timed.watched end", "timed.watched"),
    ("impression_log.sql", "timed.action = 'open'", "timed.action = 'OPEN'"),
    ("impression_log.sql", "(timed.slot + 1)::integer", "timed.slot + 1"),
    ("impression_log.sql", "timed.viewer as user_id", "upper(timed.viewer) as user_id"),
    ("impression_log.sql", "surface, slot", "surface, rank"),
    ("source.toml", 'input = "age_days"', 'input = "days"'),
    ("source.toml", 'values = ["AT", "CH", "DE"]', "buckets = 2"),
]
"""File, what stands there, what somebody writes by mistake: in the order of the page's table."""

SAID = re.findall(r"^\| .* \| `(.*)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    reader = Reader(PAGE, tmp_path_factory.mktemp("own logs"))
    reader.shown = reader.follow(until="LT4REC_HOME")
    return reader


def test_the_export_is_checked_as_the_page_shows(followed):
    ((shown, printed),) = followed.shown

    assert printed == shown
    assert printed.splitlines()[-1].startswith("READY")


def test_checking_leaves_nothing_behind(followed):
    assert sorted(path.name for path in followed.work.iterdir()) == ["export", "klipp", "make_export.py"]


def test_the_page_tells_of_every_mistake():
    assert len(SAID) == len(MISTAKES)


@pytest.mark.parametrize(
    ("mistake", "said"), list(zip(MISTAKES, SAID, strict=False)), ids=[m[2] for m in MISTAKES]
)
def test_a_mistake_is_told_as_the_page_says(followed, tmp_path, mistake, said):
    file, old, new = mistake
    folder = tmp_path / "klipp"
    shutil.copytree(followed.work / "klipp", folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))

    source = load_source(ROOT / "sql", str(folder))
    params = {"time_zone": source.time_zone, "prior_strength": 10, "history_length": 20}
    report = check_source(source, ROOT / "sql", source_path=followed.work / "export", params=params, days=[])

    assert said in "\n".join(lines_of(report))
