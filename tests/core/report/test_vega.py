import re

from lt4rec_core.report import charts, vega

SPEC = charts.funnel(
    [
        {"step": "delivered", "n": 4, "told": "4", "strength": 0.4},
        {"step": "<b>accepted", "n": 3, "told": "3", "strength": 1.0},
    ]
)


def test_a_chart_is_drawn_with_the_pages_colours_and_with_its_text_escaped():
    svg = vega.drawn(SPEC, "chart")

    assert svg.startswith("<svg")
    assert 'fill="var(--accent)"' in svg
    assert "delivered" in svg
    assert "<b>" not in svg
    assert "http" not in svg


def test_the_same_chart_is_drawn_the_same_and_shares_no_name_with_another():
    one, again, other = (vega.drawn(SPEC, name) for name in ("one", "one", "other"))

    assert one == again
    assert set(re.findall(r'id="([^"]+)"', one)).isdisjoint(re.findall(r'id="([^"]+)"', other))
    assert set(re.findall(r"url\(#([^)]+)\)", one)) <= set(re.findall(r'id="([^"]+)"', one))


def test_the_library_is_one_script_that_nothing_in_it_ends():
    text = vega.library()

    assert "vegaEmbed" in text
    assert "</script" not in text
    assert "BSD-3-Clause" in text
