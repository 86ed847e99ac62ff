"""`tripod import`: the command line of an import."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import click

from shared.cli.bars import bars
from shared.cli.client import connected
from shared.cli.frame import INTERRUPTED, as_json, said
from shared.cli.importing.columns import DIALECTS
from shared.cli.importing.entities import Entities
from shared.cli.importing.export import encoding_of
from shared.cli.importing.folder import Folder
from shared.cli.importing.journal import Journal
from shared.cli.importing.progress import Progress
from shared.cli.importing.report import Summary, show, write_ids
from shared.cli.importing.run import Plan, Run, Survey
from shared.cli.importing.sending import Wish
from shared.cli.retries import Patience
from shared.cli.server import Server, client_command, server_at
from shared.errors import Invalid, TripodError

_SMALL_NUMBERS = 2**31 - 1


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("export", type=click.Path(path_type=Path))
@click.option("--dialect", type=click.Choice(DIALECTS), required=True, help="Which system it comes from.")
@click.option(
    "--map",
    "renamed",
    multiple=True,
    metavar="THEIRS=OURS",
    help="A column of another name. May be repeated.",
)
@click.option(
    "--strip", multiple=True, metavar="PREFIX", help="What paths begin with that FOLDER does not have."
)
@click.option("--owner", help="Who owns rows that name nobody.")
@click.option("--source", default="", help="A name, where two systems of one dialect are imported.")
@click.option(
    "--register-entities", "register", is_flag=True, help="Register what rows hang on, where it is unknown."
)
@click.option("--encoding", help="Of the export; else it is found out.")
@click.option("--journal", type=click.Path(path_type=Path), help="Else EXPORT.import beside the export.")
@click.option("--dry-run", is_flag=True, help="Check all, write nothing.")
@click.option(
    "--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Rows at a time."
)
@click.option("--retries", type=click.IntRange(0, 100), default=7, show_default=True, help="Of one row.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, exists=True), help="A file with the token in it."
)
@as_json
@client_command
async def importing(
    server: Server,
    /,
    *,
    folder: Path,
    export: Path,
    token_file: Path | None,
    journal: Path | None,
    dry_run: bool,
    json_: bool,
    **given: Any,
) -> None:
    """Bring an older system's media over: FOLDER has its files, EXPORT its table as CSV, a JSON list or JSON lines.

    Needs a token with the role service. Ids stay where they are free. A run that broke off is started again as it was.
    Exit codes: 0 all rows are here, 1 some are not, 130 interrupted.
    """
    if token_file is not None:
        server = server_at(server.url, await asyncio.to_thread(_token, token_file))
    _check_folder(folder)
    own = export.with_name(f"{export.name}.import")
    written = journal or own
    source = str(given["source"])
    plan = Plan(
        dialect=given["dialect"],
        export=export,
        encoding=given["encoding"] or encoding_of(export),
        renamed=_renamed(given["renamed"]),
        owner=given["owner"],
        register=given["register"],
        dry=dry_run,
    )
    if plan.encoding == "latin-1":
        said(f"{export} is not UTF-8; it is read as Latin-1. --encoding says otherwise.")
    noting = Path(":memory:") if dry_run and not written.exists() else written
    with Journal(noting, dialect=plan.dialect, source=source, url=server.url) as opened:
        async with connected(server, connections=given["concurrency"] + 2) as client:
            entities = Entities(client, register=given["register"] and not dry_run)
            wish = Wish(dialect=plan.dialect, source=source, patience=Patience(attempts=given["retries"] + 1))
            run = Run(
                client,
                plan=plan,
                wish=wish,
                folder=Folder(folder, given["strip"]),
                journal=opened,
                entities=entities,
                say=said,
            )
            ids = None if dry_run else written.with_name(f"{written.name}.ids.csv")
            await _whole(run, opened, entities, ids, jobs=given["concurrency"], json_=json_)


async def _whole(
    run: Run,
    journal: Journal,
    entities: Entities,
    ids: Path | None,
    *,
    jobs: int,
    json_: bool,
) -> None:
    """Raises SystemExit unless every row is here. `ids`: where the new ids go; None for a dry run."""
    began = time.monotonic()
    survey = await run.survey()
    if survey.highest > _SMALL_NUMBERS:
        said(
            f"The highest number of the export is {survey.highest}; every later upload gets a higher one, which "
            "clients that keep numbers in 32 bits cannot read."
        )
    if ids is not None:
        await run.make_room(survey.highest)
    stopped, interrupted = await _send(run, survey, jobs, json_=json_)
    failed = sum(1 for _ in journal.failed())
    variants, others = run.left_alone()
    summary = Summary(
        rows=survey.rows,
        imported=run.done - run.known,
        before=survey.before + run.known,
        not_taken=failed,
        not_tried=survey.rows - run.done - survey.before - failed,
        renumbered=write_ids(journal, ids) if ids is not None else run.renumbered,
        variants=variants,
        others=others,
        bytes=survey.bytes,
        seconds=round(time.monotonic() - began, 3),
        registered=len(entities.registered),
        dry_run=ids is None,
        ids=None if ids is None else str(ids),
    )
    show(summary, journal, json_=json_)
    if interrupted:
        sys.exit(INTERRUPTED)
    if stopped is not None:
        said(stopped.detail)
    if summary.not_tried > 0 and stopped is None:
        said(
            f"{summary.not_tried} rows were not tried: the export has changed while it was read; start again."
        )
    if stopped is not None or failed or summary.not_tried:
        sys.exit(1)


async def _send(run: Run, survey: Survey, jobs: int, *, json_: bool) -> tuple[TripodError | None, bool]:
    """Why it ended early, and whether that was Ctrl-C."""
    stopped, interrupted = None, False
    with bars(survey.to_send, shown=not json_) as watcher:
        progress = Progress(survey.to_send, survey.bytes, watcher, said)
        try:
            stopped = await run.go(jobs, progress)
        except asyncio.CancelledError:
            interrupted = True
    if survey.to_send:
        said(progress.line())
    return stopped, interrupted


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"--token-file {path} has no token: {error}.") from error


def _check_folder(folder: Path) -> None:
    """Raises Invalid where there is none."""
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}; FOLDER is where the older system's files are.")


def _renamed(given: tuple[str, ...]) -> dict[str, str]:
    """Raises Invalid for what is not THEIRS=OURS."""
    found = {}
    for text in given:
        theirs, equals, ours = text.partition("=")
        if not (equals and theirs and ours):
            raise Invalid(f"--map is {text[:80]!r}; it looks like storage_key=storage_path.")
        found[theirs.strip().lower()] = ours.strip().lower()
    return found
