"""`tripod`: the command line of operators and clients. Tables for people, `--json` for machines."""

from importlib.metadata import entry_points

import click

from shared.cli.dead_letters import dead_letters
from shared.cli.token import token

COMMANDS = "tripod.commands"
"""The entry point group by which a service adds its commands: they are there where its extra is installed."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tripod")
def main() -> None:
    """Operate Tripod. Settings come from TRIPOD_... environment variables, as for the services."""


main.add_command(dead_letters)
main.add_command(token)
for _found in entry_points(group=COMMANDS):
    main.add_command(_found.load(), _found.name)
