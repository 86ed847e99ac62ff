"""`tripod upload`: files and folders into the system, each once."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from shared.cli.bars import bars, size
from shared.cli.batch import Result, Run, shown
from shared.cli.choosing import Choice, Chosen, chosen
from shared.cli.client import Client, connected
from shared.cli.failures import Refused
from shared.cli.frame import INTERRUPTED, as_json, print_json, said
from shared.cli.retries import Patience
from shared.cli.sending import Wish
from shared.cli.server import Server, client_command
from shared.cli.tally import Summary, Tally
from shared.errors import Invalid

_OURS = {"jobs", "include", "exclude", "hidden", "again", "retries"}


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", help="The rule set to upload under.")
@click.option("--entity", help="What the files hang on, as TYPE/ID: post/7.")
@click.option("--field", help="Which field of the entity: avatar.")
@click.option("--tag", "tags", multiple=True, help="May be repeated.")
@click.option("--caption")
@click.option("--description")
@click.option("--alt-text")
@click.option("--public/--private", "public", default=None, help="Unless given, as the profile has it.")
@click.option("--metadata", help="A JSON object of your own; @FILE reads it from a file.")
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Of folders only such files: '*.jpg'. May be repeated."
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Of folders no such files. May be repeated.")
@click.option("--hidden", is_flag=True, help="Of folders also what begins with a dot.")
@click.option("--again", is_flag=True, help="Send also what is there already.")
@click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Files at a time.")
@click.option("--retries", type=click.IntRange(0, 100), default=7, show_default=True, help="Of one file.")
@as_json
@client_command
async def upload(server: Server, /, *, paths: tuple[Path, ...], json_: bool, **given: Any) -> None:
    """Upload files, and folders with all that is below them.

    What you uploaded before is not sent again: it is known by its bytes. So a run that broke off is started again as
    it was, and goes on where it ended. Exit codes: 0 all there, 1 some are not, 130 interrupted.
    """
    ours = {name: given.pop(name) for name in _OURS}
    wish = Wish(
        options=options_of(**given), again=ours["again"], patience=Patience(attempts=ours["retries"] + 1)
    )
    found = chosen(paths, Choice(include=ours["include"], exclude=ours["exclude"], hidden=ours["hidden"]))
    async with connected(server, connections=ours["jobs"] + 2) as client:
        await _run(client, wish, found, jobs=ours["jobs"], json_=json_)


async def _greet(client: Client) -> None:
    """Tells before anything is read that there is no server, or no right to ask it. Raises Unreachable and Refused."""
    owner = client.server.sub
    try:
        await client.ask("GET", "/v1/media", [("owner", owner), ("limit", "1")])
    except Refused as error:
        if error.answered < 500:  # without a catalog uploads go on
            raise


async def _run(client: Client, wish: Wish, found: Chosen, *, jobs: int, json_: bool) -> None:
    """Raises SystemExit with the exit code unless all are there, and what concerns the run as a whole."""
    interrupted = False
    with bars(len(found.files), shown=not json_) as watcher:
        tally = Tally({shown(path): _size(path) for path in found.files}, watcher)
        run = Run(client, wish, found.files, tally, said, faults=found.faults)
        try:
            if found.files:
                await _greet(client)
            await run.go(jobs)
        except asyncio.CancelledError:
            interrupted = True
    results, summary = run.results(), run.summary()
    if json_:
        print_json(msgspec.structs.asdict(summary) | {"files": results})
    else:
        tell(results, summary)
    if interrupted:
        sys.exit(INTERRUPTED)
    if summary.failed or summary.not_tried:
        sys.exit(1)


def tell(results: list[Result], summary: Summary) -> None:
    """One line for each file, then one for all."""
    for result in results:
        if result.media is not None:
            there = "is there already as " if result.outcome == "skipped" else ""
            said_of = f"{there}{result.media['public_id']}"
            if result.outcome == "skipped" and result.media.get("status") == "failed":
                said_of += ", which failed in processing"
            click.echo(f"{result.path}: {said_of}")
    untried = [result for result in results if result.outcome == "not_tried"]
    if untried:
        said(f"{untried[0].detail}")
    counts = {"uploaded": summary.uploaded, "there already": summary.skipped, "failed": summary.failed,
              "not tried": summary.not_tried}  # fmt: skip
    line = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    rate = summary.bytes / summary.seconds if summary.seconds else 0
    sent = f"{size(summary.bytes)} in {summary.seconds:.1f} s, {size(round(rate))}/s"
    said(f"{line}; {sent}" if summary.bytes else line)


def options_of(
    *,
    profile: str | None = None,
    entity: str | None = None,
    field: str | None = None,
    tags: tuple[str, ...] = (),
    caption: str | None = None,
    description: str | None = None,
    alt_text: str | None = None,
    public: bool | None = None,
    metadata: str | None = None,
) -> tuple[tuple[str, str], ...]:
    """The query of a raw upload. Raises Invalid for an entity or metadata that cannot be read; all else is the server's
    to judge."""
    entity_type, entity_id = entity_of(entity) if entity is not None else (None, None)
    if field is not None and entity is None:
        raise Invalid("--field is of an entity; --entity TYPE/ID is missing.")
    single = {
        "profile": profile,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "entity_field": field,
        "caption": caption,
        "description": description,
        "alt_text": alt_text,
        "is_public": None if public is None else str(public).lower(),
        "metadata": None if metadata is None else _metadata(metadata),
    }
    return (*((name, value) for name, value in single.items() if value), *(("tags", tag) for tag in tags))


def entity_of(text: str) -> tuple[str, str]:
    """Of TYPE/ID. Raises Invalid."""
    entity_type, slash, entity_id = text.partition("/")
    if not (slash and entity_type and entity_id):
        raise Invalid(f"An entity is named as TYPE/ID, post/7 for example; {text[:80]!r} is not.")
    return entity_type, entity_id


def _metadata(text: str) -> str:
    """JSON without spaces, so that it fits into an address."""
    try:
        found = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        value = msgspec.json.decode(found, type=dict[str, Any])
    except OSError as error:
        raise Invalid(f"--metadata {text[:80]!r} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid(f"--metadata is no JSON object: {error}.") from error
    return msgspec.json.encode(value).decode()


def _size(path: Path) -> int:
    """0 for what cannot be asked: reading it will say why."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
