"""DOC, XLS and PPT through the handlers with a real sandbox: what is told of those whose text is not read."""

import itertools
import os
import random
import struct
from pathlib import Path

import pytest

from services.processor.documents.found import CUT_OFF, ENCRYPTED, MACROS, UNREAD
from shared.events.messages import MediaProcessed
from tests.fixtures.compound_files import DOC, PPT, XLS, compound, doc, ppt, xls
from tests.fixtures.documents import XLSX, zipped
from tests.integration.processor.test_documents import end, parts, read, sandbox  # noqa: F401 - fixtures
from tests.integration.processor.test_handlers import Parts

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus")) / "images"


@pytest.mark.parametrize(
    ("data", "mime_type", "told"),
    [
        (doc(title="Vögel\x1b", pages=3, words=40), DOC, {"title": "Vögel", "pages": 3, "words": 40}),
        (doc(title="Vögel".encode("cp1252")), DOC, {"title": "Vögel"}),
        (xls(0, 0, 2), XLS, {"sheets": 3}),
        (xls(0, 6, stream="Book", title="old"), XLS, {"sheets": 1, "title": "old"}),
        (zipped({"[Content_Types].xml": "", "xl/workbook.bin": b"\x83\1"}), XLSX, {}),
        (ppt(slides=12), PPT, {"slides": 12}),
        (ppt(macros=False, title="t"), PPT, {"slides": 1, "title": "t"}),
    ],
)
async def test_an_old_document_tells_title_and_counts_and_says_that_its_text_is_not_read(
    parts: Parts,  # noqa: F811
    data: bytes,
    mime_type: str,
    told: dict[str, object],
) -> None:
    media = await read(parts, data, mime_type)
    assert media.exif == told | {"encrypted": False, "macros": False}
    assert (media.warnings, media.variants) == ((UNREAD,), ())


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (doc(macros=True), DOC),
        (xls(0, 1), XLS),
        (compound({"Workbook": bytes(5000)}, storages={"_VBA_PROJECT_CUR": {"VBA": b"x"}}), XLS),
        (ppt(macros=True), PPT),
    ],
)
async def test_an_old_document_with_macros_is_flagged(parts: Parts, data: bytes, mime_type: str) -> None:  # noqa: F811
    media = await read(parts, data, mime_type)
    assert (media.exif["macros"], media.warnings) == (True, (MACROS, UNREAD))


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (doc(locked=True, title="secret"), DOC),
        (xls(0, locked=True), XLS),
        (ppt(locked=True), PPT),
    ],
)
async def test_an_old_document_with_a_password_is_flagged_and_nothing_of_it_is_told(
    parts: Parts,  # noqa: F811
    data: bytes,
    mime_type: str,
) -> None:
    media = await read(parts, data, mime_type)
    assert media.exif == {"encrypted": True, "macros": False}
    assert media.warnings == (ENCRYPTED,)


async def test_an_old_document_that_is_none_or_is_cut_off_is_ready_and_says_so(parts: Parts) -> None:  # noqa: F811
    whole = doc(title="t")
    for data in (xls(0), b"{\\rtf1 no compound file}".ljust(600), whole[:8] + bytes(600)):
        media = await read(parts, data, DOC)
        assert (media.exif, len(media.warnings)) == ({}, 1)
        assert "damaged" in media.warnings[0]
    assert "cut off" in (await read(parts, whole[:100], DOC)).warnings[0]
    # The directory and the table of sectors come first in many files that are cut off.
    moved = bytearray(compound({"WordDocument": bytes(5000), "z": bytes(5000)}))
    table = struct.unpack_from("<L", moved, 76)[0]
    struct.pack_into("<L", moved, (table + 1) * 512 + 127 * 4, 0xFFFFFFFE)
    media = await read(parts, bytes(moved), DOC)
    assert media.warnings == (UNREAD, CUT_OFF)


async def test_an_old_document_that_goes_round_in_circles_ends(parts: Parts) -> None:  # noqa: F811
    whole = xls(0, 0)
    table = (struct.unpack_from("<L", whole, 76)[0] + 1) * 512
    circles = bytearray(whole)
    for place in range(table, len(circles), 4):
        struct.pack_into("<L", circles, place, 0)
    tree = bytearray(whole)
    directory = (struct.unpack_from("<L", whole, 48)[0] + 1) * 512
    for place in range(directory, directory + 512, 128):
        struct.pack_into("<3L", tree, place + 68, 1, 1, 1)
    lists = bytearray(whole)
    struct.pack_into("<4L", lists, 60, 0, 2**31, 0, 2**31)
    struct.pack_into("<L", lists, 44, 2**31)
    chance = random.Random(3)
    spoilt = [bytearray(chance.choice((doc(title="t"), xls(0, 1), ppt(macros=True)))) for _ in range(12)]
    for file in spoilt:
        for _ in range(40):
            file[chance.randrange(24, len(file))] = chance.choice((0, 255, 254, chance.randrange(256)))
    for data, kind in itertools.product((circles, tree, lists, *spoilt), (XLS,)):
        ended = await end(parts, bytes(data), kind)
        assert isinstance(ended, MediaProcessed)


@pytest.mark.long
async def test_the_old_document_of_the_corpus_is_read(parts: Parts) -> None:  # noqa: F811
    (file,) = CORPUS.rglob("test-ole-file.doc")
    media = await read(parts, file.read_bytes(), DOC)
    assert media.exif == {"pages": 1, "words": 7, "encrypted": False, "macros": False}
