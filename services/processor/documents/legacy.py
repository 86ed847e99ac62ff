"""DOC, XLS and PPT (MS-DOC, MS-XLS, MS-PPT): what they tell of themselves, whether they are locked or bear macros.

Their text is not read.
"""

import struct

from services.processor import failures
from services.processor.clean_text import line
from services.processor.documents.compound import Compound
from services.processor.documents.found import CUT_OFF, DAMAGED, ENCRYPTED, UNREAD, Found
from services.processor.documents.kinds import DOC, PPT, XLS
from services.processor.documents.properties import values
from services.processor.work import Work

_MAIN = {DOC: ("WordDocument",), XLS: ("Workbook", "Book"), PPT: ("PowerPoint Document",)}
_ABOUT, _MORE_ABOUT = "\x05SummaryInformation", "\x05DocumentSummaryInformation"
_TITLE, _PAGES, _WORDS, _SLIDES = 2, 14, 15, 7  # numbers of properties
_MACROS = frozenset({"VBA", "_VBA_PROJECT", "_VBA_PROJECT_CUR", "Macros"})
_MOST_ABOUT = 256 * 1024
_MOST_BOOK = 1024 * 1024  # in which a workbook names its sheets
_MOST_SLIDES = 64 * 1024 * 1024  # in which a presentation says whether it has macros
_LOCKED_DOC, _FLAGS_AT = 0x0100, 10
_RECORD = struct.Struct("<2H")
_SHEET, _FILEPASS, _ENDS = 0x85, 0x2F, 0x0A
_KIND_AT, _IS_SHEET, _IS_MACRO_SHEET, _IS_MODULE = 5, 0, 1, 6
_TOKEN_AT, _LOCKED_TOKEN = 12, b"\xdf\xc4\xd1\xf3"
_VBA_INFO, _HAS_MACROS_AT = b"\x02\0\0\4\x0c\0\0\0", 12


def read(work: Work) -> Found:
    """Raises JobFailed where this is no such document."""
    kind = work.job.mime_type
    file = Compound(work.view, kind)
    main = next((name for name in _MAIN[kind] if name in file), None)
    if main is None:
        raise failures.corrupt(kind, f"no stream {_MAIN[kind][0]}")
    found = Found()
    has_macros = not _MACROS.isdisjoint(file.names)
    if kind == DOC:
        is_locked = _is_locked_doc(file)
    elif kind == XLS:
        is_locked, has_macro_sheets, sheets = _of_book(file, main)
        has_macros = has_macros or has_macro_sheets
        found.fields |= {"sheets": sheets} if not is_locked else {}
    else:
        is_locked = _is_locked_ppt(file)
        has_macros = has_macros or (not is_locked and _has_macros_ppt(file))
    found.flag(encrypted=is_locked, macros=has_macros)
    if is_locked:
        found.warnings.append(ENCRYPTED)
        return found
    _tell(file, kind, found)
    found.warnings.append(UNREAD)
    if file.is_cut_off:
        found.warnings.append(CUT_OFF)
    elif file.is_damaged:
        found.warnings.append(DAMAGED)
    return found


def _is_locked_doc(file: Compound) -> bool:
    head = file.stream("WordDocument", _FLAGS_AT + 2)
    return bool(int.from_bytes(head[_FLAGS_AT:], "little") & _LOCKED_DOC)


def _of_book(file: Compound, name: str) -> tuple[bool, bool, int]:
    """Whether a workbook is locked and has macro sheets, and how many sheets it names."""
    data, at = file.stream(name, _MOST_BOOK), 0
    has_macro_sheets, sheets = False, 0
    while at + _RECORD.size <= len(data):
        kind, length = _RECORD.unpack_from(data, at)
        body = data[at + _RECORD.size : at + _RECORD.size + length]
        if kind == _FILEPASS:
            return True, False, 0
        if kind == _SHEET and len(body) > _KIND_AT:
            has_macro_sheets = has_macro_sheets or body[_KIND_AT] == _IS_MACRO_SHEET
            sheets += body[_KIND_AT] != _IS_MODULE
        if kind == _ENDS:
            break
        at += _RECORD.size + length
    return False, has_macro_sheets, sheets


def _is_locked_ppt(file: Compound) -> bool:
    user = file.stream("Current User", _TOKEN_AT + len(_LOCKED_TOKEN))
    return user[_TOKEN_AT:] == _LOCKED_TOKEN or "EncryptedSummary" in file


def _has_macros_ppt(file: Compound) -> bool:
    """A presentation has its macros packed in its main stream; this says whether there are any."""
    data = file.stream("PowerPoint Document", _MOST_SLIDES)
    at = data.find(_VBA_INFO)
    while at >= 0:
        if any(data[at + _HAS_MACROS_AT : at + _HAS_MACROS_AT + 4]):
            return True
        at = data.find(_VBA_INFO, at + 1)
    return False


def _tell(file: Compound, kind: str, found: Found) -> None:
    """Title and counts, as the document says."""
    about = values(file.stream(_ABOUT, _MOST_ABOUT))
    if title := line(str(about.get(_TITLE, ""))):
        found.fields["title"] = title
    counts = {"pages": about.get(_PAGES), "words": about.get(_WORDS)} if kind == DOC else {}
    if kind == PPT:
        counts = {"slides": values(file.stream(_MORE_ABOUT, _MOST_ABOUT)).get(_SLIDES)}
    found.fields |= {name: count for name, count in counts.items() if isinstance(count, int)}
