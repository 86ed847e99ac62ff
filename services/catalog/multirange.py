"""Byte ranges (RFC 9110, 14.1 and 14.6): which parts of a file a Range field means, and several of them as one body."""

import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

import msgspec

from shared.errors import RangeNotSatisfiable

MOST_RANGES = 16
"""In one field; each costs a request to the store. Whoever names more gets the whole."""
MOST_GAP = 80
"""Bytes between two parts that are sent along instead of a second part's head, which is longer."""
_UNIT = re.compile(r"bytes=(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_ONE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_BEYOND = 18
"""Digits that no place in a file has; Python reads numbers of thousands of digits slowly, or not at all."""

Span: TypeAlias = tuple[int, int]
"""Start and length."""


def spans(header: str, size: int) -> list[Span] | None:
    """The parts that are asked for, none overlapping or close to another, in the order of the field. None: answer with
    the whole, as RFC 9110 (14.2) allows for another unit, what cannot be read, and too many.

    What lies outside of the file is left out. Raises RangeNotSatisfiable where all of it does.
    """
    unit = _UNIT.fullmatch(header.strip())
    if unit is None or unit.group(1).count(",") > 2 * MOST_RANGES:
        return None
    asked = [text for each in unit.group(1).split(",") if (text := each.strip(" \t"))]
    found = [_span(each, size) for each in asked]
    if not 0 < len(found) <= MOST_RANGES or None in found:
        return None
    inside = [span for span in found if span is not None and span[1] > 0]
    if not inside:
        raise RangeNotSatisfiable(f"The range {header[:80]!r} lies outside of the {size} bytes.", size=size)
    return _together(inside)


def _span(text: str, size: int) -> Span | None:
    """None for what is no range; of no length where it lies outside of the file."""
    match = _ONE.fullmatch(text)
    if match is None or text == "-":
        return None
    first, last = (_place(digits) if digits else None for digits in match.groups())
    if first is None:
        start = max(size - (last or 0), 0)
        return start, size - start
    if last is not None and first > last:
        return None
    end = size - 1 if last is None else min(last, size - 1)
    return first, max(end - first + 1, 0)


def _place(digits: str) -> int:
    digits = digits.lstrip("0")
    return 10**_BEYOND if len(digits) > _BEYOND else int(digits or 0)


def _together(inside: Sequence[Span]) -> list[Span]:
    """Overlapping and close ones as one, which stands where the first of them stood."""
    found: list[tuple[int, int, int]] = []  # start, end, place in the field
    for start, end, place in sorted((start, start + length, n) for n, (start, length) in enumerate(inside)):
        if found and start <= found[-1][1] + MOST_GAP:
            before = found[-1]
            found[-1] = (before[0], max(before[1], end), min(before[2], place))
        else:
            found.append((start, end, place))
    return [(start, end - start) for start, end, _ in sorted(found, key=lambda each: each[2])]


def content_range(span: Span, size: int) -> str:
    return f"bytes {span[0]}-{span[0] + span[1] - 1}/{size}"


class Source(Protocol):
    """Where the bytes are."""

    def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class Multipart(msgspec.Struct, frozen=True, kw_only=True):
    """Some parts of one file as `multipart/byteranges`."""

    parts: list[Span]
    size: int
    mime_type: str
    boundary: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))

    @property
    def content_type(self) -> str:
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Of the whole body."""
        return sum(len(self._head(part)) + part[1] for part in self.parts) + len(self._end)

    async def body(self, source: Source, key: str, first: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """`first`: the bytes of the first part, which was asked for before the answer began. The others are asked for
        one after the other; one that fails breaks the answer off."""
        yield self._head(self.parts[0])
        async for piece in first:
            yield piece
        for part in self.parts[1:]:
            yield self._head(part)
            async with source.get(key, start=part[0], length=part[1]) as pieces:
                async for piece in pieces:
                    yield piece
        yield self._end

    def _head(self, part: Span) -> bytes:
        told = f"Content-Type: {self.mime_type}\r\nContent-Range: {content_range(part, self.size)}"
        return f"\r\n--{self.boundary}\r\n{told}\r\n\r\n".encode()

    @property
    def _end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
