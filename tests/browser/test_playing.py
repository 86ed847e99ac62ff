"""A real browser plays what is made of private videos and sounds, by signed links: another origin, and no token."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import av
import pytest

from deploy.stack import EmbeddedStack
from tests.browser.conftest import Browser
from tests.e2e.conftest import Client, client_of
from tests.fixtures.sounds import sound
from tests.fixtures.system import EmbeddedSystem
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

SECONDS = 5
SCRIPT = Path(__file__).with_name("player.js")


class Page(http.server.BaseHTTPRequestHandler):
    """The player's page, as somebody else's site."""

    files: ClassVar[dict[str, tuple[str, bytes]]] = {
        "/": ("text/html", b'<!doctype html><title>player</title><body><script src="/player.js"></script>'),
        "/player.js": ("text/javascript", SCRIPT.read_bytes()),
        "/favicon.ico": ("image/x-icon", b""),
    }

    def do_GET(self) -> None:
        kind, body = self.files[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Where the player's page is."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def ann(stack: EmbeddedStack, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A user of the embedded stack."""
    yield from client_of(EmbeddedSystem(stack), f"ann of {request.node.name[:100]}")


@pytest.fixture(scope="module")
def streamed(stack: EmbeddedStack) -> Iterator[tuple[Client, dict[str, Any]]]:
    """A film with a ladder, and whose it is: the embedded stack has a profile whose recipe asks for one."""
    for owner in client_of(EmbeddedSystem(stack), "ann of the ladder"):
        yield owner, a_film(owner, profile="streamed")


@pytest.fixture
def player(browser: Browser, site: str) -> Browser:
    browser.driver.get(site)
    return browser


def link(owner: Client, media: dict[str, Any], variant: str) -> str:
    """The address that a product hands to its player."""
    assert media["is_public"] is False
    made = owner.http.post(f"/v1/media/{media['id']}/links", json={"variant": variant})
    assert made.status_code == 201, made.text
    return str(made.json()["url"])


def a_film(owner: Client, **fields: str) -> dict[str, Any]:
    """A private one of five seconds that had to be encoded."""
    made = video("mov", width=160, height=120, seconds=SECONDS, rate=10, seed=11)
    media = owner.uploaded(made.data, "film.mov", **fields)
    assert media["status"] == "ready", media
    return media


def played(player: Browser, begin: Callable[[], None]) -> dict[str, Any]:
    """Begin, and wait until it has played to the end; it moves on meanwhile."""
    begin()
    seen: set[float] = set()

    def look() -> dict[str, Any] | None:
        state: dict[str, Any] = player.run("return state()")
        assert state["error"] is None, state
        assert not any(each.startswith("refused") for each in state["events"]), state
        seen.add(state["at"])
        return state if state["ended"] else None

    state = eventually(look, "the player to come to the end", 60)
    assert len(seen) > 5, "it jumped to the end"
    assert state["events"][:2] == ["loadedmetadata", "playing"]
    assert state["duration"] == pytest.approx(SECONDS, abs=0.05)
    assert state["at"] == pytest.approx(SECONDS, abs=0.05)
    assert player.console() == []
    return state


def test_the_mp4_of_a_private_video_plays_by_a_signed_link(player: Browser, ann: Client) -> None:
    address = link(ann, a_film(ann), "mp4")
    state = played(player, lambda: player.run("play(arguments[0])", address))
    assert state["sides"] == [160, 120]


def test_the_mp3_of_a_private_sound_plays_by_a_signed_link(player: Browser, ann: Client) -> None:
    media = ann.uploaded(sound("wav", seconds=SECONDS).data, "tone.wav")
    assert media["status"] == "ready", media
    state = played(player, lambda: player.run("play(arguments[0])", link(ann, media, "mp3")))
    assert state["sides"] == [0, 0]


def test_the_ladder_of_a_private_video_plays_by_one_signed_link(
    player: Browser, streamed: tuple[Client, dict[str, Any]]
) -> None:
    owner, media = streamed
    address = link(owner, media, "hls")
    assert player.run("return film.canPlayType('application/vnd.apple.mpegurl')"), "Chromium 142 or newer"
    state = played(player, lambda: player.run("play(arguments[0])", address))
    assert state["sides"] in ([160, 120], [96, 72])
    asked = [each for each in player.addresses() if "/variants/" in each]
    assert any(f"/{media['id']}/variants/hls?" in each for each in asked)
    assert any(".mp4?" in each for each in asked)
    assert all("signature=" in each for each in asked)


@pytest.mark.parametrize(("place", "sides"), [(0, [160, 120]), (1, [96, 72])])
def test_a_film_of_the_ladder_plays_through_media_source_extensions(
    player: Browser, streamed: tuple[Client, dict[str, Any]], place: int, sides: list[int]
) -> None:
    address = link(*streamed, "hls")
    state = played(player, lambda: player.run("stream(arguments[0], arguments[1])", address, place))
    assert state["sides"] == sides
    # In one piece, from the first moment on.
    assert state["pieces"] == 1
    assert state["from"] == pytest.approx(0, abs=0.03)
    assert state["to"] == pytest.approx(SECONDS, abs=0.05)


def test_players_that_are_made_of_ffmpeg_play_the_ladder_too(streamed: tuple[Client, dict[str, Any]]) -> None:
    address = link(*streamed, "hls")
    with av.open(address, "r") as container:
        largest = max(container.streams.video, key=lambda stream: stream.width)
        frames = list(container.decode(largest))
    assert len(frames) == SECONDS * 10
    assert frames[0].time == pytest.approx(0, abs=0.001)


def test_a_link_that_was_changed_plays_nothing(
    player: Browser, streamed: tuple[Client, dict[str, Any]]
) -> None:
    address = link(*streamed, "hls")
    player.run("play(arguments[0])", address.replace("signature=", "signature=0"))
    eventually(lambda: player.run("return state()")["error"], "the player to say that it cannot")
