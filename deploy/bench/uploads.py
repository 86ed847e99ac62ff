"""Everything about bytes: one stack, its processor stopped, and the ways of uploading in turns."""

from collections.abc import Iterator

from deploy.bench import system, uploads_large, uploads_small
from deploy.bench.results import Row, Setting


def measure_small(setting: Setting) -> Iterator[Row]:
    """Rows for 20 KB and 1 MB."""
    with system.running(setting.folder) as stack:
        stack.stop("processor")
        with system.plain_app(stack) as plain:
            yield from uploads_small.measure(stack, plain, setting)


def measure_large(setting: Setting) -> Iterator[Row]:
    """Rows for 200 MB and 2 GB, on a stack that has done nothing before: memory that was never used is not there."""
    with system.running(setting.folder) as stack:
        stack.stop("processor")
        with system.plain_app(stack) as plain:
            yield from uploads_large.measure(stack, plain, setting)
