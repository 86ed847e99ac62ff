"""What a second child is asked for, where the first has given up."""

import msgspec

from services.processor.documents import kinds
from services.processor.failures import Failure
from services.processor.frames import Job

_DRAWING = frozenset({"crash", "memory", "timeout"})  # what a page can do to those who draw it


def job(first: Job, verdict: Failure) -> Job | None:
    """The same once more where that may help. Of a PDF the text alone: most of what goes wrong is in its pictures, and
    it is by its words that it is found. None where nothing will help."""
    if first.mime_type == kinds.PDF and first.rendering is None and verdict.code in _DRAWING:
        return msgspec.structs.replace(first, text_only=True)
    return first if verdict.retryable else None
