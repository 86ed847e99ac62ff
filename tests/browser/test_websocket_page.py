"""/static/websocket-test.html: what a WebSocket says, as it says it."""

import json
from typing import Any

from tests.browser.conftest import Browser
from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

PAGE = "/static/websocket-test.html"
SMALL = encoded(picture(64, 48, seed=74), "PNG")
HOLD = """
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...values) { super(...values); window.sockets.push(this); }
  };
"""


def connect(browser: Browser, address: str) -> None:
    browser.type("[name=address]", address)
    browser.click("#connect")


def messages(browser: Browser) -> list[dict[str, Any]]:
    """Those that are shown, the oldest first."""
    return [json.loads(text) for text in reversed(browser.texts("#log li:not([hidden]) pre"))]


def a_whole_life(ann: Client, name: str) -> dict[str, Any]:
    media = ann.uploaded(SMALL, name)
    assert ann.http.patch(f"/v1/media/{media['id']}", json={"caption": "<i>at sea</i>"}).status_code == 200
    assert ann.http.delete(f"/v1/media/{media['id']}").status_code == 204
    return media


def test_it_shows_what_is_created_updated_and_deleted(browser: Browser, ann: Client, system: System) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    assert browser.one("[name=address]").get_attribute("value") == "/ws/media"
    connect(browser, "/v1/live")
    browser.shows("#state", "Connected to /v1/live.")
    media = a_whole_life(ann, "a <b>life</b>.png")
    eventually(lambda: "media.deleted" in types(browser), "the delete to be told")
    assert {"progress", "media.created", "media.updated", "media.deleted"} <= set(types(browser))
    assert {each["id"] for each in messages(browser)} == {media["id"]}
    assert browser.run("return document.querySelectorAll('#log b, #log i').length") == 0

    browser.choose("#type", "media.deleted")
    assert [each["type"] for each in messages(browser)] == ["media.deleted"]
    browser.shows("#count", ", 1 shown.")
    browser.click("#clear")
    assert messages(browser) == []
    browser.shows("#count", "None yet.")
    browser.click("#disconnect")
    assert browser.texts("#state") == ["Disconnected."]
    assert browser.one("#connect").is_enabled()
    assert not browser.one("#disconnect").is_enabled()
    assert browser.console() == []


def types(browser: Browser) -> list[str]:
    return browser.texts("#log strong")


def test_the_librarys_address_tells_of_its_files(browser: Browser, ann: Client, system: System) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    browser.click("#connect")
    browser.shows("#state", "Connected to /ws/media.")
    sent = ann.http.post("/media/upload", files={"file": ("sea.png", SMALL, "image/png")})
    number = sent.json()["id"]
    assert ann.http.patch(f"/media/{number}", json={"description": "At sea"}).status_code == 200
    assert ann.http.delete(f"/media/{number}").status_code == 200
    for word in ("created", "updated", "deleted"):
        browser.shows("#log strong", word)
    assert browser.console() == []


def test_a_lost_connection_comes_back_and_asks_for_what_it_missed(
    browser: Browser, ann: Client, system: System
) -> None:
    browser.command("Page.addScriptToEvaluateOnNewDocument", source=HOLD)
    browser.open(PAGE, token=system.token(ann.sub))
    connect(browser, "/v1/live")
    browser.shows("#state", "Connected to /v1/live.")
    first = ann.uploaded(SMALL, "first.png")
    eventually(lambda: first["id"] in str(messages(browser)), "the first to be told")
    eventually(lambda: messages(browser)[-1].get("media", {}).get("status") == "ready", "it to be ready")
    last = [each["sequence"] for each in messages(browser) if "sequence" in each][-1]
    browser.run("window.sockets[0].close(4000, 'lost on purpose')")
    browser.shows("#state", "Connected to /v1/live from place")
    assert f"since={last}" in [each for each in browser.addresses() if "/v1/live" in each][-1]
    second = ann.uploaded(SMALL, "second.png")
    eventually(lambda: second["id"] in str(messages(browser)), "the second to be told")
    told = [each["sequence"] for each in messages(browser) if "sequence" in each]
    assert told == sorted(set(told)), "each message once"


def test_without_reconnect_a_lost_connection_stays_lost(
    browser: Browser, ann: Client, system: System
) -> None:
    browser.command("Page.addScriptToEvaluateOnNewDocument", source=HOLD)
    browser.open(PAGE, token=system.token(ann.sub))
    browser.click("[name=reconnect]")
    connect(browser, "/v1/live")
    browser.shows("#state", "Connected to /v1/live.")
    browser.run("window.sockets[0].close(4000, 'lost on purpose')")
    browser.shows("#state", "Closed: ")
    assert browser.one("#connect").is_enabled()


def test_a_token_that_does_not_hold_is_told_and_not_tried_again(browser: Browser) -> None:
    browser.open(PAGE, token="no.token")
    browser.shows("#token-state", "This cannot be read as a token")
    connect(browser, "/v1/live")
    browser.shows("#state", "Closed: The token is not valid")
    assert browser.one("#connect").is_enabled()


def test_it_connects_to_this_server_alone(browser: Browser) -> None:
    browser.open(PAGE)
    connect(browser, "wss://elsewhere.test/ws/media")
    browser.shows("#state", "not to elsewhere.test.")
    assert not any("elsewhere" in address for address in browser.addresses())
