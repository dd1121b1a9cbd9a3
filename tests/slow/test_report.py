"""The report in a real browser: offline, on a phone and on a desk, by day, by night and on paper."""

import base64
import time

import pytest

pytestmark = pytest.mark.slow

WIDTHS = {"phone": 375, "desk": 1280}


@pytest.fixture(scope="module")
def report(undisturbed, tmp_path_factory):
    """The page of a home that ran all its days, written as a user would."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    undisturbed.lt4rec("report", "--out", str(path))
    return path


@pytest.fixture
def opened(report, browser):
    """``opened(width, theme)``: the page without a network, once its charts are drawn."""

    def open_it(width, theme):
        browser.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        browser.get_log("browser")  # what earlier pages left
        browser.get(report.as_uri())
        end = time.monotonic() + 60
        while browser.execute_script("return document.documentElement.dataset.drawn") != "all":
            assert time.monotonic() < end, "the charts are not drawn after a minute"
            time.sleep(0.2)
        return browser

    yield open_it
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Network.disable", {})


def shoot(browser, path):
    """The whole page as a picture."""
    found = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(found["data"]))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("place", WIDTHS)
def test_the_page_is_drawn_without_a_network_and_fits(opened, screenshots, place, theme):
    browser = opened(WIDTHS[place], theme)
    shoot(browser, screenshots / f"report-page-{place}-{theme}.png")

    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= WIDTHS[place], "the page scrolls sideways"
    charts = browser.execute_script("""
        return [...document.querySelectorAll("figure")].map(figure => {
            const svg = figure.querySelector(".chart .vega-embed svg");
            const marks = svg ? svg.querySelectorAll("path[d], text, line").length : 0;
            const wide = svg ? svg.getBoundingClientRect().right : Infinity;
            return [figure.id, figure.dataset.drawn === "yes", marks > 5, wide <= innerWidth];
        })""")
    assert len(charts) > 8
    assert not [chart for chart in charts if chart[1:] != [True, True, True]]


def test_charts_take_the_colours_of_the_theme(opened):
    def colours(theme):
        return opened(WIDTHS["desk"], theme).execute_script("""
            const line = document.querySelector("#chart-days-ctr-auc path[stroke^='var(--accent']");
            return [getComputedStyle(document.body).backgroundColor, getComputedStyle(line).stroke]""")

    assert colours("light") == ["rgb(255, 255, 255)", "rgb(11, 110, 153)"]
    assert colours("dark") == ["rgb(20, 24, 28)", "rgb(92, 184, 220)"]


def test_a_chart_answers_when_it_is_pointed_at(opened):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    browser = opened(WIDTHS["desk"], "light")
    bar = browser.find_element(By.CSS_SELECTOR, "#chart-funnel .mark-rect path")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", bar)
    ActionChains(browser).move_to_element(bar).pause(0.5).perform()

    shown = browser.execute_script("""
        const tip = document.querySelector("#vg-tooltip-element.visible"); return tip && tip.innerText""")
    assert shown is not None
    assert "delivered" in shown


def test_it_prints_on_white_with_every_chart_and_nothing_wider_than_the_paper(opened, screenshots):
    browser = opened(WIDTHS["desk"], "dark")
    a4 = {"printBackground": True, "preferCSSPageSize": True, "paperWidth": 8.27, "paperHeight": 11.69}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", a4)["data"])
    (screenshots / "report-page.pdf").write_bytes(pdf)
    assert pdf.count(b"/Type /Page\n") > 2

    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    # A4 less its margins, at 96 pixels an inch.
    size = {"width": 688, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    background, width = browser.execute_script("""
        return [getComputedStyle(document.body).backgroundColor, document.documentElement.scrollWidth]""")

    assert background == "rgb(255, 255, 255)"
    assert width <= 688


def test_without_scripts_the_charts_are_pictures(opened, screenshots):
    browser = opened(WIDTHS["desk"], "light")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        shoot(browser, screenshots / "report-page-still.png")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    still = browser.execute_script("""
        return [...document.querySelectorAll(".chart")].map(c => c.querySelectorAll("svg path").length)""")
    assert len(still) > 8
    assert min(still) > 3


def test_it_can_be_walked_through_with_the_keyboard(opened):
    from selenium.webdriver import ActionChains, Keys

    browser = opened(WIDTHS["phone"], "light")
    reached = []
    for _ in range(16):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(
            browser.execute_script("const e = document.activeElement; return [e.tagName, e.className]")
        )

    assert reached[0] == ["A", "skip"]
    assert ["SUMMARY", ""] in reached
    assert ["DIV", "scroll"] in reached
