"""`tripod ls`: what is there, newest first."""

from typing import get_args

import click
from rich.markup import escape
from rich.table import Table

from shared.cli.bars import size
from shared.cli.client import Media, connected
from shared.cli.frame import as_json, print_json, print_table, printable
from shared.cli.server import Server, client_command
from shared.cli.upload import entity_of
from shared.events.messages import MediaType
from shared.media import Status


@click.command()
@click.option("--type", "media_type", type=click.Choice(get_args(MediaType)))
@click.option("--status", type=click.Choice(get_args(Status)))
@click.option("--entity", help="What hangs on it, as TYPE/ID.")
@click.option("--owner", help="Of this user.")
@click.option("--mine", is_flag=True, help="Of you.")
@click.option("--public/--private", "public", default=None)
@click.option("--sha256", help="With these bytes.")
@click.option("--oldest", is_flag=True, help="The oldest first.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="At most so many; 0 is all."
)
@as_json
@client_command
async def ls(
    server: Server,
    /,
    *,
    media_type: str | None,
    status: str | None,
    entity: str | None,
    owner: str | None,
    mine: bool,
    public: bool | None,
    sha256: str | None,
    oldest: bool,
    limit: int,
    json_: bool,
) -> None:
    """List what you may see."""
    entity_type, entity_id = entity_of(entity) if entity is not None else (None, None)
    filters = {
        "media_type": media_type,
        "status": status,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "owner": server.sub if mine else owner,
        "is_public": None if public is None else str(public).lower(),
        "sha256": sha256,
        "sort": "created_at" if oldest else None,
    }
    query = [(name, value) for name, value in filters.items() if value is not None]
    async with connected(server) as client:
        found = [media async for media in client.pages(query, limit or None)]
    if json_:
        print_json(found)
        return
    table = Table("id", "created at", "status", "type", "size", "owner", "name")
    for media in found:
        table.add_row(*row(media))
    print_table(table)


def row(media: Media) -> tuple[str, ...]:
    """What a table shows of a media; texts of others as they are, without meaning anything to the terminal."""
    error = media.get("error")
    status = f"{media['status']}: {error['code']}" if error else media["status"]
    plain = (
        media["public_id"], media["created_at"][:19].replace("T", " "), status, media["mime_type"],
        size(media["size"]), media["owner"], media["filename"],
    )  # fmt: skip
    return tuple(escape(printable(str(value))) for value in plain)
