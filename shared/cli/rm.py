"""`tripod rm`: delete media, each answering for itself."""

import sys

import click

from shared.cli.client import Client, connected
from shared.cli.failures import Refused, problem_of
from shared.cli.frame import as_json, print_json, said
from shared.cli.refs import media_path
from shared.cli.server import Server, client_command
from shared.errors import Invalid, TripodError


@click.command()
@click.argument("refs", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@client_command
async def rm(server: Server, /, *, refs: tuple[str, ...], yes: bool, json_: bool) -> None:
    """Delete media by id. Their files, variants and metadata go with them, and nothing brings them back.

    Exit codes: 0 all are deleted, 1 some are not.
    """
    paths = {ref: media_path(ref) for ref in dict.fromkeys(refs)}
    confirm(f"Delete {', '.join(paths)} for good?", yes=yes)
    results = []
    async with connected(server) as client:
        for ref, path in paths.items():
            problem = await _remove(client, path)
            results.append({"ref": ref, "deleted": problem is None, "problem": problem})
            if not json_ and problem is None:
                click.echo(f"{ref}: deleted")
            elif not json_ and problem is not None:
                said(f"{ref}: {problem['detail']}")
    if json_:
        print_json({"results": results})
    if not all(result["deleted"] for result in results):
        sys.exit(1)


async def _remove(client: Client, path: str) -> dict[str, object] | None:
    """Why it is not deleted; None where it is. Raises what concerns the others as well."""
    try:
        await client.ask("DELETE", path)
    except Refused as error:
        if error.answered == 401:
            raise
        return problem_of(error)
    return None


def confirm(question: str, *, yes: bool) -> None:
    """Goes on with a yes; raises Invalid where nobody can be asked, and TripodError for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid("Nobody can be asked here; --yes deletes without asking.")
    if not click.confirm(question, err=True):
        raise Declined("Nothing was deleted.")


class Declined(TripodError):
    """The person said no."""

    code = "declined"
    title = "Declined"
