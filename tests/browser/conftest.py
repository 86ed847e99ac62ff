"""A real browser in front of the whole system: Debian's Chromium without a window, one for all tests."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.e2e.conftest import Client, client_of
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("browser")


class Browser:
    """A tab of its own: what is on it, what its console says, and the addresses that it asked for."""

    def __init__(self, driver: webdriver.Chrome, origin: str) -> None:
        self.driver = driver
        self.origin = origin
        self._addresses: list[str] = []

    def open(self, path: str, *, token: str = "") -> None:
        """Go to a page of the origin; with a token it is typed into the page's field."""
        self.driver.get(self.origin + path)
        if token:
            self.use_token(token)

    def use_token(self, token: str) -> None:
        self.type("#token", token)
        self.click("#token-form button[type=submit]")

    def run(self, script: str, *values: Any) -> Any:
        """What a function body gives on the page; `arguments` are the values."""
        return self.driver.execute_script(script, *values)

    def one(self, selector: str) -> WebElement:
        """The first one that is there, by CSS; waited for."""
        found = eventually(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), selector)
        return found[0]

    def click(self, selector: str) -> None:
        element = self.one(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        eventually(element.is_enabled, f"{selector} to be enabled")
        element.click()

    def type(self, selector: str, text: str) -> None:
        """In place of what is in the field."""
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        Select(self.one(selector)).select_by_value(value)

    def texts(self, selector: str) -> list[str]:
        """As people see them: what is hidden has none. In one look, so that nothing changes meanwhile."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText.trim())",
            selector,
        )
        return found

    def shows(self, selector: str, text: str, seconds: float = 30) -> None:
        """Wait until one of these has the text somewhere in it."""
        try:
            eventually(lambda: any(text in each for each in self.texts(selector)), selector, seconds)
        except AssertionError:
            raise AssertionError(f"{selector} shows {self.texts(selector)}, never {text!r}") from None

    def command(self, name: str, **values: Any) -> None:
        """One of the browser's own, of the DevTools protocol."""
        self.driver.execute_cdp_cmd(name, values)

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
def browser(chromium: webdriver.Chrome, system: System) -> Iterator[Browser]:
    """A fresh tab, 1200 by 900: nothing in its session storage, nothing of other tests in its logs."""
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1200, 900)
    said(chromium, "browser")
    said(chromium, "performance")
    try:
        yield Browser(chromium, system.origin_url)
    finally:
        chromium.close()
        chromium.switch_to.window(first)


class Shop(BaseHTTPRequestHandler):
    """Somebody else's web site, of one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A shop</title><link rel='icon' href='data:,'>")

    def log_message(self, *_: object) -> None:
        """Nothing to tell."""


@pytest.fixture
def other_origin(browser: Browser) -> Iterator[Browser]:
    """On a page of another origin, of this machine: from others a browser lets no request go to a server here."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            browser.driver.get(f"http://localhost:{server.server_port}/")
            yield browser
        finally:
            browser.driver.get("about:blank")  # what the page holds open goes with it
            server.shutdown()
            thread.join()


@pytest.fixture
def ann(system: System, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A user of this test only."""
    yield from client_of(system, f"ann of {request.node.name[:100]}")


@pytest.fixture
def admin(system: System, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Somebody with the role admin."""
    yield from client_of(system, f"admin of {request.node.name[:100]}", "admin")
