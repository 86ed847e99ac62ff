"""`tripod`: the command line of operators and clients. Tables for people, `--json` for machines."""

from importlib.metadata import entry_points

import click

from shared.cli.dead_letters import dead_letters
from shared.cli.entity import entity
from shared.cli.get import get
from shared.cli.ls import ls
from shared.cli.rm import rm
from shared.cli.token import token
from shared.cli.upload import upload
from shared.cli.watch import watch

COMMANDS = "tripod.commands"
"""The entry point group by which a service adds its commands: they are there where its extra is installed."""


class Commands(click.Group):
    """Finds the services' commands when they are asked for, so that these may import what commands share."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for found in entry_points(group=COMMANDS, name=cmd_name):
            loaded: click.Command = found.load()
            return loaded
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tripod")
def main() -> None:
    """Use and operate Tripod. Settings come from TRIPOD_... environment variables, as for the services: a client needs
    TRIPOD_URL and TRIPOD_TOKEN, an operator's commands what the services have."""


for one in (dead_letters, entity, get, ls, rm, token, upload, watch):
    main.add_command(one)
