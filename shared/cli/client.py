"""HTTP as the client commands speak it: JSON in and out, pages, and failures as errors with words for people."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import msgspec
from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from shared.cli.failures import Refused, Unreachable
from shared.cli.retries import Patience, retrying, seconds_of
from shared.cli.server import Server

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
QUESTION_SECONDS = 60.0
MOST_ANSWER = 64 * 1024  # of a refusal
PAGE = 200
Query: TypeAlias = Sequence[tuple[str, str]]
Media: TypeAlias = dict[str, Any]
BRIEFLY = Patience(attempts=3, longest=10)
"""For questions of a person who waits."""


class Client:
    """One caller at one server."""

    def __init__(self, session: ClientSession, server: Server) -> None:
        self.session = session
        self.server = server

    def address(self, path: str, query: Query = ()) -> URL:
        """`path` is encoded already."""
        return URL(self.server.url + path, encoded=True).with_query(list(query))

    @asynccontextmanager
    async def request(
        self, method: str, url: URL, *, seconds: float | None = QUESTION_SECONDS, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, once its head is there. `seconds`: for all of it; None is without an end.

        Raises Unreachable where none comes or it breaks off, Refused for a status of 400 and above.
        """
        timeout = ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            async with self.session.request(method, url, timeout=timeout, **more) as answer:
                if answer.status >= 400:
                    raise await _refusal(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self.unreachable(error) from error

    async def ask(
        self, method: str, path: str, query: Query = (), *, body: Any = None, patience: Patience = BRIEFLY
    ) -> Any:
        """What JSON the answer has; None where it has none. Raises Unreachable and Refused."""
        return await retrying(patience)(self._ask, method, self.address(path, query), body)

    async def _ask(self, method: str, url: URL, body: Any) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = msgspec.json.encode(body) if body is not None else None
        async with self.request(method, url, headers=headers, data=data) as answer:
            text = await answer.read()
        try:
            return msgspec.json.decode(text) if text else None
        except msgspec.DecodeError as error:
            raise Unreachable(f"{self.server.url} answers, but not as Tripod does: no JSON.") from error

    async def pages(self, query: Query, limit: int | None) -> AsyncIterator[Media]:
        """What `GET /v1/media` lists, over all its pages; at most `limit`, None is without one."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            more = [("limit", str(size))] + ([("cursor", cursor)] if cursor else [])
            page = await self.ask("GET", "/v1/media", [*query, *more])
            for item in page["items"]:
                yield item
            left = None if left is None else left - len(page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def unreachable(self, error: BaseException) -> Unreachable:
        """The error in words, with the address that was tried."""
        said = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            said = "no answer in time"
        elif isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno is not None:
            said = os.strerror(error.os_error.errno) if error.os_error.errno > 0 else "no such host"
        return Unreachable(
            f"{self.server.url} is not reachable ({said}); TRIPOD_URL or --url says where it is."
        )


@asynccontextmanager
async def connected(server: Server, *, connections: int = 8) -> AsyncIterator[Client]:
    """A client until the end of the block."""
    headers = {"User-Agent": "tripod-cli", "Accept": "application/json"}
    if server.token is not None:
        headers["Authorization"] = f"Bearer {server.token}"
    connector = aiohttp.TCPConnector(limit=connections)
    async with ClientSession(connector=connector, headers=headers) as session:
        yield Client(session, server)


async def _refusal(answer: aiohttp.ClientResponse) -> Refused:
    text = await answer.content.read(MOST_ANSWER)
    try:
        problem = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        problem = {}
    problem.setdefault("status", answer.status)
    problem.setdefault("detail", f"The server answers {answer.status} {answer.reason or ''}".rstrip() + ".")
    told = seconds_of(answer.headers.get("Retry-After"))
    return Refused(answer.status, problem, retry_after=told)
