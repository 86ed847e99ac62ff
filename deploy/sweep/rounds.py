"""One round of a sweep: every file uploaded, and waited for until it is ready or failed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import urllib3

from deploy.stack import EmbeddedStack
from deploy.sweep.costs import Cost
from deploy.sweep.files import Sample
from deploy.sweep.results import NO_END, Ending

_CLIENTS = 4
_PAGE = 200
_POLL_SECONDS = 0.5
_STALL_SECONDS = 240  # longer than two children may take, with one retry
Tell = Callable[[str, int, int], None]


class Round:
    """A user of its own per round, so that all that this user has is the round."""

    def __init__(self, stack: EmbeddedStack, owner: str, tell: Tell) -> None:
        self._url = stack.origin_url
        self._headers = {"Authorization": f"Bearer {stack.token(owner)}"}
        self._owner = owner
        self._tell = tell
        self._http = urllib3.PoolManager(
            maxsize=_CLIENTS, retries=False, timeout=urllib3.Timeout(connect=10, read=120)
        )

    def upload(self, samples: Sequence[Sample]) -> list[Ending]:
        """How far each file has come when its upload is answered."""
        found: list[Ending] = []
        with ThreadPoolExecutor(_CLIENTS) as clients:
            for ending in clients.map(self._upload, samples):
                found.append(ending)
                self._tell("uploading", len(found), len(samples))
        return found

    def _upload(self, sample: Sample) -> Ending:
        url = f"{self._url}/v1/uploads/raw/{quote(sample.path.name, safe='')}"
        length = {"Content-Length": str(sample.path.stat().st_size)}
        with sample.path.open("rb") as body:
            answer = self._http.request("PUT", url, body=body, headers=self._headers | length)
        said = json.loads(answer.data)
        if answer.status in {201, 202}:
            return Ending(verdict=NO_END, media_id=said["id"])
        if answer.status >= 500:
            return Ending(verdict=f"{NO_END}: {answer.status}")
        return Ending(verdict=f"refused: {answer.status} {said.get('code', '')}".strip())

    def settle(self, count: int) -> None:
        """Return when nothing is in processing any more, or nothing has moved for a long time."""
        least, since = count + 1, time.monotonic()
        while time.monotonic() - since < _STALL_SECONDS:
            there = self._count()
            left = self._count("&status=processing") + (count - there)
            self._tell("processing", count - left, count)
            if left <= 0:
                return
            if left < least:
                least, since = left, time.monotonic()
            time.sleep(_POLL_SECONDS)

    def _count(self, narrower: str = "") -> int:
        return int(
            self._ask(f"/v1/media?owner={self._owner}&limit=1&count=exact{narrower}")["count"]["value"]
        )

    def _ask(self, path: str) -> Any:
        answer = self._http.request("GET", self._url + path, headers=self._headers)
        if answer.status != 200:
            raise RuntimeError(f"{path} is answered {answer.status}: {answer.data[:300]!r}")
        return json.loads(answer.data)

    def media(self) -> Iterator[dict[str, Any]]:
        """All media of this round."""
        cursor = ""
        while True:
            page = self._ask(f"/v1/media?owner={self._owner}&limit={_PAGE}{cursor}")
            yield from page["items"]
            if not page["next_cursor"]:
                return
            cursor = f"&cursor={quote(page['next_cursor'], safe='')}"


def endings(taken: Sequence[Ending], media: Iterator[dict[str, Any]], costs: dict[str, Cost]) -> list[Ending]:
    """How each file ended, with what its children cost."""
    known = {one["id"]: one for one in media}
    return [_ending(end, known.get(end.media_id), costs) if end.media_id else end for end in taken]


def _ending(taken: Ending, media: dict[str, Any] | None, costs: dict[str, Cost]) -> Ending:
    cost = costs.get(taken.media_id, Cost())
    verdict, made = NO_END, []
    if media is not None and media["status"] == "ready":
        verdict, made = "ready", list(_made(media))
    elif media is not None and media["status"] == "failed":
        verdict = f"failed: {media['error']['code']}"
    return Ending(
        verdict=verdict,
        media_id=taken.media_id,
        made=tuple(made),
        children=cost.children,
        cpu=cost.cpu,
        wall=cost.wall,
        peak=cost.peak,
    )


def _made(media: dict[str, Any]) -> Iterator[str]:
    for name in (
        "mime_type",
        "width",
        "height",
        "phash",
        "dhash",
        "placeholder",
        "taken_at",
        "exif",
        "warnings",
    ):
        if media.get(name):
            yield f"{name} {json.dumps(media[name], sort_keys=True)}"
    for one in media.get("variants", ()):
        yield f"{one['name']} {one['mime_type']} {one['width']} x {one['height']}, {one['size']} bytes"
