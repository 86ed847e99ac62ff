"""/admin/mediafiles/media/: everybody's media, found and dealt with by somebody with the role admin."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Browser
from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

PAGE = "/admin/mediafiles/media/"
SMALL = encoded(picture(200, 150, seed=75))
SOUND = b"RIFF" + (36 + 1600).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little") + bytes.fromhex(
    "01000100401f0000803e000002001000"
) + b"data" + (1600).to_bytes(4, "little") + bytes(1600)  # fmt: skip


@pytest.fixture
def word(request: pytest.FixtureRequest) -> str:
    """A word that is in what this test makes alone, so that other tests' media do not matter."""
    return f"zq{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def list_page(browser: Browser, admin: Client, system: System, word: str) -> Iterator[Browser]:
    """The page of an admin, narrowed to this test's media; they are there when `reload` is called."""
    browser.open(f"{PAGE}?q={word}", token=system.token(admin.sub, "admin"))
    yield browser
    assert browser.console() == []


def make(ann: Client, word: str, name: str, data: bytes = SMALL, **fields: str) -> dict[str, Any]:
    said = {"profile": "mediafiles", "description": word, **fields}
    return ann.uploaded(data, name, **said)


def names(browser: Browser) -> list[str]:
    return browser.texts("#rows .name")


def show(browser: Browser, *wanted: str) -> None:
    """Press the button, and wait until these are listed and nothing else."""
    browser.click("#filters [type=submit]")
    lists(browser, *wanted)


def lists(browser: Browser, *wanted: str) -> None:
    try:
        eventually(lambda: sorted(names(browser)) == sorted(wanted), "list")
    except AssertionError:
        raise AssertionError(f"{names(browser)} are listed, never {wanted}") from None


def pick(browser: Browser, *wanted: str) -> None:
    for name in wanted:
        row = names(browser).index(name)
        browser.click(f"#rows > li:nth-child({row + 1}) input")


def facts(browser: Browser, name: str) -> str:
    return browser.texts("#rows .facts")[names(browser).index(name)]


def test_filters_narrow_the_list_by_type_status_visibility_date_and_profile(
    list_page: Browser, ann: Client, word: str
) -> None:
    make(ann, word, "public.jpg", is_public="true")
    make(ann, word, "private.jpg", is_public="false")
    make(ann, word, "broken.jpg", SMALL[:1500], is_public="true")
    make(ann, word, "sound.wav", SOUND, is_public="true")
    make(ann, word, "elsewhere.jpg", profile="default")
    show(list_page, "public.jpg", "private.jpg", "broken.jpg", "sound.wav")
    list_page.choose("[name=media_type]", "audio")
    lists(list_page, "sound.wav")
    assert "media_type=audio" in list_page.driver.current_url
    list_page.choose("[name=media_type]", "")
    list_page.choose("[name=status]", "failed")
    lists(list_page, "broken.jpg")
    assert "The file ends before it is complete" in facts(list_page, "broken.jpg")
    list_page.choose("[name=status]", "")
    list_page.choose("[name=is_public]", "false")
    lists(list_page, "private.jpg")
    list_page.choose("[name=is_public]", "")
    list_page.choose("[name=profile]", "")
    lists(list_page, "public.jpg", "private.jpg", "broken.jpg", "sound.wav", "elsewhere.jpg")
    date(list_page, "from", 2)
    lists(list_page)
    list_page.shows("#page", "Page 1: Nothing is found.")
    date(list_page, "from", -1)
    date(list_page, "to", 1)
    lists(list_page, "public.jpg", "private.jpg", "broken.jpg", "sound.wav", "elsewhere.jpg")
    list_page.driver.refresh()  # the filters are in the address, the token in the tab
    lists(list_page, "public.jpg", "private.jpg", "broken.jpg", "sound.wav", "elsewhere.jpg")
    date(list_page, "to", -2)
    lists(list_page)


def date(browser: Browser, field: str, days: int) -> None:
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    browser.run(
        "const field = document.querySelector(`[name=${arguments[0]}]`); field.value = arguments[1];"
        "field.dispatchEvent(new Event('change', {bubbles: true}))",
        field,
        day,
    )


def test_selected_media_are_published_hidden_processed_again_and_deleted(
    list_page: Browser, ann: Client, word: str
) -> None:
    made = {name: make(ann, word, name, is_public="false") for name in ("one.jpg", "two.jpg", "three.jpg")}
    show(list_page, *made)
    assert all(not button.is_enabled() for button in actions(list_page))
    pick(list_page, "one.jpg", "two.jpg")
    list_page.shows("#selected", "2 selected.")
    list_page.click("[data-action=publish]")
    list_page.shows("#notice", "2 media made public.")
    assert {name for name in made if ann.final(made[name]["id"])["is_public"]} == {"one.jpg", "two.jpg"}
    eventually(lambda: "public" in facts(list_page, "one.jpg"), "the row to say so")
    assert "private" in facts(list_page, "three.jpg")
    list_page.click("[data-action=hide]")  # they are selected still
    list_page.shows("#notice", "2 media made private.")
    assert not ann.final(made["one.jpg"]["id"])["is_public"]

    list_page.click("[data-action=reprocess]")
    list_page.shows("#notice", "2 media will be processed again.")
    before = made["two.jpg"]["updated_at"]
    eventually(lambda: ann.final(made["two.jpg"]["id"])["updated_at"] > before, "it to be processed again")
    eventually(lambda: "ready" in facts(list_page, "two.jpg"), "the row to be ready again")

    list_page.click("[data-action=delete]")
    assert "one.jpg, of ann" in " ".join(list_page.texts("#names li"))
    list_page.click("#confirm [value=no]")
    assert len(names(list_page)) == 3
    assert ann.http.get(f"/v1/media/{made['one.jpg']['id']}").status_code == 200
    list_page.click("[data-action=delete]")
    list_page.click("#confirm [value=yes]")
    list_page.shows("#notice", "2 media deleted.")
    lists(list_page, "three.jpg")
    assert [media["filename"] for media in ann.mine()] == ["three.jpg"]


def actions(browser: Browser) -> list[Any]:
    return browser.driver.find_elements(By.CSS_SELECTOR, "[data-action]")


def test_what_is_gone_meanwhile_is_told_beside_what_went_well(
    list_page: Browser, ann: Client, word: str
) -> None:
    make(ann, word, "stays.jpg")
    gone = make(ann, word, "gone.jpg")
    # The news of the delete must not come first: this page does not hear any.
    list_page.command("Network.setBlockedURLs", urls=["*/v1/live*"])
    list_page.command("Network.enable")
    list_page.driver.refresh()
    lists(list_page, "stays.jpg", "gone.jpg")
    list_page.click("#all")
    assert ann.http.delete(f"/v1/media/{gone['id']}").status_code == 204
    list_page.click("[data-action=publish]")
    list_page.shows("#notice", "1 media made public.")
    list_page.shows("#notice", "gone.jpg: ")
    list_page.command("Network.setBlockedURLs", urls=[])
    assert [line for line in list_page.console() if "/v1/live" not in line] == []


def test_pages_go_forth_and_back(list_page: Browser, ann: Client, word: str) -> None:
    for number in range(26):
        assert ann.upload(SMALL, f"{number:02}.jpg", profile="mediafiles", description=word).status_code < 300
    newest = [f"{number:02}.jpg" for number in range(25, 1, -1)]
    eventually(lambda: len(ann.mine()) == 26, "the catalog to know them")
    list_page.type("[name=q]", "")  # by time, not by relevance
    list_page.run("document.querySelector('#filters').requestSubmit()")
    eventually(lambda: names(list_page) == newest, "the newest to be listed")
    assert list_page.one("#back").get_attribute("aria-disabled") == "true"
    list_page.click("#forward")
    list_page.shows("#page", "Page 2: ")
    assert names(list_page)[:2] == ["01.jpg", "00.jpg"]
    list_page.driver.refresh()  # the tab knows where it was
    list_page.shows("#page", "Page 2: ")
    assert names(list_page)[:2] == ["01.jpg", "00.jpg"]
    list_page.click("#back")
    list_page.shows("#page", "Page 1: 24 media.")
    assert names(list_page) == newest


def test_rows_follow_what_happens_elsewhere(list_page: Browser, ann: Client, word: str) -> None:
    media = make(ann, word, "moving.jpg")
    other = make(ann, word, "leaving.jpg")
    show(list_page, "moving.jpg", "leaving.jpg")
    list_page.shows("#page", "Page 1: 2 media.")
    ann.http.patch(f"/v1/media/{media['id']}", json={"is_public": True})
    ann.http.delete(f"/v1/media/{other['id']}")
    lists(list_page, "moving.jpg")
    list_page.shows("#page", "Page 1: 1 media.")
    eventually(lambda: "public" in facts(list_page, "moving.jpg"), "the row to follow")


def test_a_place_in_the_list_of_another_caller_is_the_start_of_ones_own(
    list_page: Browser, ann: Client, word: str
) -> None:
    make(ann, word, "only.jpg")
    show(list_page, "only.jpg")
    list_page.run("history.replaceState({place: [null, 'of-somebody-else']}, '')")
    list_page.driver.refresh()
    list_page.shows("#page", "Page 1: 1 media.")
    assert not list_page.one("#notice").is_displayed()
    assert all("/v1/media/search" in line for line in list_page.console()), "that was asked for, and refused"


def test_details_show_everything_and_close_with_escape(list_page: Browser, ann: Client, word: str) -> None:
    media = make(ann, word, "seen.jpg", caption="A caption", tags="sea,summer")
    show(list_page, "seen.jpg")
    list_page.click("#rows button")
    list_page.shows("#details dd", media["public_id"])
    told = list_page.texts("#details dd")
    assert {"A caption", "sea, summer", ann.sub, "200 x 150", media["sha256"]} <= set(told)
    assert {"original", "thumbnail"} <= set(list_page.texts("#details-body button"))
    eventually(
        lambda: list_page.run("return document.querySelector('.picture img')?.naturalWidth"), "a picture"
    )
    list_page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    eventually(lambda: not list_page.one("#details").is_displayed(), "the dialog to close")
    assert list_page.run("return document.activeElement.innerText") == "Details"


def test_a_sound_is_played_in_its_details_and_stops_when_they_close(
    list_page: Browser, ann: Client, word: str
) -> None:
    make(ann, word, "song.wav", SOUND)
    show(list_page, "song.wav")
    list_page.click("#rows button")
    list_page.one("#details audio")
    eventually(
        lambda: list_page.run("return document.querySelector('audio').duration > 0"), "it to be playable"
    )
    list_page.click("#details form button")
    eventually(
        lambda: list_page.run("return document.querySelectorAll('audio').length") == 0,
        "the player to go: a dialog tells of its end a moment later",
    )


def test_names_and_captions_with_markup_are_texts(list_page: Browser, ann: Client, word: str) -> None:
    name, caption = (
        "<b onmouseover=harm()>.jpg",
        "<img src=x onerror=window.harm=1><script>window.harm=1</script>",
    )
    make(ann, word, name, caption=caption)
    show(list_page, name)
    assert list_page.texts("#rows .caption") == [caption]
    list_page.click("#rows button")
    list_page.shows("#details dd", caption)
    list_page.click("#details form button")
    list_page.click("#all")
    list_page.click("[data-action=delete]")
    list_page.shows("#names li", name)
    list_page.click("#confirm [value=no]")
    assert list_page.run("return window.harm ?? null") is None
    assert list_page.run("return document.querySelectorAll('main b, main script, .caption img').length") == 0


@pytest.mark.parametrize("roles", [(), ("moderator",), ("service",)])
def test_who_is_no_admin_reads_why_there_is_no_list(
    browser: Browser, ann: Client, system: System, roles: tuple[str, ...]
) -> None:
    browser.open(PAGE, token=system.token(ann.sub, *roles))
    held = f"the role {roles[0]}" if roles else "no role"
    browser.shows("#notice", f"This list is for the role admin. The token is {ann.sub}'s, who has {held}.")
    assert not browser.one("#listing").is_displayed()
    assert not any("/v1/" in address for address in browser.addresses())


def test_without_a_token_it_asks_for_one(browser: Browser) -> None:
    browser.open(PAGE)
    browser.shows("#notice", "This list is for the role admin. Enter the token of an admin.")
    assert not browser.one("#filters").is_displayed()


def test_a_token_that_only_says_admin_is_refused_by_the_api(
    browser: Browser, admin: Client, system: System
) -> None:
    head, body, _ = system.token(admin.sub, "admin").split(".")
    browser.open(PAGE, token=f"{head}.{body}.{'A' * 43}")
    browser.shows("#notice", "The token is not valid")
    assert not browser.one("#listing").is_displayed()
