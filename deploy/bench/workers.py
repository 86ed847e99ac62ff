"""How a backlog shrinks with more workers: one processor of one child at a time, and two of them, on the same backlog.

The catalog stands still meanwhile: its share of the same processors would be taken for the workers'.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil

from deploy.bench import backlog, photos, system
from deploy.bench.results import Row, Setting, Target, compared
from deploy.child import Child
from deploy.ports import free_port
from deploy.services import worker_spec
from deploy.stack import EmbeddedStack
from shared.events import topology
from shared.events.jetstream import BusSettings, connect

TARGET = Target(sense="at least", ratio=1.9)
PATIENCE_SECONDS = 600
ONE_AT_A_TIME = {"TRIPOD_PROCESSOR_JOBS": "1"}


def measure(setting: Setting) -> Iterator[Row]:
    """Images per second of one worker and of two, in turns."""
    many, rounds = (60, 1) if setting.quick else (400, 2)
    picture = photos.encoded(photos.pixels(4000, 3000), "JPEG", quality=88)
    with system.running(setting.folder, ONE_AT_A_TIME) as stack:
        stack.stop("processor")
        backlog.upload_one(stack, picture)
        stack.stop("catalog")
        found: dict[int, list[float]] = {1: [], 2: []}
        before = _servers_ms(stack)
        for number in range(rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                setting.console.print(f"[dim]{many} images, {workers} at work[/]", highlight=False)
                found[workers].append(_rate(stack, many, workers))
        images = many * rounds * len(found)
        yield compared(
            "a backlog of images", f"two workers, {many} pictures of 12 MP", found[2], "images/s",
            baseline="one worker", against=found[1], target=None if setting.quick else TARGET,
            note=f"store and broker: {(_servers_ms(stack) - before) / images:.0f} ms of CPU an image",
        )  # fmt: skip


def _servers_ms(stack: EmbeddedStack) -> float:
    """Milliseconds of CPU that the store and the broker have taken so far."""
    times = [psutil.Process(stack.child(name).pid).cpu_times() for name in ("s3", "nats")]
    return float(sum(one.user + one.system for one in times)) * 1000


def _rate(stack: EmbeddedStack, many: int, workers: int) -> float:
    """Images per second from the moment all workers are ready."""
    backlog.tell(stack, many)
    end = _last(stack) + many
    with contextlib.ExitStack() as running:
        stack.start("processor")
        running.callback(stack.stop, "processor")
        for number in range(1, workers):
            running.enter_context(_another(stack, number))
        started, left = time.perf_counter(), end - _last(stack)
        while (last := _last(stack)) < end:
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise TimeoutError(f"{end - last} of {many} images are left after {PATIENCE_SECONDS} s")
            time.sleep(0.25)
        return left / (time.perf_counter() - started)


@contextlib.contextmanager
def _another(stack: EmbeddedStack, number: int) -> Iterator[None]:
    spec = worker_spec(stack, f"processor-{number}", free_port(set()))
    with ThreadPoolExecutor(max_workers=1) as spawner:
        child = Child(spec, stack.folder.logs / f"{spec.name}.log")
        child.start(spawner)
        try:
            child.wait_ready()
            yield
        finally:
            child.kill()


def _last(stack: EmbeddedStack) -> int:
    """The place of the newest event; each image that ends adds one."""

    async def ask() -> int:
        bus = await connect(BusSettings(url=stack.nats_url), wait=10)
        try:
            return await bus.last_sequence(topology.MEDIA)
        finally:
            await bus.close()

    return asyncio.run(ask())
