"""`tripod recount`: the tallies held against the rows."""

import os
import sys

import click
from rich.table import Table

from services.catalog import counters
from services.catalog.database import Database, DatabaseSettings
from shared.cli.frame import as_json, print_json, print_table
from shared.cli.frame import command as asynchronous
from shared.env import Env
from shared.errors import Conflict


@click.command()
@click.option("--dry-run", is_flag=True, help="Say where they differ, and change nothing.")
@as_json
@asynchronous
async def command(*, dry_run: bool, json_: bool) -> None:
    """Count every row, and mend the statistics where they differ.

    They are kept with the rows, so they should not: 1 is the exit status where they did. Work may go on meanwhile.
    Needs the environment of a catalog.
    """
    env = Env(os.environ)
    settings = DatabaseSettings.from_env(env)
    env.check()
    database = Database(settings)
    try:
        found = await counters.recount(database, repair=not dry_run)
    except counters.Busy:
        raise Conflict("Another process counts at this moment; try again.") from None
    finally:
        await database.close()
    if json_:
        print_json(found)
    else:
        show(found, dry_run=dry_run)
    if found:
        sys.exit(1)


def show(found: list[counters.Difference], *, dry_run: bool) -> None:
    """Each difference, and what became of it."""
    if not found:
        click.echo("The statistics are those of the rows.")
        return
    table = Table(title="a dry run: nothing is changed" if dry_run else "what was mended")
    for name in ("tally", "of", "objects", "bytes", "variants", "their bytes"):
        table.add_column(name)
    for one in found:
        of = ", ".join(f"{name} {value}" for name, value in one.key.items() if value)
        amounts = (one.objects, one.bytes, one.variants, one.variant_bytes)
        table.add_row(one.table, of, *(f"{amount:+}" for amount in amounts))
    print_table(table)
