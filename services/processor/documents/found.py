"""What has been found in a document, and the warnings and verdicts that all kinds of documents share."""

import re
from dataclasses import dataclass, field

from services.processor.documents.said import Said
from services.processor.failures import Failure, JobFailed
from services.processor.vips import Image

ENCRYPTED = "The document is protected by a password; it is kept as it is, and nothing in it could be read."
MACROS = "The document contains macros or scripts."
CUT = "The document is very long; only the beginning of its text was read."
DAMAGED = "Parts of the document are damaged and could not be read."
CUT_OFF = "The end of the document is missing; what is left was read."
UNREAD = "The text of documents of this kind is not read; searches find it by its name and title."
NO_PAGE = "No picture of the first page could be made."

_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class Found:
    """`fields` are told as metadata. `page`: the first page as 8-bit RGB, where there is one to be seen."""

    fields: dict[str, object] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    page: Image | None = None
    warnings: list[str] = field(default_factory=list)

    def flag(self, *, encrypted: bool, macros: bool) -> None:
        """Tell both, whatever they are, and warn of what is true."""
        self.fields |= {"encrypted": encrypted, "macros": macros}
        if macros:
            self.warnings.append(MACROS)


def whole(text: str | None) -> int | None:
    """A count that a document tells of itself; None for what is none."""
    return int(text) if text is not None and _WHOLE.fullmatch(text.strip()) else None


def truncated(log: str = "") -> JobFailed:
    detail = "The document ends before it is complete; it was probably cut off during a transfer."
    return JobFailed(Failure(code="truncated", detail=detail, log=log))


def too_many_parts(log: str) -> JobFailed:
    detail = "The document is made of more parts than any honest one; it is not read."
    return JobFailed(Failure(code="unsupported", detail=detail, log=log))
