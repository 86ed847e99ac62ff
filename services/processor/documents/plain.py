"""Plain text, CSV and Markdown: which encoding the bytes are in, and what they say."""

import codecs
import mmap

from services.processor.documents.found import CUT, CUT_OFF, DAMAGED, Found
from services.processor.video_progress import Course
from services.processor.work import Work

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1024 * 1024
_OLD = "windows-1252"  # what bytes are that are no UTF-8, as browsers have it, too


def read(work: Work, course: Course) -> Found:
    """The text, and its `encoding` by its name for the web."""
    found = Found()
    mark, encoding = _marked(work.view)
    is_broken = mark == b"" and not _is_utf8(work.view)
    if is_broken and not _is_mostly_utf8(work.view[:_CHUNK]):
        encoding, is_broken = _OLD, False
    found.fields["encoding"] = encoding
    decoder = codecs.getincrementaldecoder("cp1252" if encoding == _OLD else encoding)("replace")
    size, at, damaged = len(work.view), len(mark), False
    while at < size and not found.said.is_cut:
        piece = decoder.decode(work.view[at : at + _CHUNK])
        damaged = damaged or (encoding != _OLD and "\ufffd" in piece)
        found.said.add(piece)
        at += _CHUNK
        course.at(at / size)
    if at >= size and decoder.decode(b"", final=True):
        found.warnings.append(CUT_OFF)
    if is_broken or (damaged and mark):  # of UTF-8 that is whole such signs are its own
        found.warnings.append(DAMAGED)
    if found.said.is_cut:
        found.warnings.append(CUT)
    return found


def _marked(view: mmap.mmap) -> tuple[bytes, str]:
    return next(((mark, name) for mark, name in _MARKS if view[: len(mark)] == mark), (b"", "utf-8"))


def _is_utf8(view: mmap.mmap) -> bool:
    """To the last byte but three, where a character may be cut off."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(view), _CHUNK):
            decoder.decode(view[at : at + _CHUNK])
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether a text that is no UTF-8 is one with a mistake rather than one of another encoding."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) > 2 * wrong
