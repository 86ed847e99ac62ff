"""`tripod reconcile`: one run of the janitor."""

import os
import sys
from datetime import timedelta

import click
from rich.table import Table

from services.catalog.database import Database
from services.catalog.failed import Ages
from services.catalog.janitor import Tidied, tidy
from services.catalog.parts import with_parts
from services.catalog.settings import cascading
from shared.cli.frame import as_json, print_json, print_table, telling
from shared.cli.frame import command as asynchronous
from shared.env import Env
from shared.events.bus import Bus
from shared.http import HttpSettings
from shared.ids import public_id
from shared.profiles import load
from shared.storage.blobs import Blobs

LONGEST_SECONDS = 10 * 366 * 86_400


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--grace",
    type=click.IntRange(0, LONGEST_SECONDS),
    default=86_400,
    show_default=True,
    help="Seconds for which an object that no row names is left alone: work under way may still name it.",
)
@click.option(
    "--stale",
    type=click.IntRange(0, LONGEST_SECONDS),
    default=900,
    show_default=True,
    help="Seconds without a result after which a media is handed to the processor again.",
)
@as_json
@asynchronous
async def command(*, dry_run: bool, grace: int, stale: int, json_: bool) -> None:
    """Erase objects that no row names, have made again what rows miss, and delete what failed long ago.

    One at a time: a second one says so and ends with status 1, and so does a run that finds a media whose original is
    gone, which a person should hear of. Ingest and processor must run, for they erase what they wrote. Needs the
    environment of a catalog.
    """
    env = Env(os.environ)
    profiles = load(env)
    base_url, going = HttpSettings.from_env(env, port=8002).base_url, cascading(profiles)
    ages = Ages.from_env(env, profiles)
    env.check()

    async def work(database: Database, bus: Bus, blobs: Blobs) -> Tidied:
        with telling() as tell:
            return await tidy(
                database,
                bus,
                blobs,
                tell,
                grace=timedelta(seconds=grace),
                stale=timedelta(seconds=stale),
                base_url=base_url,
                ages=ages,
                cascading=going,
                dry_run=dry_run,
            )

    done = await with_parts(work)
    if json_:
        print_json(done)
    else:
        show(done)
    if done.lost:
        sys.exit(1)


def show(done: Tidied) -> None:
    """What was done, in numbers, and the names of what needs a person."""
    table = Table(
        title="a dry run: nothing is changed" if done.dry_run else "what was done", show_header=False
    )
    table.add_row("objects that no row names, erased", str(len(done.erased)))
    table.add_row("uploads that nobody will finish, their parts removed", str(len(done.aborted)))
    table.add_row("the same but younger than --grace, left", str(done.young))
    table.add_row("media whose rows of variants were lost or altered, made again", str(len(done.restored)))
    table.add_row("media handed to the processor again, variants missing", str(len(done.reprocessed)))
    table.add_row("media handed to the processor again, no result", str(done.announced))
    table.add_row("media taken off deleted entities", str(done.detached))
    table.add_row("media of users who have left", str(done.departed))
    table.add_row("media that failed long ago, deleted", str(len(done.failed)))
    table.add_row("uploads begun and not ended, left to ingest", str(done.begun))
    table.add_row("of these begun before --stale: does ingest run?", str(len(done.stuck)))
    table.add_row("media whose original is gone", str(len(done.lost)))
    print_table(table)
    for media_id in done.lost:
        click.echo(f"{public_id(media_id)}: its original is gone; only a backup can bring it back", err=True)
