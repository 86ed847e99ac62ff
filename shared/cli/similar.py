"""`tripod similar`: what looks like a media, or like a picture on this machine."""

from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
from rich.markup import escape
from rich.table import Table

from shared.cli.client import Client, Query, connected
from shared.cli.failures import Unreachable
from shared.cli.frame import as_json, print_json, print_table, printable
from shared.cli.refs import media_path
from shared.cli.server import Server, client_command
from shared.errors import Invalid
from shared.names import display_name

Answer = dict[str, Any]


@click.command()
@click.argument("what", metavar="ID|FILE")
@click.option("--max-distance", type=click.IntRange(0, 10), default=10, show_default=True,
              help="In bits of 64: 0 identical, 1 to 5 very similar, 6 to 10 similar.")  # fmt: skip
@click.option("--mirror", is_flag=True, help="Mirrored copies, too.")
@click.option("--rotate", is_flag=True, help="Copies turned by quarters, too.")
@as_json
@client_command
async def similar(
    server: Server, /, *, what: str, max_distance: int, mirror: bool, rotate: bool, json_: bool
) -> None:
    """Find what looks like a media, by its id, or like a picture in a file, which is looked at and not kept.

    The nearest come first, and only what you may see.
    """
    file = _file(what)
    wanted = [name for name, asked in (("mirror", mirror), ("rotate", rotate)) if asked]
    query = [("max_distance", str(max_distance)), ("transforms", ",".join(wanted))]
    async with connected(server) as client:
        if file is not None:
            found = await _like_file(client, file, query)
        else:
            found = await client.ask("GET", f"{_path(what)}/similar", query)
    if json_:
        print_json(found)
        return
    table = Table("distance", "label", "lies", "id", "owner", "name")
    for one in found["items"]:
        table.add_row(*row(one))
    print_table(table)


def _file(what: str) -> Path | None:
    file = Path(what)
    return file if file.is_file() else None


def _path(what: str) -> str:
    try:
        return media_path(what)
    except Invalid as error:
        raise Invalid(f"{error.detail} Nor is there a file {what[:200]!r}.") from error


async def _like_file(client: Client, file: Path, query: Query) -> Answer:
    """Sent once: who is told that there is too much to do may ask again."""
    form = aiohttp.FormData()
    try:
        form.add_field("file", file.open("rb"), filename=display_name(file.name))
    except OSError as error:
        raise Invalid(f"{str(file)[:200]!r} cannot be read: {error.strerror}.") from error
    address = client.address("/v1/media/similar", [*query, ("limit", "50")])
    async with client.request("POST", address, data=form) as answer:
        text = await answer.read()
    try:
        return msgspec.json.decode(text, type=Answer)
    except msgspec.DecodeError as error:
        raise Unreachable(f"{client.server.url} answers, but not as Tripod does: no JSON.") from error


def row(one: Answer) -> tuple[str, ...]:
    """What a table shows of a neighbour; texts of others without meaning anything to the terminal."""
    media = one["media"]
    plain = (one["distance"], one["label"].replace("_", " "), one["transform"].replace("_", " ").replace("none", ""),
             media["public_id"], media["owner"], media["filename"])  # fmt: skip
    return tuple(escape(printable(str(value))) for value in plain)
