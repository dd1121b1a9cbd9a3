"""The slow tests: real processes over small homes. What they share lies in ``support/``."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for support/, whichever way pytest was started

from support.homes import Home, simulated_home
from support.kuairand import DAYS, write_day, write_entities
from support.server import Server

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1700,1100",
)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Home:
    """A simulated home whose backfill nobody disturbed: what every disturbed one must end up as."""
    home = simulated_home(tmp_path_factory.mktemp("undisturbed"))
    home.lt4rec("backfill", "--from", home.first, "--to", home.last)
    return home


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The real web server and daemon over KuaiRand's file layout.

    The first two days are backfilled beforehand on the command line, tickets and models included, so that
    the server starts with something to show.
    """
    folder = tmp_path_factory.mktemp("served")
    write_entities(folder / "logs")
    for day in DAYS:
        write_day(folder / "logs", day)
    home = Home(
        folder / "home",
        DAYS[0],
        DAYS[-1],
        {"LT4REC_SOURCE": "kuairand", "LT4REC_SOURCE_PATH": str(folder / "logs")},
    )
    home.lt4rec("backfill", "--from", str(DAYS[0]), "--to", str(DAYS[1]))
    with Server(home) as running:
        yield running


@pytest.fixture(scope="session")
def screenshots():
    folder = Path(os.environ.get("LT4REC_SCREENSHOTS") or "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    missing = [path for path in (CHROMIUM, DRIVER) if not Path(path).exists()]
    if missing or not shutil.which("chromium"):
        pytest.skip(f"not installed: {', '.join(missing)}; apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
