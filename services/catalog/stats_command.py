"""`tripod stats`: how much there is, as an operator asks."""

import os

import click
from rich.table import Table

from services.catalog import statistics
from services.catalog.database import Database, DatabaseSettings
from services.catalog.statistics import Amount, Statistics
from shared.auth import Caller
from shared.cli.bars import size
from shared.cli.frame import as_json, print_json, print_table, printable
from shared.cli.frame import command as asynchronous
from shared.env import Env
from shared.errors import Invalid
from shared.http import HttpSettings

_OPERATOR = Caller(sub="tripod stats", roles=frozenset({"service"}))


@click.command()
@click.option("--owner", help="Only what this user has.")
@click.option("--entity", help="Only what hangs on this entity: type/id.")
@as_json
@asynchronous
async def command(*, owner: str | None, entity: str | None, json_: bool) -> None:
    """Tell how many media there are, by type, status, profile, entity, month and owner, with their bytes.

    From the counters that are kept with the rows: exact, and as quick for a million media as for ten. Needs the
    environment of a catalog.
    """
    kind, _, name = (entity or "").partition("/")
    if entity is not None and (owner is not None or not kind or not name):
        raise Invalid(f"--entity is {entity!r}; allowed is type/id, without --owner.", field="entity")
    env = Env(os.environ)
    settings, base_url = DatabaseSettings.from_env(env), HttpSettings.from_env(env, port=8002).base_url
    env.check()
    database = Database(settings)
    try:
        async with database.reading() as connection:
            if entity is not None:
                found = await statistics.of_entity(connection, kind, name)
            else:
                found = await statistics.of_owner(connection, _OPERATOR, owner, base_url)
    finally:
        await database.close()
    if json_:
        print_json(found)
    else:
        show(found)


def show(found: Statistics) -> None:
    """The total, then each way to take it apart; what was fetched most often at the end."""
    table = Table(title="what there is")
    for name, justify in (("", "left"), ("media", "right"), ("bytes", "right"), ("variants", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("their bytes", justify="right")
    _row(table, "all", found.total)
    for what, amounts in (
        ("type", found.by_media_type),
        ("status", found.by_status),
        ("profile", found.by_profile),
        ("entity", found.by_entity_type),
        ("month", found.by_month),
        ("owner", found.by_owner),
    ):
        if amounts:
            table.add_section()
        for name, amount in amounts.items():
            _row(table, f"{what} {name}", amount)
    print_table(table)
    if not found.top_downloads:
        return
    top = Table(title="fetched most often")
    for name in ("times", "id", "file name", "owner"):
        top.add_column(name)
    for one in found.top_downloads:
        media = one.media
        top.add_row(f"{one.downloads:,}", media.public_id, printable(media.filename), printable(media.owner))
    print_table(top)


def _row(table: Table, name: str, amount: Amount) -> None:
    table.add_row(
        printable(name),
        f"{amount.objects:,}",
        size(amount.bytes),
        f"{amount.variants:,}",
        size(amount.variant_bytes),
    )
