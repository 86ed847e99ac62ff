"""Everything about bytes: one stack, its processor stopped, and the ways of uploading in turns."""

from collections.abc import Iterator

from deploy.bench import system, uploads_small
from deploy.bench.results import Row, Setting


def measure(setting: Setting) -> Iterator[Row]:
    """Rows for all sizes."""
    with system.running(setting.folder) as stack:
        stack.stop("processor")
        with system.plain_app(stack) as (url, _):
            yield from uploads_small.measure(stack, url, setting)
