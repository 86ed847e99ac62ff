"""Instead of variants and all that follows: the one picture that somebody asked for."""

import msgspec

from services.processor.steps.variants import variants
from services.processor.work import Work


def render(work: Work) -> None:
    """Make the one variant of the recipe; a plain one is PNG where something shines through."""
    job = work.job
    if job.rendering is not None and job.rendering.format == "plain" and work.ladder.has_alpha:
        (spec,) = job.recipe.variants
        png = msgspec.structs.replace(spec, format="png")
        work.job = msgspec.structs.replace(job, recipe=msgspec.structs.replace(job.recipe, variants=(png,)))
    variants(work)
