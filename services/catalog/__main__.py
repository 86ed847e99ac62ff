"""Runs the catalog alone, brings its database up to date, or fills an empty one with what the broker has kept:
`python -m services.catalog [migrate|rebuild]`."""

import asyncio
import os
import sys

from sqlalchemy.exc import SQLAlchemyError

from services.catalog.database import DatabaseSettings
from services.catalog.migrate import migrate
from shared import log
from shared.env import Env
from shared.errors import SettingsError, TripodError


def main(arguments: list[str]) -> int:
    """The exit status. Wrong settings and a failed migration are told in one line."""
    work = {(): _serve, ("migrate",): _migrate, ("rebuild",): _rebuild}.get(tuple(arguments))
    if work is None:
        sys.stderr.write("usage: python -m services.catalog [migrate|rebuild]\n")
        return 2
    try:
        return work()
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2


def _migrate() -> int:
    env = Env(os.environ)
    database = DatabaseSettings.from_env(env)
    logs = log.LogSettings.from_env(env)
    env.check()
    log.configure(logs, "catalog")
    try:
        migrate(database.url)
    except SQLAlchemyError as error:
        sys.stderr.write(f"The migration failed: {error}\n")
        return 1
    return 0


def _rebuild() -> int:
    from services.catalog.parts import with_parts  # noqa: PLC0415
    from services.catalog.rebuild import rebuild  # noqa: PLC0415
    from services.catalog.settings import single  # noqa: PLC0415
    from shared.cli.frame import telling  # noqa: PLC0415
    from shared.profiles import load  # noqa: PLC0415

    log.configure(log.LogSettings(level="warning", format="console"), "catalog")
    try:
        replacing = single(load(Env(os.environ)))
        with telling() as tell:
            made = asyncio.run(with_parts(lambda database, bus, _: rebuild(database, bus, tell, replacing)))
    except TripodError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(
        f"{made.events} events became {made.media} media, {made.tombstones} tombstones and {made.entities} entities.\n"
    )
    return 0


def _serve() -> int:
    # Imported here, so that a migration needs neither the broker's client nor the HTTP framework.
    from services.catalog.app import create_app  # noqa: PLC0415
    from services.catalog.settings import CatalogSettings  # noqa: PLC0415
    from shared import failpoints  # noqa: PLC0415
    from shared.runtime import serve  # noqa: PLC0415

    settings = CatalogSettings.from_env(os.environ)
    failpoints.arm(os.environ)
    log.configure(settings.log, "catalog")
    serve(create_app(settings), settings.http)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
