"""The page of one audit: the named checks with offending rows, then Great Expectations' own report below.

Great Expectations draws its page with styles, scripts and pictures from the public web. Here they are taken
out and a small style sheet put in: the page looks the same offline and tells nobody that it was opened.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from lt4rec_core.quality.suites import CheckResult

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.view import DefaultJinjaPageView

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2430; background: #fff;
  margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .5rem 0; } th { background: #f3f5f8; }
td, th { border: 1px solid #d5d9e0; padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word; }
pre, code { font-size: .85rem; white-space: pre-wrap; }
.passed { color: #1a7f37; } .warning { color: #9a6700; } .critical { color: #cf222e; font-weight: 600; }
.fa-check-circle::before { content: "\\2713"; color: #1a7f37; }
.fa-times::before { content: "\\2717"; color: #cf222e; }
.fa-exclamation-triangle::before { content: "!"; color: #9a6700; }
.modal, .navbar, .breadcrumb, .sticky, footer, nav, button, input, select { display: none; }
"""


def render_page(
    title: str, results: Iterable[CheckResult], validation: "ExpectationSuiteValidationResult"
) -> str:
    """The whole page as HTML text; it needs no other file and no network."""
    results = tuple(results)
    blocked = [r.name for r in results if r.blocks]
    verdict = f"not published: {', '.join(blocked)}" if blocked else "published"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}: {escape(verdict)}</h1>"
        + _checks_table(results)
        + "".join(_offenders(result) for result in results if result.sample_rows)
        + "<h2>Expectations</h2>"
        + _expectations(validation)
        + "</body></html>"
    )


def _checks_table(results: Iterable[CheckResult]) -> str:
    rows = []
    for result in results:
        state = "passed" if result.passed else result.severity
        observed = ", ".join(f"{name}: {_text(value)}" for name, value in result.observed.items())
        waived = f"<br>waived: {escape(result.waiver)}" if result.waiver else ""
        cells = f"<td>{escape(result.name)}</td><td class='{state}'>{state}{waived}</td>"
        rows.append(f"<tr>{cells}<td>{escape(result.message)}</td><td>{escape(observed)}</td></tr>")
    return (
        "<table><tr><th>check</th><th>result</th><th>message</th><th>observed</th></tr>"
        + "".join(rows)
        + "</table>"
    )


def _offenders(result: CheckResult) -> str:
    names = list(result.sample_rows[0])
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(row.get(name)))}</td>" for name in names) + "</tr>"
        for row in result.sample_rows
    )
    return f"<h2>{escape(result.name)}: offending rows</h2><table><tr>{head}</tr>{body}</table>"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "NULL" if value is None else str(value)


def _expectations(validation: "ExpectationSuiteValidationResult") -> str:
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    document = ValidationResultsPageRenderer(run_info_at_end=True).render(validation)
    return offline(_page_view().render(document))


@lru_cache(maxsize=1)
def _page_view() -> "DefaultJinjaPageView":
    """One view per process: it keeps the templates that a new one would compile again for every page."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def offline(html: str) -> str:
    """The body of a page without anything that runs, or is fetched from elsewhere."""
    body = re.search(r"<body[^>]*>(.*)</body>", html, re.DOTALL | re.IGNORECASE)
    text = body[1] if body else html
    text = re.sub(r"<(script|style|noscript|iframe)\b.*?</\1\s*>", "", text, flags=re.DOTALL | re.IGNORECASE)
    text = re.sub(r"<(link|img|meta|script)\b[^>]*>", "", text, flags=re.DOTALL | re.IGNORECASE)
    # A link elsewhere keeps its words and loses its address.
    text = re.sub(r"""\s(href|src)\s*=\s*(["'])(?!#).*?\2""", "", text, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"""\son\w+\s*=\s*(["']).*?\1""", "", text, flags=re.DOTALL | re.IGNORECASE)
