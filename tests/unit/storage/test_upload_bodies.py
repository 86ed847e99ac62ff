"""Bodies on their way into the store, piece by piece."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from shared.storage.s3_upload import Part, Rest, Stream, cut


async def pieces_of(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def whole(part: Part) -> bytes:
    return b"".join([piece async for piece in part])


@given(pieces=st.lists(st.binary(max_size=30), max_size=20), size=st.integers(min_value=1, max_value=25))
def test_parts_are_the_body_cut_to_size_and_only_the_last_is_shorter(pieces: list[bytes], size: int) -> None:
    async def cut_all() -> list[bytes]:
        return [await whole(part) async for part in cut(pieces_of(pieces), size)]

    parts = asyncio.run(cut_all())
    assert b"".join(parts) == b"".join(pieces)
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert len(parts[-1]) < size


@given(
    pieces=st.lists(st.binary(max_size=10), max_size=10),
    sizes=st.lists(st.integers(min_value=0, max_value=30), max_size=3),
)
def test_the_beginnings_of_a_body_and_what_remains_are_the_body(
    pieces: list[bytes], sizes: list[int]
) -> None:
    async def split() -> list[bytes]:
        rest = Rest(pieces_of(pieces))
        beginnings = [b"".join([piece async for piece in rest.first(size)]) for size in sizes]
        return [*beginnings, b"".join([piece async for piece in rest])]

    found, whole_body = asyncio.run(split()), b"".join(pieces)
    assert b"".join(found) == whole_body
    for number, size in enumerate(sizes):
        assert len(found[number]) == min(size, len(whole_body) - sum(map(len, found[:number])))


async def test_nothing_is_read_behind_a_beginning_that_is_whole() -> None:
    async def ends_at_four() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"
        raise AssertionError

    assert [piece async for piece in Rest(ends_at_four()).first(4)] == [b"ab", b"cd"]


async def test_a_part_lets_go_of_what_it_has_given() -> None:
    part = Part()
    for piece in (b"a", b"b", b"c"):
        part.add(piece)
    taken = aiter(part)
    assert await anext(taken) == b"a"
    assert part._pieces == [b"c", b"b"]


@given(
    pieces=st.lists(st.binary(max_size=10), max_size=10),
    announced=st.integers(min_value=0, max_value=60),
)
def test_a_stream_is_exactly_what_was_announced_or_nothing_complete(
    pieces: list[bytes], announced: int
) -> None:
    async def send() -> tuple[bytes, Exception | None]:
        sent = b""
        async with asyncio.timeout(60) as limit:
            stream = Stream(pieces_of(pieces), announced, limit)
            try:
                async for piece in stream:
                    sent += piece
            except ValueError:
                return sent, stream.error
        return sent, None

    sent, error = asyncio.run(send())
    body = b"".join(pieces)
    if len(body) == announced:
        assert (sent, error) == (body, None)
    else:
        assert error is not None
        assert len(sent) < announced or announced == 0


async def test_the_last_piece_waits_for_the_end_of_the_body() -> None:
    ended = asyncio.Event()

    async def slow_end() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"last"
        await ended.wait()

    async with asyncio.timeout(10) as limit:
        sending = aiter(Stream(slow_end(), 9, limit))
        assert await anext(sending) == b"first"
        last = asyncio.ensure_future(anext(sending))
        await asyncio.wait({last}, timeout=0.05)
        assert not last.done()
        ended.set()
        assert await last == b"last"


async def test_nobody_waits_for_a_body_that_was_never_begun() -> None:
    async with asyncio.timeout(10) as limit:
        stream = Stream(pieces_of([b"a"]), 1, limit)
        aiter(stream)
        await asyncio.wait_for(stream.left(), 1)


async def test_leaving_waits_until_the_body_is_not_being_read() -> None:
    going_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await going_on.wait()
        yield b"a"

    async def read(stream: Stream) -> None:
        async for _ in stream:
            pass

    async with asyncio.timeout(10) as limit:
        stream = Stream(body(), 1, limit)
        reading = asyncio.create_task(read(stream))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(stream.left())
        await asyncio.wait({leaving}, timeout=0.05)
        assert not leaving.done()
        going_on.set()
        await leaving
        await reading
