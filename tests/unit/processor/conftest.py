"""Runs the picture pipeline in this process, over bytes that never touch a disk."""

import mmap
import os
from collections.abc import Callable

import pillow_heif
import pytest

from services.processor import pipeline, vips
from services.processor.frames import Job, Limits, Result, StepDone
from services.processor.work import Work
from shared.recipes import Recipe
from shared.rendering import Rendering
from tests.fixtures.recipes import STANDARD

Derive = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def _codecs() -> None:
    vips.close_down()
    pillow_heif.register_heif_opener(thumbnails=False)


@pytest.fixture
def steps() -> list[StepDone]:
    """The progress reports of the last `derive`."""
    return []


@pytest.fixture
def derive(steps: list[StepDone]) -> Derive:
    """`derive(data, mime_type, recipe=, limits=, rendering=)` is all that the pipeline makes of a file."""

    def run(
        data: bytes,
        mime_type: str = "image/jpeg",
        recipe: Recipe = STANDARD,
        limits: Limits | None = None,
        rendering: Rendering | None = None,
    ) -> Result:
        job = Job(
            media_id="m",
            trace_id="t",
            mime_type=mime_type,
            recipe=recipe,
            limits=limits or Limits(),
            rendering=rendering,
        )
        descriptor = os.memfd_create("original")
        try:
            os.write(descriptor, data)
            with mmap.mmap(descriptor, len(data), prot=mmap.PROT_READ) as view:
                return pipeline.run(Work(job=job, descriptor=descriptor, view=view), steps.append)
        finally:
            os.close(descriptor)

    return run
