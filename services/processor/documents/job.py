"""A document inside the child: read by its kind, its text and the picture of its first page as variants."""

import hashlib
import time
from collections.abc import Callable

import numpy as np

from services.processor import failures
from services.processor.documents import kinds, legacy, open_document, open_xml, pdf, plain
from services.processor.documents.found import CUT, NO_PAGE, Found
from services.processor.failures import JobFailed
from services.processor.frames import Ahead, Result, StepDone, Variant
from services.processor.ladder import Ladder
from services.processor.steps.fingerprint import to_pillow
from services.processor.steps.placeholder import placeholder
from services.processor.steps.variants import Press
from services.processor.video_progress import Course
from services.processor.vips import Image
from services.processor.work import Work
from shared.events.messages import DOCUMENT_TEXT
from shared.recipes import VariantSpec

_THUMBNAIL = "thumbnail"
_SHARPER = 2  # times the thumbnail's side: made smaller, small print stays readable
_TINY_SIDE = 32  # pixels that the placeholder is made of
_MOST_WARNINGS = 10
# Of what is done to a text. A new number makes the text of every document anew when it is next processed.
_SPEC = hashlib.sha256(b"text 1").hexdigest()[:8]


def run(work: Work, report: Callable[[StepDone | Ahead], None]) -> Result:
    """All that is made of a document; of one that cannot be read nothing but a warning. Raises MemoryError."""
    course = Course(report)
    work.step, started = "document", time.monotonic()
    course.enter("document", 90)
    spec = None if work.job.text_only else _thumbnail(work)
    try:
        found = _read(work, course, spec)
    except JobFailed as error:
        # Its original is what a document is wanted for, and its own program may be able to mend it.
        found = Found(warnings=[error.failure.detail])
    variants = [] if found.page is None or spec is None else [_pictured(found.page, spec, work)]
    text = found.said.whole()
    if text:
        variants.append(_text(text))
    if found.said.is_cut and CUT not in found.warnings:
        found.warnings.append(CUT)
    if work.job.text_only:
        found.warnings.append(NO_PAGE)
    milliseconds = round((time.monotonic() - started) * 1000, 1)
    report(StepDone(step=work.step, percent=100, milliseconds=milliseconds, trace_id=work.job.trace_id))
    return Result(
        width=0,
        height=0,
        exif=found.fields,
        taken_at=None,
        phash="",
        dhash="",
        degenerate=True,
        placeholder="" if found.page is None else _placeholder(found.page),
        variants=tuple(variants),
        warnings=tuple(dict.fromkeys(found.warnings))[:_MOST_WARNINGS],
        timings={work.step: milliseconds},
    )


def _read(work: Work, course: Course, spec: VariantSpec | None) -> Found:
    kind = work.job.mime_type
    side = _SHARPER * max(spec.width, spec.height) if spec is not None else None
    if kind == kinds.PDF:
        return pdf.read(work, course, side=side)
    if kind in kinds.OPEN_XML:
        return open_xml.read(work, course)
    if kind in kinds.OPEN_DOCUMENT:
        return open_document.read(work, course)
    if kind in kinds.PLAIN:
        return plain.read(work, course)
    if kind in kinds.LEGACY:
        return legacy.read(work)
    raise failures.unsupported(kind, tuple(sorted(kinds.READ)))


def _thumbnail(work: Work) -> VariantSpec | None:
    """The recipe's, of pictures or else of videos."""
    recipe = work.job.recipe
    return next((spec for spec in (*recipe.variants, *recipe.posters) if spec.name == _THUMBNAIL), None)


def _pictured(page: Image, spec: VariantSpec, work: Work) -> Variant:
    return Press(Ladder(page, width=page.width, height=page.height), work.job.mime_type).make(spec)


def _text(text: str) -> Variant:
    return Variant(
        name=DOCUMENT_TEXT, mime_type="text/plain", width=0, height=0, spec=_SPEC, body=text.encode()
    )


def _placeholder(page: Image) -> str:
    ladder = Ladder(page, width=page.width, height=page.height)
    tiny = ladder.at(min(1.0, _TINY_SIDE / max(page.width, page.height)))
    return placeholder(np.asarray(to_pillow(tiny).convert("RGBA")))
