"""The commands of `python -m deploy`."""

import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from deploy.config import Ports, StackConfig
from deploy.demo import play
from deploy.demo_view import show
from deploy.errors import StackError
from deploy.operate import operator_environment
from deploy.routes import nginx_map
from deploy.run import run_until_stopped
from deploy.services import PROJECT

DEFAULT = Ports()


class Said(click.ClickException):
    """An error whose text says everything; click prints it without a traceback."""

    def show(self, file: object = None) -> None:  # noqa: ARG002 -- click's signature
        Console(stderr=True).print(f"[bold red]stopped:[/] {self.message}", highlight=False, soft_wrap=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Tripod on this machine: real servers from wheels, no containers, no system packages."""


@main.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=PROJECT / "data", help="Data folder."
)
@click.option("--port", default=DEFAULT.origin, help="Port of the origin, where clients go; 0 for any.")
@click.option("--processor-port", default=DEFAULT.processor, help="Health and metrics of the processor.")
@click.option("--metrics-port", default=DEFAULT.metrics, help="Metrics of ingest and catalog.")
@click.option("--nats-port", default=DEFAULT.nats, help="The broker.")
@click.option("--s3-port", default=DEFAULT.s3, help="The object store.")
@click.option("--postgres-port", default=DEFAULT.postgres, help="The database.")
@click.option("--ingest-port", default=DEFAULT.ingest, help="Ingest, with --separate.")
@click.option("--catalog-port", default=DEFAULT.catalog, help="Catalog, with --separate.")
@click.option("--separate", is_flag=True, help="Ingest and catalog as processes of their own.")
@click.option(
    "--servers-only", is_flag=True, help="PostgreSQL, NATS and S3 only; prints the services' environment."
)
def run(data: Path, separate: bool, servers_only: bool, port: int, **ports: int) -> None:  # noqa: FBT001 -- click's way
    """Start everything and stay until Ctrl-C."""
    wanted = Ports(origin=port, **{name.removesuffix("_port"): value for name, value in ports.items()})
    config = StackConfig(data=data, ports=wanted, separate=separate, services=not servers_only, seed=True)
    try:
        run_until_stopped(config, Console())
    except StackError as error:
        raise Said(str(error)) from error
    sys.exit(0)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=PROJECT / "data", help="Data folder."
)
@click.option("--timeout", default=120.0, help="Seconds to wait for the processing of one file.")
@click.option(
    "--json", "as_json", is_flag=True, help="For machines: everything that was seen, as one JSON document."
)
def demo(file: Path | None, data: Path, timeout: float, as_json: bool) -> None:  # noqa: FBT001 -- click's way
    """Send FILE (or a picture made here) through the running stack, or through a temporary one.

    The exit status is 0 when it became ready and its smaller copy was recognised, else 1.
    """
    console = Console(stderr=as_json)
    try:
        with console.status("looking for a stack") as status:
            story = play(file, data, timeout, status.update)
    except StackError as error:
        raise Said(str(error)) from error
    if as_json:
        seen = msgspec.to_builtins(story) | {"ok": story.fault is None, "fault": story.fault}
        click.echo(msgspec.json.format(msgspec.json.encode(seen)))
    else:
        show(story, console)
    sys.exit(0 if story.fault is None else 1)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=PROJECT / "data", help="Data folder."
)
def tripod(arguments: tuple[str, ...], data: Path) -> None:
    """Run `tripod ARGUMENTS` with the environment of the stack that runs on the data folder."""
    try:
        environment = operator_environment(data)
    except StackError as error:
        raise Said(str(error)) from error
    os.execve(sys.executable, [sys.executable, "-m", "shared.cli", *arguments], environment)  # noqa: S606 -- ours


@main.command()
def nginx() -> None:
    """Print the nginx map that is made from the route table."""
    click.echo(nginx_map(), nl=False)
