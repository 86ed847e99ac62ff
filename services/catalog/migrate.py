"""Brings the database to the newest revision, and tells which one that is."""

from functools import cache

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from services.catalog.database import CONNECT_SECONDS
from services.catalog.row_security import ensure_reader
from shared.errors import Unavailable

log = structlog.get_logger()
_LOCK = int.from_bytes(b"migrate")


def migrate(url: str) -> str:
    """Apply what is missing; the revision reached. Two at once are harmless: the second waits, and finds nothing
    to do. Raises sqlalchemy's errors as they are: a person reads them.
    """
    engine = create_engine(
        url, connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "tripod-migrate"}
    )
    with engine.connect() as connection:
        # Of the session, not of the transaction: a revision may need to commit in between.
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        try:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            ensure_reader(connection)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    engine.dispose()
    log.info("database.migrated", revision=head())
    return head()


@cache
def head() -> str:
    """The newest revision that this code knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise Unavailable("This installation holds no migrations.")
    return found


def is_behind(revision: str | None) -> bool:
    """Whether a database at that revision lacks what this code needs. A revision that this code does not know is a
    later one, and on each this code goes on: they only add. So a catalog stays ready while the next one is rolled
    out."""
    return revision is None or (revision != head() and revision in _known())


@cache
def _known() -> frozenset[str]:
    script = ScriptDirectory.from_config(_config())
    return frozenset(found.revision for found in script.walk_revisions())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "services.catalog:migrations")
    config.set_main_option("path_separator", "os")
    return config
