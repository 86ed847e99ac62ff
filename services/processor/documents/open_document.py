"""ODT, ODS and ODP (ISO/IEC 26300): title, counts and text."""

from services.processor.clean_text import line
from services.processor.documents import office
from services.processor.documents.found import Found, whole
from services.processor.documents.kinds import ODP, ODS, ODT
from services.processor.documents.listeners import Prose, Values
from services.processor.documents.office import Office
from services.processor.video_progress import Course
from services.processor.work import Work

_CONTENT, _META, _MANIFEST = "content.xml", "meta.xml", "META-INF/manifest.xml"
# What the statistics of a document are called, and what they are called here.
_COUNTS = {
    ODT: {"page-count": "pages", "word-count": "words"},
    ODS: {"table-count": "sheets"},
    ODP: {"page-count": "slides"},
}
_THINGS = {ODS: ("table", "sheets"), ODP: ("page", "slides")}
_AFTER = {"p": "\n", "h": "\n", "tab": "\t", "s": " ", "line-break": "\n"}
_SKIPPED = frozenset({"annotation", "tracked-changes", "forms", "automatic-styles"})


class _Content:
    """Text and things in one pass."""

    def __init__(self, prose: Prose, things: Values) -> None:
        self._listeners = (prose, things)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        for listener in self._listeners:
            listener.start(name, attributes)

    def end(self, name: str) -> None:
        for listener in self._listeners:
            listener.end(name)

    def characters(self, text: str) -> None:
        self._listeners[0].characters(text)


def read(work: Work, course: Course) -> Found:
    """Raises JobFailed where there is no content that can be read."""
    parts = office.opened(work)
    told = Office(parts, work.job.mime_type)
    found, kind = told.found, work.job.mime_type
    encrypted = parts.is_encrypted or b"encryption-data" in parts.beginning(_MANIFEST)
    found.flag(
        encrypted=encrypted, macros=any(name.startswith(("Basic/", "Scripts/")) for name in parts.names)
    )
    if encrypted:
        return told.ended()
    meta = told.values(_META, Values({"title"}, described={"document-statistic"}))
    if title := line(meta.texts.get("title", "")):
        found.fields["title"] = title
    for name, called in _COUNTS[kind].items():
        if (count := whole(meta.attributes.get(name))) is not None:
            found.fields[called] = count
    course.at(0.1, now=True)
    prose = Prose(found.said, inside={"p", "h"}, skipped=_SKIPPED, after=_AFTER)
    thing, called = _THINGS.get(kind, ("", ""))
    things = Values(counted={thing})
    told.hear(_CONTENT, _Content(prose, things), needed=True)
    if called and not found.said.is_cut:
        found.fields[called] = things.counts[thing]
    return told.ended()
