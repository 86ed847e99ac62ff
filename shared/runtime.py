"""Running a service: its background tasks are supervised, and a signal drains it before it goes."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import structlog
import uvicorn
from litestar import Litestar

from shared.draining import DrainingServer
from shared.http import HttpSettings
from shared.wire import limited

log = structlog.get_logger()

WS_MESSAGE_BYTES = 4096
WS_PING_SECONDS, WS_PONG_SECONDS = 20.0, 20.0
DRAIN_SECONDS = 8  # the stack promises to be down within 10


class Background:
    """The background tasks of a process. When one of them dies the process drains and exits non-zero:
    a service without its consumer must not look alive."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.failed = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until `stop` is set; its end before that is a failure."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self.stop.is_set() or task.cancelled():
            return
        self.failed = True
        log.error("task.died", task=task.get_name(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)

    async def close(self) -> None:
        """Ask every task to end, and cancel those that do not within the drain time."""
        self.stop.set()
        if not self._tasks:
            return
        _done, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS - 2)
        for task in late:
            log.warning("task.cancelled", task=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def serve(app: Litestar, settings: HttpSettings) -> None:
    """Serve until a signal comes. Exits with 1 when a background task died or the start failed."""
    started = run(app, settings, app.state.get("on_leaving"))
    background: Background | None = app.state.get("background")
    if not started or (background is not None and background.failed):
        sys.exit(1)


def server_config(app: Any, settings: HttpSettings) -> uvicorn.Config:
    """How an app is served. A WebSocket that does not answer a ping is closed. What is sent to us by one is short, and
    nothing is compressed: that would double the memory of an idle one."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=limited(settings.stall),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS - 2,
        timeout_keep_alive=30,
        ws_max_size=WS_MESSAGE_BYTES,
        ws_ping_interval=WS_PING_SECONDS,
        ws_ping_timeout=WS_PONG_SECONDS,
        ws_per_message_deflate=False,
    )


def run(app: Any, settings: HttpSettings, on_leaving: Callable[[], None] | None = None) -> bool:
    """Serve an ASGI app until a signal comes, then call `on_leaving`; whether it ever started."""
    config = server_config(app, settings)
    server = DrainingServer(config, on_leaving)
    # The server raises its signal once more when it is done; a clean stop is not to look like a kill.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_heeded)
    server.run()
    return server.started


def _already_heeded(_number: int, _frame: FrameType | None) -> None:
    """What the signal asked for has been done."""
