"""A real browser in front of the whole system: Debian's Chromium without a window, one for all tests."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("browser")


class Browser:
    """A tab of its own with what it says: its console, and the addresses that it asked for."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self._addresses: list[str] = []

    def console(self) -> list[str]:
        """Warnings and errors of the pages since the last look; a refused request is among them."""
        return [
            str(line["message"])
            for line in said(self.driver, "browser")
            if line["level"] in {"WARNING", "SEVERE"}
        ]

    def addresses(self) -> list[str]:
        """Every address that this tab has asked for, web sockets too, in order."""
        for line in said(self.driver, "performance"):
            message: dict[str, Any] = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._addresses.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                self._addresses.append(message["params"]["url"])
        return self._addresses


def said(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """One of the browser's logs since the last look."""
    lines: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return lines


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """The browser of this run; tests take `browser`, a tab of it."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail(
            "The browser's tests need Chromium and its driver: apt-get install chromium chromium-driver",
            pytrace=False,
        )
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root may not run it otherwise, and continuous integration is root
        "--disable-dev-shm-usage",  # a container's /dev/shm is small
        "--disable-gpu",
        "--disable-background-networking",
        "--autoplay-policy=no-user-gesture-required",
        "--window-size=1200,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    try:
        running.set_page_load_timeout(30)
        running.set_script_timeout(30)
        yield running
    finally:
        running.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[Browser]:
    """A fresh tab, 1200 by 900: nothing in its session storage, nothing of other tests in its logs."""
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1200, 900)
    said(chromium, "browser")
    said(chromium, "performance")
    try:
        yield Browser(chromium)
    finally:
        chromium.close()
        chromium.switch_to.window(first)
