"""PDF by PDFium: pages, title, text, and the first page as a picture. Scripts in it are told of, and never run."""

import ctypes
import math
import re
import time
import zlib
from typing import Any

import numpy as np
import pypdfium2 as pdfium
from pypdfium2 import raw

from services.processor import failures
from services.processor.clean_text import line
from services.processor.documents.found import CUT, CUT_OFF, ENCRYPTED, MACROS, NO_PAGE, Found, truncated
from services.processor.documents.said import Said
from services.processor.video_progress import Course
from services.processor.vips import Image
from services.processor.work import Work

MOST_PAGES = 5000
"""Of which the text is read."""
_SHARE_OF_TIME = 0.5  # of the CPU time that a file may use, for text; then there is time for the picture
_MOST_SIDE = 4096  # pixels of the picture of the first page
_ENDS_WITHIN = 2048  # bytes before the end of a file in which it is said that this is the end
_EVERYWHERE = 1e9  # points from the middle of the page: also what lies beyond its edges is text
_MOST_TITLE = 4000  # bytes


def _name(letters: str) -> str:
    """The pattern of a name, any letter of which may be written as its number."""
    return "/" + "".join(f"(?:{letter}|(?i:#{ord(letter):02x}))" for letter in letters)


_SCRIPTS = re.compile(f"{_name('JavaScript')}|{_name('JS')}[ (<]".encode())
_PACK = b"/ObjStm"
_PACKED = re.compile(rb"/ObjStm\b[^<>]{0,200}>>\s{0,9}stream\r?\n")
_MOST_PACKS, _LONGEST_PACK = 4000, 256 * 1024  # bytes of each, packed
_MOST_UNPACKED = 16 * 1024 * 1024  # bytes of all together
_UNENCRYPTED = -1


def read(work: Work, course: Course, *, side: int | None) -> Found:
    """`side`: how many pixels the shorter side of the picture should have, None where none is wanted.

    Raises JobFailed where this is no PDF that can be read.
    """
    found = Found()
    data = np.frombuffer(work.view, np.uint8)
    handle = raw.FPDF_LoadMemDocument64(data.ctypes.data, len(data), None)
    is_cut_off = work.view.rfind(b"%%EOF", max(0, len(data) - _ENDS_WITHIN)) < 0
    if not handle:
        return _unread(work, found, raw.FPDF_GetLastError(), is_cut_off=is_cut_off)
    document = pdfium.PdfDocument(handle)
    pages = len(document)
    if pages < 1:
        raise truncated("no pages") if is_cut_off else failures.corrupt(work.job.mime_type, "no pages")
    found.fields["pages"] = pages
    if title := line(_title(document)):
        found.fields["title"] = title
    found.flag(
        encrypted=raw.FPDF_GetSecurityHandlerRevision(document) != _UNENCRYPTED,
        macros=raw.FPDFDoc_GetJavaScriptActionCount(document) > 0 or _has_scripts(work),
    )
    until = time.process_time() + _SHARE_OF_TIME * work.job.limits.cpu_seconds
    if not _listen(document, found.said, course, until=until):
        found.warnings.append(CUT)
    if side is not None:
        found.page = _first_page(document, side)
        if found.page is None:
            found.warnings.append(NO_PAGE)
    if is_cut_off:
        found.warnings.append(CUT_OFF)
    return found


def _unread(work: Work, found: Found, error: int, *, is_cut_off: bool) -> Found:
    """What is told of a PDF that PDFium does not open; raises JobFailed for all but a password."""
    if error in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
        found.fields |= {"encrypted": True, "macros": _has_scripts(work)}
        found.warnings += [ENCRYPTED, *([MACROS] if found.fields["macros"] else [])]
        return found
    if is_cut_off:
        raise truncated(f"PDFium error {error}")
    raise failures.corrupt(work.job.mime_type, f"PDFium error {error}")


def _has_scripts(work: Work) -> bool:
    return _SCRIPTS.search(work.view) is not None or _has_packed_scripts(work)


def _has_packed_scripts(work: Work) -> bool:
    """The same in the objects that are packed together, of which only deflated ones are unpacked."""
    left, at = _MOST_UNPACKED, 0
    for _ in range(_MOST_PACKS):
        at = work.view.find(_PACK, at + 1)
        if at < 0 or left <= 0:
            break
        packed = _PACKED.match(work.view, at)
        if packed is None:
            continue
        body = work.view[packed.end() : packed.end() + _LONGEST_PACK]
        try:
            objects = zlib.decompressobj().decompress(body, left)
        except zlib.error:  # packed another way, or locked
            continue
        if _SCRIPTS.search(objects):
            return True
        left -= len(objects)
    return False


def _title(document: Any) -> str:
    size = min(raw.FPDF_GetMetaText(document, b"Title\0", None, 0), _MOST_TITLE)
    buffer = ctypes.create_string_buffer(_MOST_TITLE)
    if size <= 2 or raw.FPDF_GetMetaText(document, b"Title\0", buffer, _MOST_TITLE) > _MOST_TITLE:
        return ""
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


def _listen(document: Any, said: Said, course: Course, *, until: float) -> bool:
    """Take in what the pages say; whether that was all of it."""
    pages = len(document)
    for number in range(min(pages, MOST_PAGES)):
        if time.process_time() > until or said.is_cut:
            return False
        page = raw.FPDF_LoadPage(document, number)
        if page:  # one that is broken says nothing
            said.add(_text(page, said.left))
            said.add("\n\n")
            raw.FPDF_ClosePage(page)
        course.at((number + 1) / pages)
    return pages <= MOST_PAGES and not said.is_cut


def _text(page: Any, most: int) -> str:
    text_page = raw.FPDFText_LoadPage(page)
    if not text_page:
        return ""
    bounds = (-_EVERYWHERE, _EVERYWHERE, _EVERYWHERE, -_EVERYWHERE)
    length = min(raw.FPDFText_GetBoundedText(text_page, *bounds, None, 0), 2 * most + 2)
    buffer = (ctypes.c_ushort * max(1, length))()
    length = min(raw.FPDFText_GetBoundedText(text_page, *bounds, buffer, length), length)
    raw.FPDFText_ClosePage(text_page)
    return bytes(buffer)[: 2 * length].decode("utf-16-le", "ignore")


def _first_page(document: Any, side: int) -> Image | None:
    """The page on white, as large as asked for whatever its own size; None where it has none or cannot be drawn."""
    try:
        page = document[0]
        width, height = page.get_size()
        if not (0 < width < math.inf and 0 < height < math.inf):
            return None
        scale = min(side / min(width, height), _MOST_SIDE / max(width, height))
        pixels = np.ascontiguousarray(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3])
    except (pdfium.PdfiumError, ValueError, OverflowError):
        return None
    rows, columns, bands = pixels.shape
    image = Image.new_from_memory(pixels.tobytes(), columns, rows, bands, "uchar")
    return image.copy(interpretation="srgb").copy_memory()
