"""Single requests of a client that does not give up."""

import hashlib
import uuid
from collections import Counter
from typing import Any

import httpx

from tests.faults.conftest import Victim
from tests.faults.load import RETRIED, marked
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually

PATIENCE_SECONDS = 60.0


def persist(victim: Victim, method: str, path: str, expected: set[int], **options: Any) -> httpx.Response:
    """The first answer with an expected status; asked again while parts are down. Where none comes, the test says
    what came instead."""
    others: Counter[str] = Counter()
    with victim.client() as http:

        def ask() -> httpx.Response | None:
            try:
                answer = http.request(method, path, **options)
            except httpx.TransportError as error:
                others[repr(error)] += 1
                return None
            assert answer.status_code in expected | RETRIED | {404}, f"{answer.status_code} {answer.text}"
            if answer.status_code in expected:
                return answer
            others[f"{answer.status_code} {answer.text[:300]}"] += 1
            return None

        try:
            return eventually(ask, f"{method} {path} to be answered {expected}", PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; answers: {dict(others)}") from error


def send(victim: Victim, data: bytes | None = None, name: str = "photo.jpg") -> str:
    """Upload one picture; its id, as soon as it is acknowledged."""
    data = data or marked(photo(96, 72), uuid.uuid4().bytes)
    answer = persist(
        victim,
        "POST",
        "/v1/uploads",
        {201, 202},
        files={"file": (name, data)},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    media_id: str = answer.json()["id"]
    assert hashlib.sha256(data).hexdigest() == answer.json()["sha256"]
    victim.ledger.note(media_id, data, tries=1, seconds=0)
    return media_id


def uploaded(victim: Victim) -> str:
    """The id of a new media that is final."""
    media_id = send(victim)
    final(victim, media_id)
    return media_id


def final(victim: Victim, media_id: str, seconds: float = 60) -> dict[str, Any]:
    """The media once it is ready or failed."""

    def look() -> dict[str, Any] | None:
        media: dict[str, Any] = persist(victim, "GET", f"/v1/media/{media_id}", {200}).json()
        return media if media["status"] in {"ready", "failed"} else None

    return eventually(look, f"{media_id} to be final", seconds)


def delete(victim: Victim, media_id: str) -> None:
    """Delete it for good; an answer that was lost shows as 404 the next time."""
    persist(victim, "GET", f"/v1/media/{media_id}", {200})
    persist(victim, "DELETE", f"/v1/media/{media_id}", {204, 404})
    victim.ledger.deleted(media_id)


def shown(victim: Victim) -> dict[str, Any]:
    """Every media as its owner sees it, by id."""
    found: dict[str, Any] = {}
    parameters: dict[str, str] = {"limit": "100"}
    while True:
        page = persist(victim, "GET", "/v1/media", {200}, params=parameters).json()
        found |= {media["id"]: media for media in page["items"]}
        if not page.get("next_cursor"):
            return found
        parameters["cursor"] = page["next_cursor"]
