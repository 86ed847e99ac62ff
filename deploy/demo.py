"""`make demo`: one picture goes through the whole system, and a smaller copy of it is recognised."""

import contextlib
import mimetypes
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from deploy import demo_photo, tokens
from deploy.config import ANY_PORTS, Folder, StackConfig
from deploy.credentials import Credentials
from deploy.errors import StackError
from deploy.stack import EmbeddedStack, State

FINAL = ("ready", "failed")
POLL_SECONDS = 0.2

Progress = Callable[[str], None]


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One caller at the origin, how long it waits for one file, and whom it tells."""

    http: httpx.Client
    live: str
    seconds: float
    progress: Progress


class Story(msgspec.Struct, kw_only=True):
    """What the demo saw. Times in milliseconds since its upload began."""

    url: str
    upload_status: int
    media: dict[str, Any]
    milestones: dict[str, float]
    copy: dict[str, Any] | None = None
    similar: dict[str, Any] | None = None

    @property
    def fault(self) -> str | None:
        """What is not as it should be; None when all is well."""
        if self.media["status"] != "ready":
            error = self.media.get("error") or {}
            return f"processing failed with {error.get('code')}: {error.get('detail')}"
        if self.copy is not None and self.media.get("phash") and self.similar is None:
            return "the smaller copy was not recognised as a near-duplicate"
        return None


@contextlib.contextmanager
def somewhere(data: Path, sub: str, progress: Progress) -> Iterator[tuple[str, str]]:
    """URL and token of the stack that runs on `data`, or else of a temporary one on random ports."""
    folder = Folder(root=data.resolve())
    if folder.state.exists() and alive(url := msgspec.json.decode(folder.state.read_bytes(), type=State).url):
        secret = msgspec.json.decode(folder.credentials.read_bytes(), type=Credentials).jwt_secret
        yield url, tokens.make(secret, sub)
        return
    with tempfile.TemporaryDirectory(prefix="tripod-demo-") as scratch:
        stack = EmbeddedStack(StackConfig(data=Path(scratch, "data"), ports=ANY_PORTS, durable=False))
        try:
            stack.start_all(progress)
            yield stack.origin_url, stack.token(sub)
        finally:
            stack.close()


def alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).is_success
    except httpx.HTTPError:
        return False


def play(file: Path | None, data: Path, seconds: float, progress: Progress) -> Story:
    """Upload, follow, upload a smaller copy, ask what is similar. Raises StackError with the answer when refused."""
    name = file.name if file else "demo.jpg"
    content = file.read_bytes() if file else demo_photo.make()
    # A user of its own, so that what it finds similar is of this run.
    with somewhere(data, f"demo-{uuid.uuid4().hex[:12]}", progress) as (url, token):
        headers = {"Authorization": f"Bearer {token}"}
        live = url.replace("http", "ws", 1) + f"/v1/live?token={token}"
        with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
            visit = Visit(http=http, live=live, seconds=seconds, progress=progress)
            story = follow(visit, name, content)
            smaller = demo_photo.smaller_copy(content) if story.media["status"] == "ready" else None
            if smaller is not None:
                story.copy = follow(visit, "smaller.jpg", smaller).media
                story.similar = similar(http, story.media["id"], story.copy["id"])
            return story


def follow(visit: Visit, name: str, content: bytes) -> Story:
    """Upload one file and watch it until it is ready or failed."""
    visit.progress(f"uploading {name}")
    with connect(visit.live, open_timeout=10, max_size=1 << 20) as socket:
        began = time.monotonic()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        answer = visit.http.post(
            "/v1/uploads",
            files={"file": (name, content, kind)},
            headers={"Idempotency-Key": uuid.uuid4().hex},
        )
        require(answer, "the upload")
        story = Story(
            url=str(visit.http.base_url),
            upload_status=answer.status_code,
            media=answer.json(),
            milestones={"uploaded": since(began)},
        )
        watch(visit, socket, story, began)
    return story


def watch(visit: Visit, socket: ClientConnection, story: Story, began: float) -> None:
    """Return when the media is final; every stage that the live socket tells of is noted on the way."""
    media_id = story.media["id"]
    while time.monotonic() < began + visit.seconds:
        stage = heard(socket, media_id)
        if stage:
            story.milestones.setdefault(stage, since(began))
            visit.progress(stage)
        answer = visit.http.get(f"/v1/media/{media_id}")
        if answer.is_success and answer.json()["status"] in FINAL:
            story.media = answer.json()
            story.milestones[story.media["status"]] = since(began)
            return
    raise StackError(
        f"{media_id} is neither ready nor failed after {visit.seconds:.0f} s; see the processor's log"
    )


def heard(socket: ClientConnection, media_id: str) -> str | None:
    """The next stage of this media that the socket tells of within a moment."""
    try:
        message = msgspec.json.decode(socket.recv(timeout=POLL_SECONDS))
    except (TimeoutError, ConnectionClosed):
        return None
    if media_id not in {message.get("id"), (message.get("media") or {}).get("id")}:
        return None
    return str(message.get("stage") or message["type"])


def similar(http: httpx.Client, media_id: str, copy_id: str) -> dict[str, Any] | None:
    answer = http.get(f"/v1/media/{media_id}/similar")
    require(answer, "the question for what is similar")
    found: list[dict[str, Any]] = answer.json()["items"]
    return next((item for item in found if item["media"]["id"] == copy_id), None)


def require(answer: httpx.Response, what: str) -> None:
    if answer.is_error:
        raise StackError(f"{what} was refused with {answer.status_code}: {answer.text}")


def since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
