"""`tripod get`: an original or a variant, checked to its last byte; what broke off goes on where it ended."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from shared.cli.bars import bars
from shared.cli.client import Client, Media, connected
from shared.cli.download import Part, Wanted, fetch
from shared.cli.frame import as_json, print_json, said
from shared.cli.refs import media_path
from shared.cli.retries import Patience, retrying
from shared.cli.server import Server, client_command
from shared.cli.tally import Tally
from shared.errors import Conflict, Invalid
from shared.names import display_name


@click.command()
@click.argument("ref")
@click.option("-o", "--output", metavar="FILE", help="Where to; a folder, or - for the standard output. Unless given, "
              "the name of the media, here.")  # fmt: skip
@click.option("--variant", metavar="NAME", help="A variant instead of the original: thumbnail, webp, ...")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--retries", type=click.IntRange(0, 100), default=7, show_default=True)
@as_json
@client_command
async def get(
    server: Server,
    /,
    *,
    ref: str,
    output: str | None,
    variant: str | None,
    force: bool,
    retries: int,
    json_: bool,
) -> None:
    """Download a media by its id.

    The bytes go to FILE.part and become FILE when all of them are there and are those that were uploaded. Called again
    after it broke off, it goes on where it ended.
    """
    path = media_path(ref)
    if output == "-" and json_:
        raise Invalid("--json and the bytes cannot both go to the standard output.")
    patience = Patience(attempts=retries + 1)
    async with connected(server) as client:
        media = await _media(client, path, variant, patience)
        wanted = _wanted(media, path, variant)
        part = Part(None if output == "-" else _place(output, wanted, force=force))
        with bars(1, shown=not json_) as watcher:
            tally = Tally({wanted.name: wanted.size}, watcher)
            await _fetch_all(client, wanted, part, tally, patience)
    if json_:
        print_json({"path": str(part.target), "size": wanted.size, "sha256": part.sha256, "id": media["id"]})
    elif part.target is not None:
        click.echo(f"{part.target}: {wanted.size} bytes")


async def _fetch_all(client: Client, wanted: Wanted, part: Part, tally: Tally, patience: Patience) -> None:
    def note(error: BaseException, seconds: float) -> None:
        said(f"{getattr(error, 'detail', error)} Going on in {seconds:.1f} s.")

    with part.opened(resume=wanted.sha256 is not None):
        await retrying(patience, note)(fetch, client, wanted, part, tally.meter(wanted.name))
        if part.resumed and not part.is_right(wanted):  # what was left here was of another file
            await retrying(patience, note)(fetch, client, wanted, part, tally.meter(wanted.name))
        tally.stored(wanted.name)
        part.finish(wanted)


async def _media(client: Client, path: str, variant: str | None, patience: Patience) -> Media:
    """With the variant in it, if there is to be one: the server is asked until it is made."""
    media: Media = await client.ask("GET", path)
    missing = variant is not None and all(v["name"] != variant for v in media["variants"])
    if missing and media["status"] == "processing":
        await client.ask("HEAD", f"{path}/variants/{quote(str(variant), safe='')}", patience=patience)
        media = await client.ask("GET", path)
    return media


def _wanted(media: Media, path: str, variant: str | None) -> Wanted:
    """Raises Invalid for a variant that is not there."""
    if variant is None:
        name = display_name(media["filename"])
        return Wanted(path=f"{path}/download", name=name, size=media["size"], sha256=media["sha256"])
    found: dict[str, Any] | None = next((v for v in media["variants"] if v["name"] == variant), None)
    if found is None:
        there = ", ".join(v["name"] for v in media["variants"]) or "none"
        raise Invalid(
            f"{media['public_id']} is {media['status']} and has no variant {variant[:64]!r}; there are: {there}."
        )
    stem = display_name(media["filename"]).rpartition(".")[0] or display_name(media["filename"])
    kind = found["mime_type"].partition("/")[2].replace("jpeg", "jpg").partition("+")[0]
    return Wanted(
        path=f"{path}/variants/{variant}",
        name=display_name(f"{stem}-{variant}.{kind}"),
        size=found["size"],
        sha256=None,
    )


def _place(output: str | None, wanted: Wanted, *, force: bool) -> Path:
    """Raises Conflict where a file is there, Invalid where none can be."""
    target = Path(output) if output else Path(wanted.name)
    if target.is_dir():
        target /= wanted.name
    if target.exists() and not force:
        raise Conflict(f"{os.fspath(target)!r} is there already; --force replaces it.")
    if not target.parent.is_dir():
        raise Invalid(f"There is no folder {os.fspath(target.parent)!r}.")
    return target
