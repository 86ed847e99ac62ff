"""DOCX, XLSX and PPTX (ISO/IEC 29500): title, counts and text of those parts that hold them."""

import html
import re
from collections.abc import Iterable

from services.processor.clean_text import line
from services.processor.documents import office
from services.processor.documents.elements import Listener
from services.processor.documents.found import ENCRYPTED, UNREAD, Found, whole
from services.processor.documents.kinds import DOCX, PPTX, XLSX
from services.processor.documents.listeners import Prose, Values
from services.processor.documents.office import Office
from services.processor.documents.parts import Parts
from services.processor.documents.sheets import Cells, SharedTexts
from services.processor.video_progress import Course
from services.processor.work import Work

_MAIN = {DOCX: "word/document.xml", XLSX: "xl/workbook.xml", PPTX: "ppt/presentation.xml"}
_BINARY = "xl/workbook.bin"  # XLSB: the same parts, but of records instead of XML
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # which is what a document with a password is put into
_BESIDE = ("footnotes", "endnotes", "header", "footer")  # in the order in which they are read
_NUMBER = re.compile(r"(\d{1,6})\.xml$")
_MACROS = re.compile(r"(?i)(?:^|/)(?:vbaProject\.bin$|vbaData\.xml$|(?:intl)?macrosheets/)")
_TYPES = "[Content_Types].xml"
_OF_MACROS = re.compile(
    r"(?i)vnd\.ms-(?:office\.vbaProject|excel\.(?:intl)?macrosheet)|relationships/(?:vbaProject|xl(?:intl)?macrosheet)"
)
# Settings of paragraphs hold elements that are called like what breaks a line.
_SKIPPED = frozenset({"pPr", "rPr", "sectPr", "tblPr", "endParaRPr", "Fallback", "instrText", "delText"})
_AFTER = {"p": "\n", "tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "tc": "\t", "tr": "\n"}


def read(work: Work, course: Course) -> Found:
    """Raises JobFailed where the part that everything hangs on cannot be read."""
    if work.view[: len(_OLE)] == _OLE:
        return _locked()
    parts = office.opened(work)
    told = Office(parts, work.job.mime_type)
    found = told.found
    kind = work.job.mime_type
    found.flag(encrypted=parts.is_encrypted, macros=_has_macros(parts, _MAIN[kind]))
    if parts.is_encrypted:
        return told.ended()
    core = told.values("docProps/core.xml", Values({"title"}))
    if title := line(core.texts.get("title", "")):
        found.fields["title"] = title
    if kind == XLSX and _BINARY in parts:
        found.warnings.append(UNREAD)
        return told.ended()
    app = told.values("docProps/app.xml", Values({"Pages", "Words"}))
    main = Values(counted={"sheet", "sldId"}) if kind != DOCX else None
    if main is not None:
        told.hear(_MAIN[kind], main, needed=True)
        name, count = ("sheets", main.counts["sheet"]) if kind == XLSX else ("slides", main.counts["sldId"])
        found.fields[name] = count
    else:
        for name, said in (("pages", app.texts.get("Pages")), ("words", app.texts.get("Words"))):
            if (count_said := whole(said)) is not None:
                found.fields[name] = count_said
    for number, (part, listener) in enumerate(_to_hear(told, kind), 1):
        told.hear(part, listener, needed=kind == DOCX and number == 1)
        course.at(number / len(parts.names))
        if found.said.is_cut:
            break
    return told.ended()


def _has_macros(parts: Parts, main: str) -> bool:
    """By the names of parts, which may be any; by their types; or by what the main part says that they are to it."""
    if any(_MACROS.search(name) for name in parts.names):
        return True
    folder, _, name = main.rpartition("/")
    told = [parts.beginning(part) for part in (_TYPES, f"{folder}/_rels/{name}.rels")]
    # UTF-8 or UTF-16, and with any letter written as a number.
    texts = [html.unescape(one.replace(b"\0", b"").decode("latin-1")) for one in told]
    return any(_OF_MACROS.search(one) for one in texts)


def _locked() -> Found:
    found = Found(warnings=[ENCRYPTED])
    found.flag(encrypted=True, macros=False)
    return found


def _to_hear(told: Office, kind: str) -> Iterable[tuple[str, Listener]]:
    """Each part with text, and who listens to it."""
    names, said = told.parts.names, told.found.said
    if kind == XLSX:
        shared = SharedTexts()
        yield "xl/sharedStrings.xml", shared
        for name in _numbered(names, "xl/worksheets/sheet"):
            yield name, Cells(said, shared.texts)
        return
    if kind == DOCX:
        parts = [_MAIN[DOCX], *(n for beside in _BESIDE for n in _numbered(names, f"word/{beside}"))]
    else:
        slides = _numbered(names, "ppt/slides/slide")
        parts = [*slides, *_numbered(names, "ppt/notesSlides/notesSlide")]
    for name in parts:
        yield name, Prose(said, inside={"t"}, skipped=_SKIPPED, after=_AFTER)


def _numbered(names: Iterable[str], prefix: str) -> list[str]:
    """The parts whose names are this and a number, which may be missing, in the order of those."""
    found = []
    for name in set(names):
        if name.startswith(prefix) and "/" not in name[len(prefix) :] and name.endswith(".xml"):
            number = _NUMBER.search(name)
            found.append((int(number[1]) if number else 0, name))
    return [name for _, name in sorted(found)]
