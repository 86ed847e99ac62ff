"""What the commands share: output in both forms, errors in one line."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import click
import msgspec
from rich.console import Console
from rich.table import Table

from shared import log
from shared.cli.failures import problem_of
from shared.errors import TripodError

P = ParamSpec("P")

PIPE_WIDTH = 240
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON instead of a table.")


def command(work: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous command; a TripodError ends it with one line on stderr and status 1. Where JSON was asked
    for it is that as well, in one line: `{"problem": {"code", "detail", ...}}`."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            log.configure(log.LogSettings(level="error", format="console"), "cli")
            asyncio.run(work(*args, **kwargs))
        except TripodError as error:
            said(error.detail)
            if kwargs.get("json_"):
                click.echo(msgspec.json.encode({"problem": problem_of(error)}))
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    return run


def said(line: str) -> None:
    """One line on stderr; above the bars where there are some, for they catch it."""
    click.echo(f"tripod: {printable(line)}", err=True)


def printable(text: str) -> str:
    """Control characters and what is no text as escapes: a terminal would obey them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
