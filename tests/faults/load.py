"""Clients that upload all the while, retry as clients do, and keep their own ledger of what was acknowledged."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx

from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.waiting import eventually

RETRIED = {409, 425, 429, 500, 502, 503, 504}
GIVE_UP_SECONDS = 60.0
LARGE_BYTES = 7 * 1024 * 1024  # more than one part of a multipart upload


class Files:
    """Endless small files, each unlike any other: photos, pictures, text, and pictures that are damaged; one in `large`
    is a photo of several parts (0: none)."""

    def __init__(self, seed: int, large: int = 0) -> None:
        self._dice = random.Random(seed)
        self._large = large
        self._photos = [photo(96, 72, seed=n) for n in range(6)]
        self._png = encoded(picture(64, 48, seed=9), "PNG")

    def make(self, number: int) -> tuple[str, bytes]:
        """The name and bytes of the n-th file."""
        kind = self._dice.random()
        mark = f"upload {number} {self._dice.getrandbits(64):x}".encode()
        if self._large and number % self._large == self._large // 2:
            return f"{number}.jpg", marked(self._photos[0], mark) + self._dice.randbytes(LARGE_BYTES)
        if kind < 0.9:
            return f"{number}.jpg", marked(self._photos[number % len(self._photos)], mark)
        if kind < 0.95:
            return f"{number}.txt", mark * 20
        return f"{number}.png", self._png[:-40] + mark + bytes(8)


def marked(jpeg: bytes, mark: bytes) -> bytes:
    """The same picture as a file unlike any other: a comment right behind the start changes no pixel."""
    return jpeg[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2) + mark + jpeg[2:]


class Acknowledged:
    """The ledger: what was answered 2xx, and what became of it afterwards."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[str, Any]] = {}
        self.retries = 0
        self.slowest = 0.0
        self._turn = threading.Lock()

    def note(self, media_id: str, data: bytes, *, tries: int, seconds: float) -> None:
        with self._turn:
            assert media_id not in self.lines, f"two uploads were answered with {media_id}"
            self.lines[media_id] = {
                "id": media_id,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
            }
            self.retries += tries - 1
            self.slowest = max(self.slowest, seconds)

    def deleted(self, media_id: str) -> None:
        self.lines[media_id]["deleted"] = True

    def write(self, path: Path) -> Path:
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines.values()))
        return path

    def __len__(self) -> int:
        return len(self.lines)


class Load:
    """`clients` at once upload `total` files in all. Use as a context manager; leaving waits for the last answer
    and raises what any of them met that no retry could help."""

    def __init__(
        self,
        url: str,
        token: str,
        ledger: Acknowledged,
        *,
        total: int,
        clients: int = 4,
        seed: int = 1,
        wait: float = 0,
        deleted: float = 0,
        large: int = 0,
    ) -> None:
        self.url = url
        self.ledger = ledger
        self.total = total
        self._headers = {"Authorization": f"Bearer {token}"}
        self._files = Files(seed, large)
        self._large = large
        self._wait = wait
        self._deleted, self._dice = deleted, random.Random(seed)
        self._numbers: Iterator[int] = iter(range(total))
        self.allowed = total
        """How many may be begun by now; more may be allowed at any time."""
        self._prefix = f"load-{seed}-{time.time_ns()}"
        self._turn = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=clients, thread_name_prefix="client")
        self._running = [self._pool.submit(self._client) for _ in range(clients)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self._numbers = iter(())
            self.allowed = self.total
        self._pool.shutdown()
        if error is None:
            for client in self._running:
                client.result()

    def reached(self, count: int, seconds: float = 90) -> None:
        """Return when so many uploads are acknowledged; raises what ended a client before."""

        def look() -> bool:
            for client in self._running:
                if client.done():
                    client.result()
            return len(self.ledger) >= count

        eventually(look, f"{count} acknowledged uploads", seconds)

    @property
    def over(self) -> bool:
        return all(client.done() for client in self._running)

    def _client(self) -> None:
        with httpx.Client(base_url=self.url, headers=self._headers, timeout=20) as http:
            while True:
                with self._turn:
                    number = next(self._numbers, None)
                    if number is None:
                        return
                    name, data = self._files.make(number)
                    doomed = self._dice.random() < self._deleted
                while number >= self.allowed:
                    time.sleep(0.01)
                media_id = self._upload(http, number, name, data)
                if doomed:
                    self._delete(http, media_id)
                time.sleep(self._wait)

    def _delete(self, http: httpx.Client, media_id: str) -> None:
        """As soon as the row is there, in whatever state; a 404 after that says that an earlier try did it."""
        for method, wanted in (("GET", {200}), ("DELETE", {204, 404})):

            def done(method: str = method, wanted: set[int] = wanted) -> bool:
                try:
                    return http.request(method, f"/v1/media/{media_id}").status_code in wanted
                except httpx.TransportError:
                    return False

            eventually(done, f"{method} of {media_id}", GIVE_UP_SECONDS)
        self.ledger.deleted(media_id)

    def _upload(self, http: httpx.Client, number: int, name: str, data: bytes) -> str:
        """Until it is acknowledged, with one Idempotency-Key, as the API asks of clients."""
        headers = {"Idempotency-Key": f"{self._prefix}-{number}"}
        started, tries = time.monotonic(), 0
        while True:
            tries += 1
            said = self._try(http, number, name, data, headers)
            if isinstance(said, httpx.Response) and said.status_code in {201, 202}:
                seconds, media_id = time.monotonic() - started, str(said.json()["id"])
                self.ledger.note(media_id, data, tries=tries, seconds=seconds)
                return media_id
            if time.monotonic() - started > GIVE_UP_SECONDS:
                last = said.text if isinstance(said, httpx.Response) else ""
                raise AssertionError(
                    f"upload {number} found no end in {GIVE_UP_SECONDS:g} s: {said!r} {last}"
                )
            time.sleep(0.2)

    def _try(
        self, http: httpx.Client, number: int, name: str, data: bytes, headers: dict[str, str]
    ) -> httpx.Response | httpx.TransportError:
        """Large files go as forms and as plain bodies, in turn: as parts, because a form does not say how long its file
        is, and in one piece."""
        raw = len(data) > LARGE_BYTES and number // self._large % 2
        try:
            if raw:
                answer = http.put(f"/v1/uploads/raw/{name}", content=data, headers=headers)
            else:
                answer = http.post("/v1/uploads", files={"file": (name, data)}, headers=headers)
        except httpx.TransportError as error:
            return error
        if answer.status_code not in {201, 202} | RETRIED:
            raise AssertionError(f"{name}: {answer.status_code} {answer.text}")
        return answer
