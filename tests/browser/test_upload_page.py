"""/static/media-upload-test.html: from the choice of files to what became of them."""

import hashlib
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.browser.conftest import Browser
from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import IN_CONTAINERS, System
from tests.fixtures.waiting import eventually

PAGE = "/static/media-upload-test.html"
SLOW = 600_000  # bytes a second: slow enough to be seen on the way, fast enough for a test
WATCH = """
  window.seen = [];
  const note = (row) => {
    const state = row.querySelector('.what > .state').innerText;
    const name = row.querySelector('.name').firstChild.data;
    seen.push([name, row.dataset.state, row.querySelector('progress').value, state]);
  };
  new MutationObserver((changes) => {
    for (const {target} of changes) {
      const row = (target.nodeType === 1 ? target : target.parentElement).closest('.row-of-file');
      if (row) note(row);
    }
  }).observe(document.querySelector('#rows'), {subtree: true, childList: true, attributes: true, characterData: true});
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A picture that takes some time to send, and a small one."""
    large = Image.frombytes("RGB", (512, 512), random.Random(5).randbytes(512 * 512 * 3))
    (tmp_path / "large.png").write_bytes(encoded(large, "PNG"))
    (tmp_path / "small.jpg").write_bytes(encoded(picture(300, 200, seed=71)))
    return tmp_path / "large.png", tmp_path / "small.jpg"


def choose(browser: Browser, *paths: Path) -> None:
    browser.one("#files").send_keys("\n".join(str(path) for path in paths))


def states(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('#rows > li')].map((row) => row.dataset.state)"
    )
    return found


def ended(browser: Browser, *wanted: str) -> None:
    """Wait until the rows, the newest first, are in these states."""
    try:
        eventually(lambda: states(browser) == list(wanted), "rows", 40)
    except AssertionError:
        raise AssertionError(f"{browser.texts('#rows > li')} are {states(browser)}, never {wanted}") from None


def slow(browser: Browser, upload: int = SLOW, *, offline: bool = False) -> None:
    browser.command(
        "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1,
        uploadThroughput=upload,
    )  # fmt: skip


def test_two_files_are_sent_with_their_progress_and_followed_until_they_are_ready(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    browser.type("[name=description]", "Both of them")
    browser.run(WATCH)
    slow(browser)
    choose(browser, *files)
    ended(browser, "ready", "ready")
    assert browser.texts("#summary") == ["2 of 2 files ready."]
    seen: list[tuple[str, str, float, str]] = [tuple(each) for each in browser.run("return seen")]
    large = [each for each in seen if each[0].startswith("large.png")]
    part = [value for _, state, value, _ in large if state == "sending" and 0 < value < 100]
    assert len(set(part)) >= 2, large
    assert part == sorted(part)
    assert any(f"of {round(files[0].stat().st_size / 1000)} kB sent" in text for *_, text in large)
    assert [state for _, state, *_ in large].index("processing") < len(large) - 1
    made = ann.mine()
    assert {media["filename"] for media in made} == {"large.png", "small.jpg"}
    assert {media["description"] for media in made} == {"Both of them"}
    assert {media["is_public"] for media in made} == {False}
    eventually(lambda: thumbnails(browser) == 2, "two thumbnails in sight")
    for address in browser.run("return [...document.querySelectorAll('.links a')].map((each) => each.href)"):
        answer = httpx.get(address)  # without a token
        assert hashlib.sha256(answer.content).hexdigest() in {media["sha256"] for media in made}
    assert browser.console() == []


def thumbnails(browser: Browser) -> int:
    found: int = browser.run(
        "return [...document.querySelectorAll('.thumbnail img')].filter((each) => each.naturalWidth > 0).length"
    )
    return found


def test_a_file_of_a_wrong_type_shows_the_reason_of_the_api(
    browser: Browser, ann: Client, system: System, tmp_path: Path
) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no picture")
    browser.open(PAGE, token=system.token(ann.sub))
    browser.type("[name=profile]", "mediafiles")
    choose(browser, wrong)
    ended(browser, "refused")
    with wrong.open("rb") as sent:
        said = ann.http.post("/v1/uploads", files={"file": sent}, data={"profile": "mediafiles"})
    assert said.json()["detail"] in browser.texts(".row-of-file .state")
    assert browser.texts("#summary") == ["0 of 1 file ready, 1 not taken."]
    assert ann.mine() == []


def test_a_file_that_cannot_be_processed_says_why(
    browser: Browser, ann: Client, system: System, tmp_path: Path
) -> None:
    broken = tmp_path / "cut.jpg"
    broken.write_bytes(encoded(picture(640, 480, seed=72))[:4000])
    browser.open(PAGE, token=system.token(ann.sub))
    choose(browser, broken)
    ended(browser, "failed")
    assert ann.mine()[0]["error"]["detail"] in browser.texts(".row-of-file .state")


def test_without_a_token_our_own_api_says_that_it_needs_one(
    browser: Browser, files: tuple[Path, Path]
) -> None:
    browser.open(PAGE)
    choose(browser, files[1])
    ended(browser, "refused")
    browser.shows(".row-of-file .state", "This needs a token")


def test_the_library_takes_a_file_and_gives_a_link_to_it(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    token = system.token(ann.sub) if IN_CONTAINERS else ""  # there the library is closed
    browser.open(PAGE, token=token)
    browser.click("[value=library]")
    assert not browser.one("[name=profile]").is_enabled()
    browser.click("[name=is_public]")
    choose(browser, files[1])
    ended(browser, "ready")
    browser.shows(".row-of-file .state", "Ready: image/jpeg, 300 x 200")
    link = browser.one(".links a").get_attribute("href")
    assert "/media/" in str(link)
    assert httpx.get(str(link), headers={"Authorization": f"Bearer {token}"} if token else {}).content == (
        files[1].read_bytes()
    )


def test_the_page_calls_nothing_ready_of_which_it_is_not_told(
    browser: Browser, ann: Client, system: System, tmp_path: Path
) -> None:
    broken = tmp_path / "cut.jpg"
    broken.write_bytes(encoded(picture(640, 480, seed=74))[:4000])
    browser.open(PAGE)
    browser.click("[value=library]")
    choose(browser, broken)
    if IN_CONTAINERS:  # there the library is closed
        ended(browser, "refused")
        return
    ended(browser, "stored")
    browser.shows(".row-of-file .state", "Stored. Whether it could be processed is told of public files only")
    assert browser.texts("#summary") == ["0 of 1 file ready, 1 stored."]
    browser.one(".links a")
    browser.click("[name=is_public]")
    choose(browser, broken)
    ended(browser, "failed", "stored")
    browser.use_token(system.token(ann.sub))
    browser.click("[name=is_public]")
    choose(browser, broken)
    ended(browser, "failed", "failed", "stored")
    assert browser.texts("#summary") == ["0 of 3 files ready, 1 stored, 2 failed."]


def test_a_cancelled_file_is_not_kept_and_can_be_sent_again(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    slow(browser, 100_000)
    choose(browser, files[0])
    eventually(
        lambda: browser.run("return document.querySelector('progress').value > 0"), "some of it is sent"
    )
    browser.click(".row-of-file .buttons .quiet")
    ended(browser, "cancelled")
    # Not at once as fast as it can: the rest would be gone before the browser has ended the request.
    slow(browser)
    assert ann.mine() == []
    browser.click(".row-of-file .buttons button:not(.quiet)")
    ended(browser, "ready")
    assert len(ann.mine()) == 1


def test_a_connection_that_breaks_off_is_told_and_trying_again_makes_one_media(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    slow(browser, offline=True)
    choose(browser, files[0])
    ended(browser, "lost")
    browser.shows(".row-of-file .state", "The connection broke off.")
    slow(browser, -1)
    browser.click(".row-of-file .buttons button:not(.quiet)")
    ended(browser, "ready")
    assert [media["filename"] for media in ann.mine()] == ["large.png"]


def test_files_are_taken_where_they_are_dropped(browser: Browser, ann: Client, system: System) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    browser.run("""
      const transfer = new DataTransfer();
      transfer.items.add(new File(['some words'], 'dropped.txt', {type: 'text/plain'}));
      const event = (name) => new DragEvent(name, {dataTransfer: transfer, bubbles: true, cancelable: true});
      document.body.dispatchEvent(event('dragover'));
      window.over = document.querySelector('#drop').classList.contains('over');
      document.body.dispatchEvent(event('drop'));
    """)
    assert browser.run("return over") is True
    ended(browser, "ready")
    assert [media["filename"] for media in ann.mine()] == ["dropped.txt"]


def test_a_name_with_markup_is_a_text(browser: Browser, ann: Client, system: System, tmp_path: Path) -> None:
    name = "<img src=x onerror=window.harm=1><b>bold.png"
    (tmp_path / name).write_bytes(encoded(picture(64, 64, seed=73), "PNG"))
    browser.open(PAGE, token=system.token(ann.sub))
    choose(browser, tmp_path / name)
    ended(browser, "ready")
    assert browser.texts(".row-of-file .name")[0].startswith(name)
    assert browser.run("return [window.harm, document.querySelectorAll('.name b, .name img').length]") == [
        None,
        0,
    ]


def test_the_token_lives_in_this_tab_alone_and_is_forgotten_on_request(
    browser: Browser, ann: Client, system: System
) -> None:
    token = system.token(ann.sub)
    browser.open(PAGE, token=f"Bearer {token}")
    browser.shows("#token-state", f"The token of {ann.sub}")
    stored: list[Any] = browser.run("return [sessionStorage.length, localStorage.length, document.cookie]")
    assert stored == [1, 0, ""]
    browser.open("/static/websocket-test.html")
    browser.shows("#token-state", f"The token of {ann.sub}")
    browser.click("#token-form button[type=button]")
    assert browser.run("return [sessionStorage.length, document.querySelector('#token').value]") == [0, ""]
    assert not any(token in address for address in browser.addresses())


def test_a_cancel_after_the_last_byte_does_not_claim_that_nothing_is_kept(
    browser: Browser, ann: Client, system: System
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    # A server that takes everything and does not answer yet.
    browser.run("""
      XMLHttpRequest.prototype.send = function (form) {
        this.upload.dispatchEvent(new ProgressEvent('progress', {loaded: 500, total: 500}));
        window.form = form;
      };
      XMLHttpRequest.prototype.abort = function () {
        this.dispatchEvent(new ProgressEvent('abort'));
        this.dispatchEvent(new ProgressEvent('loadend'));
      };
      window.keys = [];
      const set = XMLHttpRequest.prototype.setRequestHeader;
      XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
        if (name === 'Idempotency-Key') keys.push(value);
        set.call(this, name, value);
      };
      const transfer = new DataTransfer();
      transfer.items.add(new File(['some words'], 'words.txt'));
      document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
    """)
    browser.shows(".row-of-file .state", "Sent; the server stores it.")
    browser.click(".row-of-file .buttons .quiet")
    browser.shows(".row-of-file .state", "Cancelled; the server may have it already.")
    browser.click(".row-of-file .buttons button:not(.quiet)")
    keys = eventually(
        lambda: (found := browser.run("return keys")) and len(found) == 2 and found, "it to be sent again"
    )
    assert keys[0] == keys[1], "the same upload, should the server have it"


ANSWER_FOR_THE_SERVER = """
  const real = window.fetch;
  window.percent = 40;
  window.fetch = (url, options) => {
    const path = new URL(url).pathname;
    if (path === '/v1/live') return Promise.resolve(new Response('{"detail": "no feed"}', {status: 503}));
    if (window.percent === null || !path.startsWith('/v1/uploads/')) return real(url, options);
    return Promise.resolve(Response.json({progress: {stage: 'render', percent: window.percent}}));
  };
"""


def test_without_the_feed_the_page_asks_how_far_the_processing_is(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    browser.run(ANSWER_FOR_THE_SERVER)
    choose(browser, files[1])
    for percent in (40, 70):
        browser.run("window.percent = arguments[0]", percent)
        browser.shows(".row-of-file .state", f"Processing: render, {percent} %.")
        assert browser.run("return document.querySelector('progress').value") == percent
    browser.run("window.percent = null")
    ended(browser, "ready")


def test_the_feed_alone_tells_when_a_file_is_ready(
    browser: Browser, ann: Client, system: System, files: tuple[Path, Path]
) -> None:
    browser.command("Network.enable")
    browser.command("Network.setBlockedURLs", urls=["*/v1/uploads/*"])
    browser.open(PAGE, token=system.token(ann.sub))
    choose(browser, files[1], files[0])
    ended(browser, "ready", "ready")


def test_many_files_are_followed_by_one_feed_and_few_questions(
    browser: Browser, ann: Client, system: System
) -> None:
    browser.open(PAGE, token=system.token(ann.sub))
    browser.run("""
      const transfer = new DataTransfer();
      for (let place = 0; place < 40; place += 1) transfer.items.add(new File([`words ${place}`], `${place}.txt`));
      window.begun = performance.now();
      document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
    """)
    browser.shows("#summary", "40 of 40 files ready.", 60)
    seconds = browser.run("return (performance.now() - begun) / 1000")
    asked = browser.addresses()
    assert len([address for address in asked if address.endswith("/v1/live")]) == 1
    questions = len([address for address in asked if "/v1/uploads/" in address])
    assert questions <= 40 + 4 * (seconds / 1.5 + 1), "one for each, then four in a look"
