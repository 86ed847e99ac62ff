"""`tripod search`: what has some words, the best first."""

import html
import re
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from shared.cli.client import Client, Media, connected
from shared.cli.frame import as_json, print_json, print_table, printable
from shared.cli.ls import row
from shared.cli.server import Server, client_command

_MOST = 200  # of one page
_MARKED = re.compile("<mark>(.*?)</mark>", re.DOTALL)


@click.command()
@click.argument("words", nargs=-1)
@click.option("--filter", "filter_", metavar="JSON", help="A filter, as docs/searching.md has them.")
@click.option("--sort", metavar="ORDER", help="Another order, as -created_at, size or filename.")
@click.option(
    "--limit", type=click.IntRange(0), default=20, show_default=True, help="At most so many; 0 is all."
)
@as_json
@client_command
async def search(
    server: Server,
    /,
    *,
    words: tuple[str, ...],
    filter_: str | None,
    sort: str | None,
    limit: int,
    json_: bool,
) -> None:
    """Find what you may see by its words.

    All of them must be there, in any form; '"in quotes"' as they stand, 'this or that', 'begin*', and after -- also
    -without. They are looked for in names, titles, captions, descriptions, tags, and in what documents say.
    """
    if not words and filter_ is None:
        raise click.UsageError("Say for what: some words, or --filter.")
    asked: dict[str, Any] = {"q": " ".join(words)} if words else {}
    if filter_ is not None:
        asked["filter"] = _filter(filter_)
    if sort is not None:
        asked["sort"] = sort
    async with connected(server) as client:
        found = await _found(client, asked, limit or None)
    if json_:
        print_json(found)
        return
    table = Table("id", "created at", "status", "type", "size", "owner", "name", "words")
    for one in found:
        table.add_row(*row(one["media"]), _shown(one["highlights"]))
    print_table(table)


def _filter(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--filter is no JSON: {error}") from error


async def _found(client: Client, asked: dict[str, Any], limit: int | None) -> list[dict[str, Any]]:
    """Media, and where their words stand, over as many pages as it takes."""
    found: list[dict[str, Any]] = []
    cursor = None
    while limit is None or len(found) < limit:
        most = _MOST if limit is None else min(_MOST, limit - len(found))
        body = asked | {"limit": most} | ({"cursor": cursor} if cursor else {})
        page = await client.ask("POST", "/v1/media/search", body=body)
        found += [_one(media, match) for media, match in _pairs(page)]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    return found


def _pairs(page: dict[str, Any]) -> list[tuple[Media, dict[str, Any]]]:
    matches = page.get("matches") or [{}] * len(page["items"])
    return list(zip(page["items"], matches, strict=True))


def _one(media: Media, match: dict[str, Any]) -> dict[str, Any]:
    return {"media": media, "rank": match.get("rank"), "highlights": match.get("highlights", {})}


def _shown(highlights: dict[str, list[str]]) -> str:
    """The first piece of each field but the name, which has a column; the words are bold."""
    pieces = [several[0] for name, several in highlights.items() if several and name != "filename"]
    return "\n".join(_bold(piece) for piece in pieces[:3])


def _bold(piece: str) -> str:
    parts = _MARKED.split(piece)
    plain = [escape(printable(html.unescape(part))) for part in parts]
    return "".join(f"[bold]{part}[/bold]" if number % 2 else part for number, part in enumerate(plain))
