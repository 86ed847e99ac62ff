"""`tripod watch`: live events as a table that moves, as lines, or as JSON."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from shared.cli.bars import size
from shared.cli.client import connected
from shared.cli.frame import printable, said
from shared.cli.live import Event, events
from shared.cli.server import Server, client_command
from shared.errors import Invalid, TripodError
from shared.ids import parse_ref, public_id

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ROWS = 20


@click.command()
@click.option("--since", metavar="WHEN", help="First what was made since: 10m, 2h, 1d ago, or a time as "
              "2026-11-21T10:00Z.")  # fmt: skip
@click.option("--json", "json_", is_flag=True, help="One line of JSON for each event.")
@client_command
async def watch(server: Server, /, *, since: str | None, json_: bool) -> None:
    """Show what happens to the media that you may see, until Ctrl-C.

    A connection that is lost comes back by itself; a `resync` tells that something may have been missed, and what was
    made meanwhile follows.
    """
    start = moment(since, datetime.now(UTC)) if since is not None else None
    with _screen(json_=json_) as show:
        async with connected(server) as client:
            async for event in events(client, start, _note):
                show(event)


def _note(error: BaseException, seconds: float) -> None:
    detail = error.detail if isinstance(error, TripodError) else str(error)
    said(f"{detail} Connecting again" + (f" in {seconds:.0f} s." if seconds >= 1 else "."))


def moment(text: str, now: datetime) -> datetime:
    """Of `10m` ago or an ISO time, which is UTC unless it says otherwise. Raises Invalid."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            f"--since is {text[:40]!r}; allowed are 30s, 10m, 2h, 1d, or a time as 2026-11-21T10:00Z."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def _screen(*, json_: bool) -> Iterator[Callable[[Event], None]]:
    console = Console()
    if json_ or not console.is_terminal:
        yield _print_json if json_ else _print_line
        return
    board = Board()
    with Live(board.table(), console=console, auto_refresh=False) as live:

        def show(event: Event) -> None:
            board.take(event)
            live.update(board.table(), refresh=True)

        yield show


def _print_json(event: Event) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


def _print_line(event: Event) -> None:
    sys.stdout.write("  ".join(printable(cell) for cell in cells(event)).rstrip() + "\n")
    sys.stdout.flush()


class Board:
    """The media that something happened to last, one row each, the latest at the bottom."""

    def __init__(self, rows: int = _ROWS) -> None:
        self._rows: dict[str, tuple[str, ...]] = {}
        self._most = rows

    def take(self, event: Event) -> None:
        """A row keeps the name that an earlier event told."""
        key = str(event.get("id") or "")
        former = self._rows.pop(key, ("", "", "", "", ""))
        self._rows[key] = tuple(new or old for new, old in zip(cells(event), former, strict=True))
        while len(self._rows) > self._most:
            self._rows.pop(next(iter(self._rows)))

    def table(self) -> Table:
        table = Table("at", "event", "id", "state", "name")
        for row in self._rows.values():
            table.add_row(*(escape(printable(cell)) for cell in row))
        return table


def cells(event: Event) -> tuple[str, str, str, str, str]:
    """Time here, what happened, to which media, how it stands, and its name where it is told."""
    media = event.get("media") or {}
    media_id = parse_ref(str(event.get("id") or ""))
    state = _progress(event) if event["type"] == "progress" else str(media.get("status") or "")
    name = media.get("filename") or event.get("filename") or ""
    at = datetime.now().astimezone().strftime("%H:%M:%S")
    return at, str(event["type"]), public_id(media_id) if media_id else "", state, str(name)


def _progress(event: Event) -> str:
    """As `variants 40 %`; of a file that is being received the bytes, where nobody knows how many there are."""
    received, whole = event.get("received"), event.get("size")
    if isinstance(received, int):
        return f"{event.get('stage')} {size(received)}" + (f" of {size(whole)}" if whole else "")
    return f"{event.get('stage')} {event.get('percent')} %"
