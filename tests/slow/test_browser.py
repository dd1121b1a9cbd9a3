"""The UI in a headless browser: what a data engineer sees, by its visible text; screenshots are kept."""

import time

import pytest
from support.kuairand import DAYS

pytestmark = pytest.mark.slow

GROUPS = (
    *("source", "samples", "features", "training", "tickets", "models", "evaluation"),
    *("serving", "experiments"),
)


@pytest.fixture
def page(server, browser, screenshots):
    """A page of the UI: ``open`` it, ``click`` something in it, and see that it ``shows`` what it should."""

    class Page:
        def open(self, path):
            browser.get(f"{server.url}{path}")

        def shows(self, *texts, picture):
            """Wait until all the texts are visible, and take a picture."""
            end, shown = time.monotonic() + 60, ""
            while time.monotonic() < end:
                shown = browser.execute_script("return document.body.innerText") or ""
                if all(text in shown for text in texts):
                    break
                time.sleep(0.5)
            time.sleep(1.5)  # for what is drawn after its text is there
            browser.save_screenshot(str(screenshots / f"{picture}.png"))
            missing = [text for text in texts if text not in shown]
            assert not missing, (
                f"{browser.current_url} does not show {missing}; it shows:\n{shown[:3000]}\n{server.log()}"
            )

        def click(self, text):
            from selenium.webdriver.common.by import By
            from selenium.webdriver.support.ui import WebDriverWait

            buttons = (By.XPATH, f"//button[normalize-space()='{text}'] | //*[text()='{text}']")
            WebDriverWait(browser, 30).until(lambda b: b.find_elements(*buttons))
            button = browser.find_elements(*buttons)[-1]
            browser.execute_script("arguments[0].scrollIntoView()", button)
            button.click()

        def expand_all_groups(self):
            from selenium.webdriver import ActionChains, Keys

            ActionChains(browser).key_down(Keys.ALT).send_keys("e").key_up(Keys.ALT).perform()

    return Page()


def test_the_asset_graph_shows_every_group_and_expanded_every_asset(page):
    page.open("/asset-groups")
    page.shows(*GROUPS, picture="groups")
    page.expand_all_groups()
    page.shows(
        "impression_log", "user_daily_stats", "ticket", "snet", "predictions", "calibration", picture="graph"
    )


def test_a_group_shows_its_assets(page):
    page.open("/locations/lt4rec/asset-groups/samples/lineage")
    page.shows("impressions", "clicks", "conversions", picture="group")


def test_an_asset_shows_what_it_is_and_its_columns_with_their_meaning(page):
    page.open("/assets/samples/impressions")
    page.shows("One row is", "is_click", "was it clicked", "play_ms", "DuckDB", picture="asset")


def test_an_asset_shows_its_partitions_by_day(page):
    page.open(f"/assets/samples/impressions?view=partitions&partition={DAYS[1]}")
    page.shows(str(DAYS[0]), str(DAYS[1]), "Materialized", "dagster/row_count", picture="partitions")


def test_a_gated_asset_shows_its_checks_and_what_they_mean(page):
    page.open("/assets/samples/impressions?view=checks")
    page.shows("accounting", "keys", "volume", "no row is lost", "blocking", "Passed", picture="checks")


def test_a_days_report_opens_from_its_file_alone(server, browser, page):
    """The page that the checks name, as somebody without a network opens it."""
    report = server.home.path / "reports" / f"samples.impressions.{DAYS[1]}.html"

    browser.get(report.as_uri())

    page.shows(f"samples.impressions of {DAYS[1]}: published", "accounting", "Expectations", picture="report")
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert fetched == [], f"the page wants more than its own file: {fetched}"


def test_a_ticket_shows_how_it_was_found(page):
    page.open("/assets/tickets/ticket?view=partitions&partition=ctr")
    page.shows("density", "mask_digest", "training loss", "chosen", picture="ticket")


def test_numbers_of_models_and_metrics_are_plotted(page):
    page.open("/assets/models/snet")
    page.click("Plots")
    page.click("Events")
    page.shows("loss_ctr", "loss_cvr", "samples_ctr", picture="plots")
