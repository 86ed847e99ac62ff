"""`make run`: the stack in the foreground until a signal comes, with progress and a welcome."""

import signal
import threading
import time
from types import FrameType

from rich.console import Console

from deploy.child import Cancelled
from deploy.config import StackConfig
from deploy.stack import EmbeddedStack
from deploy.welcome import servers_welcome, welcome


def run_until_stopped(config: StackConfig, console: Console) -> None:
    """Run the stack until SIGINT or SIGTERM; StackError when it cannot start or a part of it dies."""
    stop = threading.Event()
    catch_signals(stop)
    started = time.monotonic()
    stack = EmbeddedStack(config, cancelled=stop.is_set)
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


def catch_signals(stop: threading.Event) -> None:
    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
