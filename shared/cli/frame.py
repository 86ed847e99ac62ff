"""What the commands share: settings from the environment, a bus, output in both forms, errors in one line."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from shared import log
from shared.env import Env
from shared.errors import TripodError, Unavailable
from shared.events.bus import Bus
from shared.events.jetstream import connect
from shared.events.jetstream_connection import BusSettings

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 5.0
PIPE_WIDTH = 240
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON instead of a table.")


def command(work: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous command; a TripodError ends it with one line on stderr and status 1."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            log.configure(log.LogSettings(level="error", format="console"), "cli")
            asyncio.run(work(*args, **kwargs))
        except TripodError as error:
            said(error.detail)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    return run


def said(line: str) -> None:
    """One line on stderr; above the bars where there are some, for they catch it."""
    click.echo(f"tripod: {line}", err=True)


async def with_bus(work: Callable[[Bus], Awaitable[T]]) -> T:
    """What `work` gives with a connection to the broker. Raises Unavailable when there is none in 5 s."""
    env = Env(os.environ)
    settings = BusSettings.from_env(env, "tripod-cli")
    env.check()
    bus = await connect(settings, wait=CONNECT_SECONDS)
    try:
        if not bus.connected:
            raise Unavailable(f"The broker does not answer within {CONNECT_SECONDS:g} s (TRIPOD_NATS_URL).")
        return await work(bus)
    finally:
        await bus.close()


def print_table(table: Table) -> None:
    """The table as wide as the terminal; in a file or a pipe as wide as it needs to be read by a search."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def print_json(value: Any) -> None:
    """The value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)))


@contextmanager
def telling() -> Iterator[Callable[[str, int], None]]:
    """Hears how many of what are done, and shows it on a terminal; elsewhere it is silent."""
    console = Console(stderr=True)
    with console.status("connecting") as status:
        seen: dict[str, int] = {}

        def tell(what: str, count: int) -> None:
            seen[what] = count
            status.update(", ".join(f"{number} {name}" for name, number in seen.items()))

        yield tell
