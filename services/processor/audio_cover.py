"""The picture that goes with a sound: decoded as any picture is, and made into the variants of the recipe."""

import mmap
import os

import msgspec

from services.processor.failures import JobFailed
from services.processor.frames import Variant
from services.processor.steps.decode import decode
from services.processor.steps.fingerprint import fingerprint
from services.processor.steps.orient import orient
from services.processor.steps.variants import Press
from services.processor.vips import VipsError
from services.processor.work import Work

_SIGNS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


def covers(work: Work, stored: bytes) -> tuple[tuple[Variant, ...], str]:
    """The variants, and the ThumbHash. One that cannot be read costs a warning and nothing else."""
    mime_type = _mime_type(stored)
    if mime_type is None:
        work.warnings.append("The cover is no picture that is known; there are variants of the sound alone.")
        return (), ""
    recipe = msgspec.structs.replace(work.job.recipe, variants=work.job.recipe.covers)
    job = msgspec.structs.replace(work.job, mime_type=mime_type, recipe=recipe)
    descriptor = os.memfd_create("cover", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, stored)
        os.lseek(descriptor, 0, os.SEEK_SET)
        picture = Work(
            job=job, descriptor=descriptor, view=mmap.mmap(descriptor, len(stored), prot=mmap.PROT_READ)
        )
        return _made(picture)
    except (JobFailed, VipsError) as error:
        reason = error.failure.detail if isinstance(error, JobFailed) else "It is damaged."
        work.warnings.append(f"The cover cannot be shown. {reason}")
        return (), ""
    finally:
        os.close(descriptor)


def _made(picture: Work) -> tuple[tuple[Variant, ...], str]:
    decode(picture)
    orient(picture)
    press = Press(picture.ladder, picture.job.mime_type)
    largest_first = sorted(picture.job.recipe.variants, key=lambda spec: -spec.width * spec.height)
    made = {spec.name: press.make(spec) for spec in largest_first}
    fingerprint(picture)
    return tuple(made[spec.name] for spec in picture.job.recipe.variants), picture.fingerprint.placeholder


def _mime_type(stored: bytes) -> str | None:
    if stored[:4] == b"RIFF" and stored[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for sign, mime in _SIGNS.items() if stored.startswith(sign)), None)
