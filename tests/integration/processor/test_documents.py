"""Documents through the handlers with a real sandbox: what they say is told, and what is hostile costs one job."""

import asyncio
import io
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from PIL import Image

from services.processor.documents.found import CUT, CUT_OFF, DAMAGED, ENCRYPTED, MACROS, NO_PAGE
from services.processor.documents.parts import MOST_INFLATED
from services.processor.frames import Limits
from services.processor.sandbox import Sandbox
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaFailed, MediaProcessed, Progress, decode
from shared.storage.memory import MemoryBlobs
from tests.fixtures.documents import (
    DOCX,
    ODS,
    ODT,
    PDF,
    PPTX,
    XLSX,
    docx,
    locked_pdf,
    open_document,
    pdf,
    pptx,
    xlsx,
    zipped,
)
from tests.fixtures.hand_made import ole
from tests.fixtures.hostile_documents import endless_pattern, image_bomb, looping
from tests.integration.processor.test_handlers import Parts, process, requested, uploaded

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "documents"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One fork server for all."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def parts(sandbox: Sandbox) -> Parts:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    return Parts(bus, blobs, sandbox)


async def end(parts: Parts, data: bytes, mime_type: str) -> MediaProcessed | MediaFailed:
    """What becomes of it."""
    event = uploaded(await parts.store(data), media_type="document", mime_type=mime_type, filename="paper")
    await process(parts, event)
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed | MediaFailed)
    assert found.id == event.id
    return found


async def read(parts: Parts, data: bytes, mime_type: str) -> MediaProcessed:
    found = await end(parts, data, mime_type)
    assert isinstance(found, MediaProcessed), found
    return found


async def unread(parts: Parts, data: bytes, mime_type: str) -> str:
    """The one warning of a document in which nothing can be read."""
    media = await read(parts, data, mime_type)
    assert (media.exif, media.variants, len(media.warnings)) == ({}, (), 1)
    return media.warnings[0]


def text(parts: Parts, media: MediaProcessed) -> str | None:
    ref = next((variant for variant in media.variants if variant.name == "text"), None)
    if ref is None:
        return None
    body = parts.blobs.objects[ref.key].body
    assert (ref.mime_type, ref.width, ref.height, ref.size) == ("text/plain", 0, 0, len(body))
    return body.decode()


async def test_a_pdf_ends_with_pages_title_text_and_a_picture_of_its_first_page(parts: Parts) -> None:
    media = await read(parts, pdf("Kingfishers \\(rare\\)", "second page", title="On birds"), PDF)
    assert media.exif == {"pages": 2, "title": "On birds", "encrypted": False, "macros": False}
    assert media.warnings == ()
    assert text(parts, media) == "Kingfishers (rare)\n\nsecond page"
    assert [variant.name for variant in media.variants] == ["thumbnail", "text"]
    assert (media.width, media.height, media.phash) == (None, None, None)
    assert media.placeholder
    with Image.open(io.BytesIO(parts.blobs.objects[media.variants[0].key].body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (150, 150))
        grey = sorted(picture.convert("L").tobytes())
        assert grey[-1] > 240
        assert grey[0] < 200


async def test_a_pdf_that_is_a_scan_is_ready_with_its_picture_and_no_text(parts: Parts) -> None:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (200, 30, 30)).save(out, "PDF")
    media = await read(parts, out.getvalue(), PDF)
    assert media.exif["pages"] == 1
    assert [variant.name for variant in media.variants] == ["thumbnail"]
    with Image.open(io.BytesIO(parts.blobs.objects[media.variants[0].key].body)) as picture:
        middle = picture.crop((75, 75, 76, 76)).tobytes()
        assert all(abs(a - b) < 12 for a, b in zip(middle, (200, 30, 30), strict=True))


async def test_a_pdf_with_a_password_is_ready_and_flagged(parts: Parts) -> None:
    media = await read(parts, locked_pdf(), PDF)
    assert media.exif == {"encrypted": True, "macros": False}
    assert media.warnings == (ENCRYPTED,)
    assert media.variants == ()


@pytest.mark.parametrize(
    "where",
    [
        "/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>",
        "/AA<</WC<</S /JS /JS <00>>>>>",
        "/OpenAction<</S/J#61va#53cript/J#53 9 0 R>>",
    ],
)
async def test_a_pdf_with_scripts_is_flagged_and_they_are_not_run(parts: Parts, where: str) -> None:
    media = await read(parts, pdf("harmless", catalog=where), PDF)
    assert media.exif["macros"] is True
    assert media.warnings == (MACROS,)
    assert text(parts, media) == "harmless"


@pytest.mark.parametrize("packed", [True, False])
async def test_a_script_in_packed_objects_of_a_pdf_is_seen(parts: Parts, packed: bool) -> None:  # noqa: FBT001
    objects = b"7 0 <</S/JavaScript/JS(app.alert)>>" if packed else b"7 0 <</S/GoTo/D[5 0 R/Fit]>>"
    body = zlib.compress(objects).decode("latin-1")
    stream = f"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {len(body)}>>stream\r\n{body}\nendstream"
    data = pdf("harmless").replace(b"xref\n", f"9 0 obj\n{stream}\nendobj\nxref\n".encode("latin-1"), 1)
    assert (await read(parts, data, PDF)).exif["macros"] is packed


async def test_a_word_document_tells_title_counts_and_text(parts: Parts) -> None:
    data = docx(
        "Über den Eisvogel",
        "a < b",
        title="Vögel & Fische",
        app="<Pages>3</Pages><Words>7</Words>",
        parts={
            "word/footnotes.xml": '<f xmlns:w="w"><w:p><w:t>see there</w:t><w:instrText>PAGE</w:instrText></w:p></f>'
        },
    )
    media = await read(parts, data, DOCX)
    assert media.exif == {
        "title": "Vögel & Fische", "pages": 3, "words": 7, "encrypted": False, "macros": False,
    }  # fmt: skip
    assert text(parts, media) == "Über den Eisvogel\na < b\nsee there"
    assert media.warnings == ()


async def test_a_workbook_tells_its_sheets_and_what_stands_in_the_cells(parts: Parts) -> None:
    media = await read(parts, xlsx([["Name", "Size"], ["heron", 95]], sheets=2), XLSX)
    assert media.exif == {"sheets": 2, "encrypted": False, "macros": False}
    rows = "Name\tSize\nheron\t95\n"
    assert text(parts, media) == (rows * 2).rstrip("\n")


async def test_a_presentation_tells_its_slides_in_their_order(parts: Parts) -> None:
    slides = [f"slide {number}" for number in range(1, 12)]
    media = await read(parts, pptx(*slides), PPTX)
    assert media.exif == {"slides": 11, "encrypted": False, "macros": False}
    assert text(parts, media) == "\n".join(slides)


async def test_open_documents_tell_the_same(parts: Parts) -> None:
    body = "<office:text><text:h>One</text:h><text:p>two<text:s/><text:span>three</text:span></text:p></office:text>"
    data = open_document(body, title="Essay", statistic='meta:page-count="4" meta:word-count="3"')
    media = await read(parts, data, ODT)
    assert media.exif == {"title": "Essay", "pages": 4, "words": 3, "encrypted": False, "macros": False}
    assert text(parts, media) == "One\ntwo three"
    row = "<table:table-row><table:table-cell><text:p>cell</text:p></table:table-cell></table:table-row>"
    table = f"<table:table>{row}</table:table>"
    media = await read(parts, open_document(table * 2, kind=ODS), ODS)
    assert media.exif["sheets"] == 2
    assert text(parts, media) == "cell\ncell"


def with_part(document: bytes, name: str) -> bytes:
    out = io.BytesIO(document)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, b"\xd0\xcf")
    return out.getvalue()


RELATED = '<Relationships><Relationship Id="r" Type="x/relationships/vba&#80;roject" Target="a.bin"/></Relationships>'
RENAMED = '<Types><Override PartName="/a.bin" ContentType="application/vnd.ms-office.vbaProject"/></Types>'


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (docx("text", parts={"word/vbaProject.bin": b"\xd0\xcf"}), DOCX),
        (docx("text", parts={"word/VBAPROJECT.BIN": b"\xd0\xcf"}), DOCX),
        (with_part(xlsx([["text"]]), "xl/vbaProject.bin"), XLSX),
        (with_part(xlsx([["text"]]), "xl/macrosheets/sheet1.xml"), XLSX),
        (with_part(xlsx([["text"]]), "xl/intlMacrosheets/sheet1.xml"), XLSX),
        (with_part(pptx("text"), "ppt/vbaProject.bin"), PPTX),
        (docx("text", parts={"[Content_Types].xml": RENAMED}), DOCX),
        (docx("text", parts={"word/_rels/document.xml.rels": RELATED}), DOCX),
        (docx("text", parts={"[Content_Types].xml": RENAMED.encode("utf-16")}), DOCX),
        (open_document("<text:p>text</text:p>", parts={"Basic/Standard/Module1.xml": "<m/>"}), ODT),
        (open_document("<text:p>text</text:p>", parts={"Scripts/python/m.py": "x"}), ODT),
    ],
)
async def test_macros_are_flagged_and_the_rest_is_read(parts: Parts, data: bytes, mime_type: str) -> None:
    media = await read(parts, data, mime_type)
    assert media.exif["macros"] is True
    assert media.warnings == (MACROS,)
    assert text(parts, media) == "text"


@pytest.mark.parametrize("mime_type", [DOCX, XLSX, PPTX])
async def test_an_office_document_with_a_password_is_flagged(parts: Parts, mime_type: str) -> None:
    media = await read(parts, ole("EncryptionInfo", "EncryptedPackage"), mime_type)
    assert media.exif == {"encrypted": True, "macros": False}
    assert (media.warnings, media.variants) == ((ENCRYPTED,), ())


async def test_an_open_document_with_a_password_is_flagged(parts: Parts) -> None:
    manifest = "<!DOCTYPE manifest><manifest><manifest:encryption-data/></manifest>"
    data = zipped({"mimetype": ODT, "content.xml": b"\x9a\x01", "META-INF/manifest.xml": manifest})
    media = await read(parts, data, ODT)
    assert (media.exif["encrypted"], media.warnings, media.variants) == (True, (ENCRYPTED,), ())


@pytest.mark.parametrize(
    ("data", "mime_type", "encoding", "said"),
    [
        ("Grüße\r\nan alle\n".encode(), "text/plain", "utf-8", "Grüße\nan alle"),
        (b"\xef\xbb\xbfa,b\n1,2\n", "text/csv", "utf-8", "a,b\n1,2"),
        ("# Titel\n\nGrüße".encode("utf-16"), "text/markdown", "utf-16-le", "# Titel\n\nGrüße"),
        ("€ 5 … Grüße".encode("cp1252"), "text/plain", "windows-1252", "€ 5 … Grüße"),
        (b"\x1b[31mred\0\x07\xe2\x80\xaegpj", "text/plain", "utf-8", "[31mredgpj"),
    ],
)
async def test_plain_text_is_told_with_its_encoding(
    parts: Parts, data: bytes, mime_type: str, encoding: str, said: str
) -> None:
    media = await read(parts, data, mime_type)
    assert media.exif == {"encoding": encoding}
    assert text(parts, media) == said


async def test_utf_8_with_a_mistake_in_it_is_read_as_such_and_says_so(parts: Parts) -> None:
    media = await read(parts, "Grüße an Käthe\n".encode() + b"br\xc3 \n", "text/plain")
    assert (media.exif, media.warnings) == ({"encoding": "utf-8"}, (DAMAGED,))
    assert text(parts, media) == "Grüße an Käthe\nbr"


async def test_a_document_processed_again_has_the_same_variants(parts: Parts) -> None:
    event = uploaded(await parts.store(pdf("once")), media_type="document", mime_type=PDF)
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    again = requested(event, media_type="document", variants=first.variants)
    await process(parts, again)
    second = (await parts.events())[-1]
    assert isinstance(second, MediaProcessed)
    assert second.variants == first.variants


BILLION = (
    '<!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY a{n} "{"&a;" * 9}">' for n in range(9))
    + "]><w>&a8;</w>"
)
OUTSIDE = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]><w><t>&x;</t></w>'


@pytest.mark.parametrize("main", [BILLION, OUTSIDE, "not xml", ""])
async def test_a_main_part_that_is_no_honest_xml_is_not_read(parts: Parts, main: str) -> None:
    data = zipped({"[Content_Types].xml": "", "word/document.xml": main})
    assert "damaged" in await unread(parts, data, DOCX)


async def test_a_main_part_that_goes_too_deep_is_read_as_far_as_it_goes(parts: Parts) -> None:
    data = zipped({"[Content_Types].xml": "", "word/document.xml": "<p><t>words</t></p>".join(["<a>"] * 400)})
    media = await read(parts, data, DOCX)
    assert media.warnings == (DAMAGED,)
    assert (text(parts, media) or "").startswith("words\nwords\n")


async def test_a_zip_bomb_is_inflated_up_to_its_limit_and_no_further(parts: Parts) -> None:
    head = b'<w:document xmlns:w="w"><w:p><w:t>first words</w:t></w:p><w:p>'
    bomb = head + b" " * (MOST_INFLATED + 2**20)
    data = zipped({"[Content_Types].xml": b"", "word/document.xml": bomb})
    assert len(data) < len(bomb) / 500
    parts.deps = msgspec.structs.replace(parts.deps, limits=Limits(memory_bytes=160 * 2**20))
    media = await read(parts, data, DOCX)
    assert media.warnings == (CUT,)
    assert text(parts, media) == "first words"


async def test_a_zip_in_a_zip_and_unusual_compression_are_not_followed(parts: Parts) -> None:
    inner = docx("inner")
    media = await read(parts, docx("outer", parts={"word/embeddings/inner.docx": inner}), DOCX)
    assert text(parts, media) == "outer"
    lzma = zipped({"[Content_Types].xml": "", "word/document.xml": "<w/>"}, method=zipfile.ZIP_LZMA)
    assert "damaged" in await unread(parts, lzma, DOCX)


async def test_texts_that_are_shared_a_million_times_end_at_the_limit_of_a_text(parts: Parts) -> None:
    rows = [["word " * 5000] * 50] * 40
    media = await read(parts, xlsx(rows), XLSX)
    assert media.warnings == (CUT,)
    assert len(text(parts, media) or "") > 4_000_000


async def test_a_directory_of_countless_parts_is_not_read(parts: Parts) -> None:
    data = bytearray(docx("x"))
    end_record = data.rfind(b"PK\5\6")
    data[end_record + 12 : end_record + 16] = (2**31).to_bytes(4, "little")
    assert "more parts" in await unread(parts, bytes(data), DOCX)


async def test_a_page_that_takes_for_ever_to_draw_costs_its_picture_and_not_its_text(parts: Parts) -> None:
    parts.deps = msgspec.structs.replace(parts.deps, limits=Limits(cpu_seconds=1))
    media = await read(parts, endless_pattern(), PDF)
    assert text(parts, media) == "kingfisher"
    assert media.warnings == (NO_PAGE,)
    assert [variant.name for variant in media.variants] == ["text"]


@pytest.mark.parametrize(
    "data",
    [
        pdf("wide", box="0 0 1e9 1e9"),
        pdf("thin", box="0 0 100000000 0.0001"),
        pdf("none", box="0 0 0 0"),
        pdf("upside", box="500 500 -500 -500"),
        pdf("many", kids="5 0 R " * 2000).replace(b"/Count 1>>", b"/Count 2000000000>>"),
        looping(),
        image_bomb(),
        b"%PDF-1.7\n" + b"[" * 200_000 + b"\n%%EOF\n",
        b"%PDF-1.7\n" + b"1 0 obj\n<</A " * 50_000 + b"\n%%EOF\n",
    ],
)
async def test_a_hostile_pdf_ends_and_twice_the_same(parts: Parts, data: bytes) -> None:
    parts.deps = msgspec.structs.replace(parts.deps, limits=Limits(cpu_seconds=10, memory_bytes=512 * 2**20))
    assert told(await end(parts, data, PDF)) == told(await end(parts, data, PDF))


def told(ended: MediaProcessed | MediaFailed) -> tuple[Any, ...]:
    if isinstance(ended, MediaFailed):
        return ended.code, ended.detail
    return ended.exif, ended.warnings, [(ref.name, ref.sha256) for ref in ended.variants]


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (pdf("one", "two", title="t"), PDF),
        (docx("one", "two"), DOCX),
        (open_document("<text:p>one</text:p>"), ODT),
    ],
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
async def test_a_document_that_is_cut_off_is_ready_and_says_so(
    parts: Parts, data: bytes, mime_type: str, share: float
) -> None:
    media = await read(parts, data[: int(len(data) * share)], mime_type)
    assert "cut off" in media.warnings[0] or media.warnings[0] == CUT_OFF


async def test_a_damaged_part_is_read_as_far_as_it_goes(parts: Parts) -> None:
    packed = docx(*(f"paragraph {number} {zlib.crc32(b'%d' % number)}" for number in range(2000)))
    spot = packed.find(b"word/document.xml") + 12_000
    damaged = packed[:spot] + b"\xff" * 64 + packed[spot + 64 :]
    media = await read(parts, damaged, DOCX)
    assert media.warnings == (DAMAGED,)
    assert (text(parts, media) or "").startswith("paragraph 0 ")


async def test_who_watches_a_document_is_told(parts: Parts) -> None:
    event = uploaded(await parts.store(pdf("watched")), media_type="document", mime_type=PDF)
    async with asyncio.timeout(10), parts.bus.listen(topology.progress(str(event.id))) as messages:
        await process(parts, event)
        stages: list[str] = []
        async for message in messages:
            _, progress = decode(message.data)
            assert isinstance(progress, Progress)
            stages.append(progress.stage)
            if progress.stage == "store":
                break
    assert stages[0] == "fetch"
    assert "document" in stages


@pytest.mark.long
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
async def test_every_document_of_the_corpus_ends_and_twice_the_same(parts: Parts) -> None:
    files = sorted(CORPUS.rglob("*.pdf"))
    assert files
    for file in files:
        data = file.read_bytes()
        assert told(await end(parts, data, PDF)) == told(await end(parts, data, PDF)), file.name
