"""Videos of others, a browser, and a worker that dies: what takes long to show."""

import asyncio
import http.server
import os
import shutil
import signal
import subprocess
import threading
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio
from av.error import FFmpegError

from services.processor.sandbox import Sandbox
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaFailed, MediaProcessed
from shared.film_recipes import Films as FilmsAsked
from shared.film_recipes import FilmSpec
from shared.storage.memory import MemoryBlobs
from tests.fixtures.recipes import STANDARD
from tests.fixtures.videos import Video, play, video
from tests.integration.processor.test_handlers import Parts, process, uploaded

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus")) / "video-audio" / "media"
TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "ts": "video/mp2t",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One fork server for all."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def parts(sandbox: Sandbox) -> Parts:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    return Parts(bus, blobs, sandbox)


async def made_of(parts: Parts, source: Video) -> MediaProcessed | MediaFailed:
    key = await parts.store(source.data)
    await process(parts, uploaded(key, media_type="video", mime_type=source.mime_type))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed | MediaFailed)
    return found


def body(parts: Parts, media: MediaProcessed, name: str) -> bytes:
    return parts.blobs.objects[next(ref.key for ref in media.variants if ref.name == name)].body


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")
@pytest.mark.parametrize("extension", sorted(TYPES))
@pytest.mark.timeout(1800)
async def test_every_video_of_the_corpus_ends_with_a_film_that_plays_or_with_a_reason(
    parts: Parts, extension: str
) -> None:
    files = [file for file in CORPUS.iterdir() if file.suffix.lower() == f".{extension}"]
    assert files
    ready = 0
    for file in files:
        media = await made_of(parts, Video(data=file.read_bytes(), mime_type=TYPES[extension], mark=0))
        if isinstance(media, MediaFailed):
            assert media.code in {"corrupt", "truncated", "unsupported"}, (file.name, media)
        elif not media.variants:
            assert media.warnings, file.name
        else:
            ready += 1
            try:
                film = play(body(parts, media, "mp4"))
            except FFmpegError as error:
                raise AssertionError(f"The film of {file.name} does not play: {error}") from error
            assert film.frames, file.name
            assert media.duration == pytest.approx(film.duration, abs=0.05), file.name
    assert ready


class Site:
    """Pages that play a film and say how that went."""

    def __init__(self, files: dict[str, tuple[bytes, str]]) -> None:
        site = self
        self.said: list[str] = []
        self.told = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            wbufsize: ClassVar[int] = -1

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path == "/say":
                    site.said.append(urllib.parse.unquote(query))
                    site.told.set()
                if path not in files:
                    self.send_response(204)
                    self.end_headers()
                    return
                data, kind = files[path]
                asked = self.headers.get("Range", "")
                begin, _, end = asked.removeprefix("bytes=").partition("-")
                first, last = int(begin or 0), min(int(end or len(data)), len(data) - 1)
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                self.send_header("Content-Type", kind)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(last - first + 1))
                self.end_headers()
                self.wfile.write(data[first : last + 1])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # a player hangs up when it has enough
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def page(source: str) -> bytes:
    return (
        "<video id=v muted playsinline></video><script>const v = document.getElementById('v');"
        "const say = text => fetch('/say?' + encodeURIComponent(text));"
        "v.onended = () => say('ended ' + v.videoWidth + 'x' + v.videoHeight);"
        f"v.onerror = () => say('error ' + v.error.message); v.src = '{source}';"
        "v.play().catch(error => say('refused ' + error));</script>"
    ).encode()


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Any]:
    """Opens a page in a browser without a window."""
    program = shutil.which("chromium")
    assert program is not None, "this test needs Debian's chromium"
    running: list[subprocess.Popen[bytes]] = []

    def opened(url: str) -> None:
        arguments = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"),
            "--autoplay-policy=no-user-gesture-required",
            f"--user-data-dir={tmp_path / str(len(running))}",
        ]
        browser = subprocess.Popen(
            [program, *arguments, url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        running.append(browser)

    yield opened
    for browser in running:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(20)


async def test_a_browser_plays_the_film_and_the_ladder_to_the_end(parts: Parts, chromium: Any) -> None:
    rung = FilmSpec(name="low", width=96, height=72, fragmented=True)
    assert isinstance(parts.deps.recipes, dict)
    parts.deps.recipes["standard"] = msgspec.structs.replace(STANDARD, films=FilmsAsked(ladder=(rung,)))
    media = await made_of(parts, video("avi", width=160, height=120, seconds=5, rate=10))
    assert isinstance(media, MediaProcessed)
    files = {f"/{ref.name}": (parts.blobs.objects[ref.key].body, ref.mime_type) for ref in media.variants}
    files |= {f"/page/{name}": (page(f"/{name}"), "text/html") for name in ("mp4", "hls")}
    site = Site(files)
    try:
        for name, sides in (("mp4", "160x120"), ("hls", "96x72")):
            site.told.clear()
            chromium(f"http://127.0.0.1:{site.server.server_port}/page/{name}")
            assert await asyncio.to_thread(site.told.wait, 60), name
            assert site.said[-1] == f"ended {sides}"
    finally:
        site.close()
