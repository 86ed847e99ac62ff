"""Bytes on their way: the head that is held back, the digest, the cut at the limit."""

import hashlib
from collections.abc import AsyncIterator

import pillow_heif
import pytest

from services.ingest.digest import Digest
from services.ingest.rules import check_pixels, sides, too_large
from services.ingest.sniff import HEAD_BYTES, sniff
from services.ingest.transfer import Head, Transfer, read_head
from shared.errors import Invalid, TooLarge
from tests.fixtures.pictures import bomb_png, encoded, late_jpeg, late_tiff, picture


async def stream(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize("size", [1, 1000, 300_000, 2_000_000])
async def test_the_digest_is_that_of_all_bytes_in_order(size: int) -> None:
    body = bytes(range(256)) * (40 if size == 1 else 4000)
    digest = Digest()
    async for piece in stream(body, size):
        await digest.update(piece)
    assert await digest.hexdigest() == hashlib.sha256(body).hexdigest()


async def test_the_head_is_held_back_and_everything_flows_on() -> None:
    body = bytes(range(256)) * 1000
    chunks = stream(body, 1000)
    head = await read_head(chunks)
    assert HEAD_BYTES <= len(head.data) < HEAD_BYTES + 1000
    assert not head.whole
    transfer = Transfer()
    flowed = [p async for p in transfer.flow(head, chunks, len(body), lambda: too_large(1, "x"))]
    assert b"".join(flowed) == body
    assert transfer.received == len(body)


async def test_a_file_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    for extra in (0, 1):
        chunks = stream(bytes(100_000 + extra), 997)
        head = await read_head(chunks)
        flowing = Transfer().flow(head, chunks, 100_000, lambda: too_large(100_000, "image"))
        if extra:
            with pytest.raises(TooLarge, match="100000 bytes"):
                [p async for p in flowing]
        else:
            assert sum([len(p) async for p in flowing]) == 100_000


async def test_an_empty_file_is_refused() -> None:
    with pytest.raises(Invalid, match="empty"):
        await read_head(stream(b"", 1))
    assert await read_head(stream(b"x", 1)) == Head(data=b"x", whole=True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"])
def test_sides_are_read_from_the_head(kind: str) -> None:
    pillow_heif.register_heif_opener(thumbnails=False)
    data = encoded(picture(128, 64), kind)[:HEAD_BYTES]
    assert sides(sniff(data), data) == (128, 64)
    odd = encoded(picture(123, 45), kind)[:HEAD_BYTES]
    assert sides(sniff(odd), odd) == (None if kind == "HEIF" else (123, 45))  # a HEIC is cropped to odd sides


def test_sides_that_the_head_does_not_reach_are_left_to_the_processor() -> None:
    for data in (late_jpeg(200, 150), late_tiff(300, 200)):
        head = data[:HEAD_BYTES]
        assert sniff(head).media_type == "image"
        assert sides(sniff(head), head) is None


def test_too_many_pixels_are_refused_with_sides_pixels_and_limit() -> None:
    data = bomb_png()
    with pytest.raises(Invalid) as refusal:
        check_pixels(sides(sniff(data), data), 100_000_000)
    for word in ("60000 x 60000", "3600000000", "100000000", "megapixels"):
        assert word in refusal.value.detail
    check_pixels((10_000, 10_000), 100_000_000)


SMALL_ONES = [encoded(picture(12, 9), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF")]


@pytest.mark.parametrize("cut", range(0, 700, 7))
def test_a_header_cut_anywhere_has_sides_or_none(cut: int) -> None:
    for whole in SMALL_ONES:
        data = whole[:cut]
        assert sides(sniff(data), data) in {None, (12, 9)}
