"""`make run`: the stack in the foreground until a signal comes, with progress and a welcome."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType

import msgspec
from rich.console import Console

from deploy.child import Cancelled
from deploy.config import StackConfig
from deploy.stack import EmbeddedStack
from deploy.welcome import servers_welcome, welcome

# The printed examples of the library's document carry no token, and here they run as printed.
_OPEN = {"TRIPOD_LIBRARY_ANONYMOUS": "full"}


def run_until_stopped(config: StackConfig, console: Console) -> None:
    """Run the stack until SIGINT or SIGTERM; StackError when it cannot start or a part of it dies."""
    stop = threading.Event()
    catch_signals(stop)
    started = time.monotonic()
    stack = EmbeddedStack(with_defaults(config, os.environ), cancelled=stop.is_set)
    try:
        with console.status("starting") as status:
            stack.start_all(status.update)
        show = welcome if config.services else servers_welcome
        show(stack, console, time.monotonic() - started)
        stack.watch(stop.is_set)
    except Cancelled:
        pass
    finally:
        stack.close()
    console.print("stopped; nothing is left running", style="dim")


def with_defaults(config: StackConfig, environ: Mapping[str, str]) -> StackConfig:
    """The configuration with what only `make run` sets, where the user has not set it."""
    ours = {name: value for name, value in _OPEN.items() if not environ.get(name)}
    return msgspec.structs.replace(config, environment=ours | config.environment)


def catch_signals(stop: threading.Event) -> None:
    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
