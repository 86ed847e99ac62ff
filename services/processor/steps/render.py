"""Instead of variants and all that follows: the one picture that somebody asked for."""

import msgspec

from services.processor.steps.variants import make
from services.processor.work import Work


def render(work: Work) -> None:
    """Make the one variant of the recipe; a plain one is PNG where something shines through."""
    (spec,) = work.job.recipe.variants
    if work.job.rendering is not None and work.job.rendering.format == "plain" and work.ladder.has_alpha:
        spec = msgspec.structs.replace(spec, format="png")
    work.variants = (make(work.ladder, spec, work.job.mime_type, {}),)
