"""The pages that describe the API work in a browser under their policy."""

from selenium.webdriver.common.by import By

from tests.browser.conftest import Browser
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually


def test_the_interactive_documentation_shows_every_operation_and_asks_no_other_host(
    browser: Browser, system: System
) -> None:
    browser.driver.get(f"{system.origin_url}/docs")
    eventually(
        lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, ".opblock")) > 50,
        "the operations of the API",
    )
    assert browser.console() == []
    asked = browser.addresses()
    assert len(asked) > 3
    assert [address for address in asked if not address.startswith((system.origin_url, "data:"))] == []
