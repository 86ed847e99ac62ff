"""Reading a body, and answering before it has come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.ingest.body import UNASKED_SECONDS, answer_early, reader
from services.ingest.limits import ClientGone
from shared.errors import TooLarge

Message = dict[str, Any]


def receiving(*messages: Message) -> Callable[[], Awaitable[Message]]:
    rest = list(messages)

    async def receive() -> Message:
        if not rest:
            await asyncio.Event().wait()
        return rest.pop(0)

    return receive


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def reads(receive: Any, most: int = 100) -> Callable[[], Awaitable[bytes]]:
    return reader(receive, most=most, too_much=lambda: TooLarge("too much"))


async def test_a_body_is_read_piece_by_piece_and_empty_ones_are_left_out() -> None:
    read = reads(receiving(piece(b"a"), piece(b""), piece(b"bc"), piece(b"", more=False)))
    assert [await read(), await read(), await read(), await read()] == [b"a", b"bc", b"", b""]


async def test_the_byte_after_the_most_is_too_much() -> None:
    read = reads(receiving(piece(b"x" * 100), piece(b"x")))
    await read()
    with pytest.raises(TooLarge):
        await read()


async def test_a_client_that_leaves_is_noticed() -> None:
    read = reads(receiving(piece(b"abc"), {"type": "http.disconnect"}))
    await read()
    with pytest.raises(ClientGone, match="3 bytes"):
        await read()


SCOPE: Any = {"type": "http", "headers": [(b"content-length", b"10")]}


async def run(app: Any, receive: Any, scope: Any = SCOPE) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await answer_early(app)(scope, receive, send)  # type: ignore[arg-type]
    return sent


async def answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"no", "more_body": False})


async def refuse(_scope: Any, _receive: Any, send: Any) -> None:
    await answer(send)


async def test_an_early_answer_closes_the_connection_after_what_still_comes_was_dropped() -> None:
    dropped: list[Message] = [piece(b"12345"), piece(b"67890", more=False)]

    async def receive() -> Message:
        return dropped.pop(0)

    start, body, end = await run(refuse, receive)
    assert start["headers"] == [(b"connection", b"close")]
    assert (body["body"], body["more_body"]) == (b"no", True)
    assert (end["body"], end["more_body"]) == (b"", False)
    assert dropped == []


async def test_a_client_that_waits_for_100_gets_the_answer_without_being_asked_for_the_body() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        assert [message["body"] for message in sent[1:]] == [b"no"], "this would send 100 Continue"
        return {"type": "http.disconnect"}

    scope: Any = {"type": "http", "headers": [(b"content-length", b"10"), (b"expect", b"100-continue")]}
    await answer_early(refuse)(scope, receive, send)  # type: ignore[arg-type]
    assert sent[-1]["more_body"] is False


async def test_a_client_that_goes_on_waiting_for_100_is_not_waited_for_long() -> None:
    scope = {"type": "http", "headers": [(b"content-length", b"10"), (b"expect", b"100-continue")]}
    async with asyncio.timeout(UNASKED_SECONDS + 1):
        sent = await run(refuse, receiving(), scope)
    assert sent[-1]["more_body"] is False


async def test_an_answer_after_the_whole_body_keeps_the_connection() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await answer(send)

    start, body = await run(app, receiving(piece(b"12345"), piece(b"67890", more=False)))
    assert start["headers"] == []
    assert body["more_body"] is False


async def test_a_request_without_a_body_is_left_alone() -> None:
    sent = await run(refuse, receiving(), {"type": "http", "headers": []})
    assert len(sent) == 2
