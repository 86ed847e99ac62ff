"""An ASGI app that forwards every request to a service elsewhere, streaming both ways, WebSockets too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Self

import aiohttp
import structlog
from yarl import URL

from deploy.asgi import Message, Receive, Scope, Send, refusal, respond
from shared.errors import Forbidden, NotFound, TripodError, Unavailable
from shared.socket_refusals import refuse

log = structlog.get_logger()

# RFC 9110 7.6.1: these speak of one connection and are not passed on. Host stays: services do not use it.
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"expect")
)  # fmt: skip
WEBSOCKET_OWN = frozenset(
    (b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol")
)
SILENCE_SECONDS = 90
LARGEST_MESSAGE = 1024 * 1024
ENDED = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)


class ClientGone(Exception):
    """The client left before its body was complete: the service must see a broken body, not a short one."""


class Proxy:
    """Forwards to one base URL; enter it before use."""

    def __init__(self, name: str, url: str, *, silence: float = SILENCE_SECONDS) -> None:
        self.name = name
        self.url = url
        self._silence = silence
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        # No total limit: an upload may take hours. But a service that has got it all must say something.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=self._silence)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            async with self._session.request(
                scope["method"],
                self._target(scope),
                headers=passed_on(scope),
                data=body(receive) if has_body(scope) else None,
                allow_redirects=False,
            ) as answer:
                started = True
                await forward(answer, send)
        except ClientGone:
            return
        except (aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error.__cause__, ClientGone):
                return
            if started:
                raise  # the client sees a broken answer, which it is
            log.warning("proxy.unreachable", target=self.name, error=str(error))
            await respond(send, refusal(unreachable(self.name)))

    def _target(self, scope: Scope) -> URL:
        query = scope["query_string"].decode("latin-1")
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        return URL(f"{self.url}{path}{'?' if query else ''}{query}", encoded=True)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [
            (name, value) for name, value in passed_on(scope) if name.lower().encode() not in WEBSOCKET_OWN
        ]
        try:
            connection = await self._session.ws_connect(
                self._target(scope),
                headers=headers,
                protocols=scope.get("subprotocols", ()),
                max_msg_size=LARGEST_MESSAGE,
                autoping=True,
            )
        except aiohttp.WSServerHandshakeError as error:
            log.info("proxy.websocket_refused", target=self.name, status=error.status)
            await refuse(send, refused(error.status, scope["path"]))  # type: ignore[arg-type]
            return
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("proxy.unreachable", target=self.name, error=str(error))
            await refuse(send, unreachable(self.name))  # type: ignore[arg-type]
            return
        async with connection:
            await send({"type": "websocket.accept", "subprotocol": connection.protocol})
            await pump(connection, receive, send)


def unreachable(name: str) -> Unavailable:
    return Unavailable(f"The {name} service does not answer.", retry_after=2)


def refused(status: int, path: str) -> TripodError:
    """What the service's answer to a handshake stands for; its text does not come through."""
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(f"No WebSocket is at {path}.")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Forbidden(f"The WebSocket at {path} was refused.")
    return Unavailable(f"The WebSocket at {path} cannot be served now.")


def passed_on(scope: Scope) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name not in HOP_BY_HOP
    ]


def has_body(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names or b"transfer-encoding" in names


async def body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def forward(answer: aiohttp.ClientResponse, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in HOP_BY_HOP]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.content.iter_any():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def pump(connection: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    """Carry messages both ways until one side ends."""
    outward = asyncio.create_task(to_service(connection, receive))
    try:
        while (message := await connection.receive()).type not in ENDED:
            if message.type is aiohttp.WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
            elif message.type is aiohttp.WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
        if not outward.done():
            await send(closing(connection, message))
    finally:
        outward.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await outward


def closing(connection: aiohttp.ClientWebSocketResponse, last: aiohttp.WSMessage) -> Message:
    """As the service closed it, its reason included; `last` is its last message."""
    # 1006 is what a lost connection looks like from here, and must not be sent.
    code = connection.close_code
    return {
        "type": "websocket.close",
        "code": code if code and code != aiohttp.WSCloseCode.ABNORMAL_CLOSURE else 1012,
        "reason": last.extra or "" if last.type is aiohttp.WSMsgType.CLOSE else "",
    }


async def to_service(connection: aiohttp.ClientWebSocketResponse, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await connection.close(code=message.get("code") or 1000)
            return
        if message.get("text") is not None:
            await connection.send_str(message["text"])
        else:
            await connection.send_bytes(message["bytes"])
