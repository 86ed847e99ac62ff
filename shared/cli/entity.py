"""`tripod entity`: register, show and remove the things of other systems that media hang on."""

from urllib.parse import quote

import click
from rich.markup import escape
from rich.table import Table

from shared.cli.client import connected
from shared.cli.frame import as_json, print_json, print_table, printable
from shared.cli.rm import confirm
from shared.cli.server import Server, client_command
from shared.cli.upload import entity_of


@click.group()
def entity() -> None:
    """The things of other systems that media hang on: who owns and who administers them. Needs the role service or
    admin. An entity is named as TYPE/ID, post/7 for example."""


@entity.command()
@click.argument("name", metavar="TYPE/ID")
@click.option("--owner", "owners", multiple=True, help="The `sub` of a user; may be repeated.")
@click.option("--admin", "admins", multiple=True, help="The `sub` of a user; may be repeated.")
@click.option("--display-id", help="The id that people know it by: USR-123.")
@as_json
@client_command
async def put(
    server: Server,
    /,
    *,
    name: str,
    owners: tuple[str, ...],
    admins: tuple[str, ...],
    display_id: str | None,
    json_: bool,
) -> None:
    """Create it, or replace all that is known of it."""
    body = {"owners": owners, "admins": admins, "display_id": display_id}
    async with connected(server) as client:
        _show(await client.ask("PUT", path_of(name), body=body), json_=json_)


@entity.command()
@click.argument("name", metavar="TYPE/ID")
@as_json
@client_command
async def get(server: Server, /, *, name: str, json_: bool) -> None:
    """What is known of it."""
    async with connected(server) as client:
        _show(await client.ask("GET", path_of(name)), json_=json_)


@entity.command()
@click.argument("name", metavar="TYPE/ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@client_command
async def rm(server: Server, /, *, name: str, yes: bool, json_: bool) -> None:
    """Remove it. Its media are deleted with it, or hang on nothing any more, as their profile says."""
    path = path_of(name)
    confirm(f"Remove {name}, and its media where their profile says so?", yes=yes)
    async with connected(server) as client:
        await client.ask("DELETE", path)
    if json_:
        print_json({"entity": name, "deleted": True})
    else:
        click.echo(f"{name}: removed")


def path_of(name: str) -> str:
    """The path of its address. Raises Invalid for what is not TYPE/ID."""
    return "/v1/entities/" + "/".join(quote(part, safe="") for part in entity_of(name))


def _show(found: dict[str, object], *, json_: bool) -> None:
    if json_:
        print_json(found)
        return
    table = Table(show_header=False)
    for name in ("type", "id", "display_id", "owners", "admins"):
        value = found.get(name)
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        table.add_row(name.replace("_", " "), escape(printable(text)))
    print_table(table)
