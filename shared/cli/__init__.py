"""`tripod`: the command line of operators and clients. Tables for people, `--json` for machines."""

import json
import signal
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import click

COMMANDS = "tripod.commands"
"""The entry point group by which a service adds its commands: they are there where its extra is installed."""
OWN = ("dead-letters", "entity", "get", "import", "ls", "rm", "search", "similar", "token", "upload", "watch")
"""Ours: each lives in the module of its name, which is loaded when it is asked for."""
_ELSEWHERE = {"import": ("importing.command", "importing")}
"""But for those whose name no module of Python can have: the module, and its name in there."""


class Commands(click.Group):
    """Finds commands when they are asked for: a client waits for no library of another command, and services may import
    what commands share."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *OWN, *entry_points(group=COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OWN:
            module, name = _ELSEWHERE.get(cmd_name, (cmd_name.replace("-", "_"),) * 2)
            own: click.Command = getattr(import_module(f"shared.cli.{module}"), name)
            return own
        for found in entry_points(group=COMMANDS, name=cmd_name):
            loaded: click.Command = found.load()
            return loaded
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Tells wrong options as JSON too where that was asked for; click's own words and status 2 follow."""
        machine = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if machine:
                click.echo(json.dumps({"problem": {"code": "usage", "detail": error.format_message()}}))
            raise
        except KeyboardInterrupt:  # a library was being loaded: no run has begun
            sys.exit(128 + signal.SIGINT)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tripod")
def main() -> None:
    """Use and operate Tripod. Settings come from TRIPOD_... environment variables, as for the services: a client needs
    TRIPOD_URL and TRIPOD_TOKEN, an operator's commands what the services have."""
