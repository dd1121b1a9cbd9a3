import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime

from lt4rec_core.errors import QueryError
from lt4rec_core.report import charts
from lt4rec_core.report.blocks import Chart, Column, Facts, Gap, Note, Section, Table
from lt4rec_core.report.page import digest_of_page, head_of, render, sections_of

EVIL = """</script><script>alert("1")</script><img src=x onerror='alert(2)'>&"""
HEAD = Facts([("impressions", "3")], large=True)
LINES = charts.label_ends(
    [{"day": "2026-01-05", "name": EVIL, "value": 0.5, "low": None, "high": None}], "value"
)
SECTIONS = [
    Section(
        "one",
        "One",
        EVIL,
        [
            Gap("a/b", EVIL, EVIL),
            Note(EVIL),
            Facts([(EVIL, EVIL)]),
            Table(EVIL, [Column("x", EVIL)], [{"x": EVIL}], note=EVIL),
            Chart("chart-1", EVIL, EVIL, EVIL, charts.over_days(LINES, ["2026-01-05"], {EVIL: "red"})),
        ],
    )
]


def test_text_stays_text_wherever_it_stands(given, see):
    page = see(render(SECTIONS, HEAD, replace(given, source=EVIL)))

    assert not [attrs for tag, attrs in page.elements if tag == "img" or "onerror" in attrs]
    kinds = [kind for kind, _ in page.scripts]
    assert kinds == ["application/json", None, None]  # the chart's data, Vega, and what draws with it
    assert "alert" in page.text
    data = json.loads(page.scripts[0][1])
    assert data["data"]["values"][0]["name"] == EVIL


def test_the_page_loads_nothing_and_sends_nothing(given, see):
    text = render(SECTIONS, HEAD, given)
    page = see(text)

    assert page.attributes("src") == []
    assert all(link.startswith("#") for link in page.attributes("href"))
    assert not {"link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.elements}
    (policy,) = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_only_the_pages_own_scripts_may_run(given, see):
    page = see(render(SECTIONS, HEAD, given))

    policy = next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))
    for kind, script in page.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert (f"'sha256-{digest}'" in policy) == (kind is None)
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_without_scripts_the_charts_are_still_pictures(given, see):
    page = see(render(SECTIONS, HEAD, given, interactive=False))

    assert page.scripts == []
    assert "svg" in {tag for tag, _ in page.elements}


def test_everything_can_be_read_by_somebody_who_cannot_see(given, see):
    text = render(SECTIONS, HEAD, given, interactive=False)
    page = see(text)

    (chart,) = [attrs for _, attrs in page.elements if attrs.get("role") == "img"]
    assert chart["aria-label"].startswith(EVIL)
    assert ("html", {"lang": "en"}) in page.elements
    n_tables = sum(tag == "table" for tag, _ in page.elements)
    assert n_tables == sum(tag == "caption" for tag, _ in page.elements) == 1
    labels = set(page.attributes("aria-labelledby"))
    assert labels <= set(page.attributes("id"))
    regions = [attrs for _, attrs in page.elements if attrs.get("role") == "region"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)


def test_what_is_missing_is_named_at_the_top_and_in_its_section(given, see):
    page = see(render([Section("s", "S", "", [Gap("a/b", "no row", "do this")])], HEAD, given))

    assert page.text.count("a/b") == 2
    assert "One thing is not materialised" in page.text
    assert "a/b is missing: no row. To make it: do this" in page.text.replace("a/b  is", "a/b is")


def test_the_same_page_made_later_differs_in_its_time_only(given):
    later = replace(given, made_at=datetime(2026, 2, 1))
    first, second = render(SECTIONS, HEAD, given), render(SECTIONS, HEAD, later)

    assert first == render(SECTIONS, HEAD, given)
    assert first != second
    assert first.replace("2026-01-08 09:30", "2026-02-01 00:00") == second
    assert digest_of_page(first, given) == digest_of_page(second, later)


def test_an_empty_lake_makes_a_page_that_names_everything(answers, given):
    sections = sections_of(answers(), given)

    assert [s.title for s in sections if not s.gaps] == ["What made it"]
    assert head_of(answers(), given).rows == []


def test_a_section_that_cannot_be_read_takes_no_other_along(answers, given):
    class Damaged(answers):
        def ask(self, name):
            if name in ("calibration", "daily_metrics"):
                raise QueryError("a file is damaged")
            return super().ask(name)

    sections = {section.title: section for section in sections_of(Damaged(), given)}

    assert "a file is damaged" in sections["Calibration"].gaps[0].why
    assert len(sections) == 10
    assert head_of(Damaged(), given).rows == []
