import re

import pyarrow as pa

from lt4rec_core.quality.page import offline

FETCHES = re.compile(
    r"""https?://|<script|<link|<img|<iframe|\bsrc\s*=|href\s*=\s*["'](?!#)|url\(""", re.IGNORECASE
)


def icons_without_a_shape(html):
    """Icons come from a font of the public web; the page's own style must draw each that it has."""
    icons = set(re.findall(r'<i class="fas (fa-[\w-]+)', html))
    assert icons
    return {icon for icon in icons if f".{icon}::before" not in html}


def test_the_page_of_an_audit_needs_no_network_and_names_every_check(world):
    report = world.audit("samples.impressions")

    html = report.page.read_text(encoding="utf-8")

    assert not FETCHES.search(html)
    assert "samples.impressions of 2026-01-09: published" in html
    for result in report.results:
        assert f"<td>{result.name}</td>" in html
    assert icons_without_a_shape(html) == set()


def test_the_page_of_a_refused_day_shows_why_and_which_rows(world):
    def hostile(rows):
        users = ['<script>alert("hi")</script>', *rows["user_id"].to_pylist()[1:]]
        return rows.set_column(rows.schema.get_field_index("user_id"), "user_id", pa.array(users))

    report = world.audit("samples.impressions", hostile)

    html = report.page.read_text(encoding="utf-8")
    assert "not published: references" in html
    assert icons_without_a_shape(html) == set()
    assert "&lt;script&gt;alert(&quot;hi&quot;)&lt;/script&gt;" in html
    assert not FETCHES.search(html)


def test_a_day_audited_again_has_one_page(world):
    first, again = world.audit("training.samples"), world.audit("training.samples")
    assert first.page == again.page
    assert len(list(first.page.parent.glob(f"training.samples.{world.day}*"))) == 1


def test_offline_keeps_words_and_removes_what_runs_or_is_fetched():
    html = """<html><head><link href="https://a.b/c.css"></head><body class="x">
      <script>steal()</script><img src="//tracker"><a href="https://a.b">words</a><a href="#part">here</a>
      <p onclick="steal()" style="color: red">text</p></body></html>"""
    kept = offline(html)
    assert "words" in kept
    assert 'href="#part"' in kept
    assert "text" in kept
    for gone in ("steal", "https", "tracker", "<script", "<img", "onclick"):
        assert gone not in kept
