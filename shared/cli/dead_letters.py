"""`tripod dead-letters`: list, replay and drop the events that a consumer gave up on."""

import click
import msgspec
from rich.table import Table

from shared.cli.broker import with_bus
from shared.cli.frame import as_json, command, print_json, print_table
from shared.errors import Invalid
from shared.events import dead_letters as letters
from shared.events.bus import Bus


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that a consumer can never handle, with the reason."""


@dead_letters.command("list")
@as_json
@command
async def list_(*, json_: bool) -> None:
    """Every letter, oldest first. The number in front is what `replay` and `drop` take."""
    found = await with_bus(letters.list_all)
    if json_:
        print_json([{"sequence": f.sequence, **_members(f.letter)} for f in found])
        return
    if not found:
        click.echo("There are no dead letters.")
        return
    table = Table("number", "died at", "consumer", "subject", "attempts", "code", "error")
    for listed in found:
        letter = listed.letter
        table.add_row(
            str(listed.sequence), f"{letter.died_at:%Y-%m-%d %H:%M:%S}", letter.durable, letter.subject,
            str(letter.attempts), letter.code, letters.summary(letter.error)[:200],
        )  # fmt: skip
    print_table(table)


@dead_letters.command()
@click.argument("numbers", nargs=-1, type=int)
@click.option("--all", "all_", is_flag=True, help="Replay every letter.")
@command
async def replay(*, numbers: tuple[int, ...], all_: bool) -> None:
    """Publish the events again for their consumers, and drop the letters."""
    await with_bus(lambda bus: _each(bus, numbers, all_=all_, replay_=True))


@dead_letters.command()
@click.argument("numbers", nargs=-1, type=int)
@click.option("--all", "all_", is_flag=True, help="Drop every letter.")
@command
async def drop(*, numbers: tuple[int, ...], all_: bool) -> None:
    """Erase letters for good."""
    await with_bus(lambda bus: _each(bus, numbers, all_=all_, replay_=False))


async def _each(bus: Bus, numbers: tuple[int, ...], *, all_: bool, replay_: bool) -> None:
    if bool(numbers) == all_:
        raise Invalid("Name the numbers of letters, or give --all.")
    chosen = [f.sequence for f in await letters.list_all(bus)] if all_ else numbers
    for number in chosen:
        if replay_:
            click.echo(f"{number}: published again as event {await letters.replay(bus, number)}")
        else:
            await letters.drop(bus, number)
            click.echo(f"{number}: dropped")


def _members(letter: letters.DeadLetter) -> dict[str, object]:
    """A letter with its event as text; the headers are the broker's business."""
    members = msgspec.structs.asdict(letter)
    del members["data"], members["headers"]
    return members | {"event": letter.data.decode("utf-8", "replace")}
