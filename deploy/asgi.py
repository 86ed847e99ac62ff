"""Small ASGI pieces of the origin: whole answers out, and a GET of another app without a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import msgspec

from shared import problem
from shared.errors import TripodError

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


FETCH_SECONDS = 3.5  # a service takes 2 to find a part of its own silent


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


async def respond(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    headers = {"content-type": answer.content_type, "content-length": str(len(answer.body)), **answer.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


def refusal(error: TripodError) -> Answer:
    """The problem document of an error."""
    return Answer(
        status=error.status,
        body=msgspec.json.encode(problem.document(error)),
        content_type=problem.MEDIA_TYPE,
        headers={**problem.headers(error), "Access-Control-Allow-Origin": "*"},
    )


async def fetch(app: App, path: str) -> Answer:
    """What the app answers to `GET path`. Raises what the app raises."""
    status, content_type, body = 0, "", bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, content_type
        if message["type"] == "http.response.start":
            status = message["status"]
            found = {name.lower(): value for name, value in message["headers"]}
            content_type = found.get(b"content-type", b"").decode("latin-1")
        else:
            body.extend(message.get("body", b""))

    await app(get_scope(path), receive, send)
    return Answer(status=status, body=bytes(body), content_type=content_type)


def get_scope(path: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "extensions": {},
        "state": {},
    }


async def fetch_all(
    apps: Mapping[str, App], path: str, *, seconds: float = FETCH_SECONDS
) -> dict[str, Answer | Exception]:
    """The answer of each app to `GET path`, or what it raised; all asked at once, none waited for any longer."""

    async def one(app: App) -> Answer | Exception:
        try:
            async with asyncio.timeout(seconds):
                return await fetch(app, path)
        except TimeoutError:
            return TimeoutError(f"no answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 -- a broken service is an answer here, not our end
            return error

    answers = await asyncio.gather(*(one(app) for app in apps.values()))
    return dict(zip(apps, answers, strict=True))
