"""The connection to PostgreSQL, and the one edge where its failures become ours."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg
from sqlalchemy import BigInteger, Integer, bindparam, exc, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.catalog.row_security import restrict
from shared.auth import Caller
from shared.env import Env
from shared.errors import Unavailable

CONNECT_SECONDS = 5
_DATABASE = "postgresql+psycopg://tripod@127.0.0.1:5432/tripod"
_QUERY_MS = 15_000
_LOCKS = int.from_bytes(b"trip")  # the first half of our advisory locks, apart from those of media
_NOT_MIGRATED = {"42P01", "42703"}  # undefined table, undefined column: a migration is still to run
_DRIVERS = (psycopg.OperationalError, psycopg.InterfaceError)  # from below SQLAlchemy, see `row_security`
_LOCK = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))
_LOCK_SHARED = select(func.pg_advisory_xact_lock_shared(bindparam("key", type_=BigInteger)))
_LOCK_ALL = text("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(CAST(:keys AS bigint[])) AS key")
_LOCK_UPLOADS = text(  # in this order: who waits for the leaving of an owner keeps nobody from a media
    "SELECT (SELECT count(pg_advisory_xact_lock_shared(key)) FROM unnest(CAST(:owners AS bigint[])) AS key),"
    " (SELECT count(pg_advisory_xact_lock(key)) FROM unnest(CAST(:keys AS bigint[])) AS key)"
)
_TRY_LOCK = select(func.pg_try_advisory_xact_lock(_LOCKS, bindparam("number", type_=Integer)))
RELAY, ERASER, RECONCILER, JANITOR, ANNOUNCER, CLEANER, COUNTER, REGISTRAR, LINKER = range(1, 10)
"""The jobs of `try_lock`."""


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rows are; `pool` is how many connections one process keeps at most."""

    url: str = _DATABASE
    pool: int = 10

    @classmethod
    def from_env(cls, env: Env) -> "DatabaseSettings":
        url = env.text("TRIPOD_DATABASE_URL", _DATABASE)
        if not url.startswith("postgresql+psycopg://"):
            # The value may hold a password, so it is not repeated.
            env.complain(
                "TRIPOD_DATABASE_URL", "(hidden)", "postgresql+psycopg://user:password@host:port/name"
            )
        return cls(url=url, pool=env.integer("TRIPOD_DATABASE_POOL", 10, least=2, most=200))


class Database:
    """A pool of connections. Nothing connects before the first use."""

    def __init__(self, settings: DatabaseSettings, *, options: str = "") -> None:
        """`options`: for every session, behind those that all have."""
        self.engine: AsyncEngine = create_async_engine(
            settings.url,
            pool_size=settings.pool,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            hide_parameters=True,  # errors are logged and kept as dead letters; values are people's
            pool_pre_ping=True,  # a restart of the server costs no request
            connect_args=connect_args(options),
        )
        self.written = asyncio.Event()
        self.registered = asyncio.Event()
        """Set after each commit of `writing`, and of one that changed an entity: the relay need not wait for its next
        look."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements each see what is committed, all of it: for the catalog itself, never for an
        answer to a caller. Raises Unavailable."""
        async with translated(), self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def reading_for(
        self, caller: Caller | None, *, linked: uuid.UUID | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """The same, and no row is there that the caller may not see, whatever is asked. Without a caller a signed link
        to the media `linked` has given the right. Raises Unavailable."""
        async with translated(), self.engine.connect() as connection:
            await restrict(connection, caller, linked=linked)
            yield connection

    @asynccontextmanager
    async def writing(self, *, tell: bool = True, entity: bool = False) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block. Raises Unavailable: then, when it happens at
        the commit, the outcome is unknown. `tell`: the relay has something to do afterwards; `entity`: also for the
        registry."""
        async with translated(), self.engine.begin() as connection:
            yield connection
        if tell:
            self.written.set()
        if entity:
            self.registered.set()

    async def close(self) -> None:
        await self.engine.dispose()


def connect_args(more: str = "") -> dict[str, Any]:
    """How every session is set up, that of migrations included."""
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "tripod-catalog",
        "options": f"-c TimeZone=UTC -c statement_timeout={_QUERY_MS} -c lock_timeout={_QUERY_MS} {more}",
    }


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Failures of the database, as opposed to faults of a statement, come out as Unavailable."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, *_DRIVERS) as error:
        raise Unavailable("The database does not answer.", retry_after=2) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlstate", "") in _NOT_MIGRATED:
            raise Unavailable("The database is not ready.", retry_after=2) from error
        raise


async def lock_media(connection: AsyncConnection, media_id: Any) -> None:
    """Until the end of the transaction nobody else changes this media, whether it has a row yet or not.

    All changes of one media are thus one after the other, and so are the positions of its outbox rows.
    """
    await connection.execute(_LOCK, {"key": _lock_key(media_id.bytes)})


async def lock_all_media(connection: AsyncConnection, media_ids: Iterable[uuid.UUID]) -> None:
    """`lock_media` of each, in the order that all keep who lock several."""
    keys = [_lock_key(media_id.bytes) for media_id in sorted(media_ids)]
    await connection.execute(_LOCK_ALL, {"keys": keys})


async def lock_uploads(
    connection: AsyncConnection, media_ids: Iterable[uuid.UUID], owners: Iterable[str]
) -> None:
    """`lock_all_media`, and until the end of the transaction none of the owners leaves."""
    keys = [_lock_key(media_id.bytes) for media_id in sorted(media_ids)]
    theirs = [_lock_key(f"user {owner}".encode()) for owner in sorted(set(owners))]
    await connection.execute(_LOCK_UPLOADS, {"owners": theirs, "keys": keys})


async def lock_owner(connection: AsyncConnection, owner: str) -> None:
    """Return when no upload of this owner is being taken in; until the end of the transaction none is."""
    await lock_text(connection, f"user {owner}")


async def lock_text(connection: AsyncConnection, name: str, *, shared: bool = False) -> None:
    """As `lock_media`, for whatever else has a name. Any number hold it `shared`, while nobody holds it alone."""
    await connection.execute(_LOCK_SHARED if shared else _LOCK, {"key": _lock_key(name.encode())})


async def try_lock(connection: AsyncConnection, number: int) -> bool:
    """Whether this transaction is the one that does a job meant for one process at a time."""
    return bool(await connection.scalar(_TRY_LOCK, {"number": number}))


def _lock_key(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), signed=True)
