"""`make demo` at its smallest size: the lines that README.md shows come out of it."""

import re
from datetime import date

import pytest

from tests.docs.blocks import ROOT, blocks_of

pytestmark = pytest.mark.slow

TINY = """
[source]
impressions_per_day = 400
n_users = 60
new_users_per_day = 2
n_videos = 50
new_videos_per_day = 2

[network]
embedding_dim = 4
hidden = [16, 8]

[training]
batch_size = 128

[serving]
latency_seconds = 0.01
"""


def shapes(text):
    """Each kind of line once, whatever its numbers are, from the table's head on."""
    lines = text[text.index("next day") :].split("\n\n")[0].rstrip().splitlines()
    return set(re.sub(r"\d", "#", line.rstrip()) for line in lines)


def test_the_demo_prints_what_the_readme_shows(tmp_path, monkeypatch, capsys):
    from lt4rec_assets.cli import main

    for name in ("DAGSTER_HOME", "LT4REC_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LT4REC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LT4REC_TICKET_DAYS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(
        "lt4rec_core.data.simulator.default_days", lambda: (date(2026, 1, 5), date(2026, 1, 7))
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "lt4rec.toml").write_text(TINY)

    assert main(["demo"]) == 0

    (shown,) = [b.text for b in blocks_of(ROOT / "README.md", "text") if b.text.startswith("next day")]
    printed = capsys.readouterr().out
    assert shapes(printed) == shapes(shown)
    assert "simulated, into" in printed
