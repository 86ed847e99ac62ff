"""Live connections of one replica: what an idle one costs, and how long an event takes to one of them and to all."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import psutil
from websockets.asyncio.client import ClientConnection, connect

from deploy.bench import system
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.stack import EmbeddedStack
from shared.events import messages, topology
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings
from shared.events.jetstream import connect as connect_bus
from shared.events.messages import MediaUpdated, Progress
from shared.ids import new_id

SOCKETS = 1000
OPENING = 50  # at once
ROUNDS = 30
IDLE_SECONDS = 25.0  # longer than between two pings
WAIT_SECONDS = 30.0
ONE = "user 0"


def measure(setting: Setting) -> Iterator[Row]:
    """A thousand sockets of a thousand users at one catalog; the clients share its machine."""
    limits = {"TRIPOD_LIVE_CONNECTIONS": str(SOCKETS + 10)}
    with system.running(setting.folder, limits) as stack:
        setting.console.print(f"[dim]{SOCKETS:,} live connections[/]", highlight=False)
        rows = asyncio.run(_measure(stack, 5.0 if setting.quick else IDLE_SECONDS))
    yield from rows


async def _measure(stack: EmbeddedStack, idle: float) -> list[Row]:
    catalog = psutil.Process(stack.child("catalog").pid)
    bus = await connect_bus(BusSettings(url=stack.nats_url), wait=10)
    group = f"live, {SOCKETS:,} sockets"
    try:
        async with AsyncExitStack() as open_ones:
            first = await open_ones.enter_async_context(_open(stack, ONE))
            by_itself = [await _to_one(bus, first) for _ in range(ROUNDS)]
            before = catalog.memory_info().rss
            rest = await _open_many(stack, open_ones)
            held = (catalog.memory_info().rss - before) / 1024 / len(rest)
            used, cpu = time.monotonic(), _cpu(catalog)
            await asyncio.sleep(idle)
            share = 100 * (_cpu(catalog) - cpu) / (time.monotonic() - used)
            among = [await _to_one(bus, first) for _ in range(ROUNDS)]
            cpu = _cpu(catalog)
            everybody = [await _to_all(bus, [first, *rest]) for _ in range(ROUNDS)]
            each = 1000 * (_cpu(catalog) - cpu) / ROUNDS
    finally:
        await bus.close()
    return [
        alone(group, "memory of an idle one", [held], "KiB"),
        alone(group, "CPU of the idle catalog, pings included", [share], "% of a core"),
        compared(
            group, "progress to the one who may see it", among, "ms", baseline="alone", against=by_itself,
            target=Target(sense="at most", ratio=2.0),
        ),
        alone(group, "a public change to all", everybody, "ms", note=f"{each:.0f} ms of CPU in the catalog"),
    ]  # fmt: skip


def _open(stack: EmbeddedStack, sub: str) -> connect:
    url = stack.catalog_url.replace("http", "ws", 1) + "/v1/live"
    return connect(
        url,
        additional_headers={"Authorization": f"Bearer {stack.token(sub)}"},
        open_timeout=WAIT_SECONDS,
        ping_interval=None,
    )


async def _open_many(stack: EmbeddedStack, open_ones: AsyncExitStack) -> list[ClientConnection]:
    found: list[ClientConnection] = []
    numbers = range(1, SOCKETS)
    for start in range(0, len(numbers), OPENING):
        some = [_open(stack, f"user {number}") for number in numbers[start : start + OPENING]]
        found += await asyncio.gather(*(open_ones.enter_async_context(one) for one in some))
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _to_one(bus: Bus, socket: ClientConnection) -> float:
    """Milliseconds from the broker to the client."""
    media_id = new_id()
    event = Progress(id=media_id, owner=ONE, stage="decode", percent=50, at=datetime.now(UTC))
    return await _tell(bus, topology.progress(str(media_id)), event, media_id, [socket])


async def _to_all(bus: Bus, sockets: list[ClientConnection]) -> float:
    media_id = new_id()
    shown = {"is_public": True, "moderation": "approved", "exif": {}, "caption": "x" * 2000}
    event = MediaUpdated(id=media_id, owner="somebody", media=shown)
    return await _tell(bus, topology.live(str(media_id)), event, media_id, sockets)


async def _tell(
    bus: Bus,
    subject: str,
    event: Progress | MediaUpdated,
    media_id: uuid.UUID,
    sockets: list[ClientConnection],
) -> float:
    data = messages.encode(
        event,
        source="bench",
        event_id=str(media_id),
        subject=str(media_id),
        time=datetime.now(UTC),
        traceparent=None,
    )
    started = time.perf_counter()
    await bus.broadcast(subject, data)
    async with asyncio.timeout(WAIT_SECONDS):
        heard = await asyncio.gather(*(socket.recv() for socket in sockets))
    took = (time.perf_counter() - started) * 1000
    if any(json.loads(each)["id"] != str(media_id) for each in heard):
        raise RuntimeError("somebody has heard of something else")
    return took
