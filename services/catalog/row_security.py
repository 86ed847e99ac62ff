"""Row-level security: the restricted role that answers to callers are read under, whatever their SQL forgets.

The role owns nothing and bypasses nothing. The policies of the tables (see the migrations) decide by settings of the
transaction who reads; without a setting that is nobody, who sees what is public.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import ANONYMOUS, Caller
from shared.dialects.users import integer_id
from shared.errors import Unavailable

log = structlog.get_logger()

READER = "tripod_reader"
READABLE = (
    "media", "variants", "downloads", "entities", "tallies", "entity_tallies", "tally_changes",
    "moderation_decisions", "moderation_claims",
)  # fmt: skip
"""What the role may read at all; each has a policy."""
_NO_ROLE = {"22023", "42501"}  # it does not exist, or we may not become it
_NOBODY = "\x01"  # no token can have it as its `sub`, and no user as a number
_RESTRICT = (
    f"SELECT set_config('role', '{READER}', true), set_config('tripod.sub', %s, true),"
    " set_config('tripod.uid', %s, true), set_config('tripod.link', %s, true)"
)
# Two databases of one server may be migrated at once.
_CREATE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER}') THEN
        CREATE ROLE {READER} NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, '{READER}', 'SET') THEN
        GRANT {READER} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
END $$
"""
_STATE = text(
    "SELECT current_user AS name, role.oid IS NOT NULL AS there,"
    " coalesce(role.rolsuper OR role.rolbypassrls, false) AS above,"
    " role.oid IS NOT NULL AND pg_has_role(current_user, role.oid, 'SET') AS ours,"
    " (SELECT string_agg(t, ', ' ORDER BY t) FROM unnest(CAST(:tables AS text[])) AS t LEFT JOIN pg_class"
    "   ON pg_class.oid = to_regclass(t) WHERE (relrowsecurity AND relforcerowsecurity) IS NOT TRUE) AS bare,"
    " (SELECT string_agg(t, ', ' ORDER BY t) FROM unnest(CAST(:tables AS text[])) AS t WHERE"
    "   to_regclass(t) IS NOT NULL AND NOT has_table_privilege(role.oid, to_regclass(t), 'SELECT')) AS withheld"
    " FROM (SELECT) AS one LEFT JOIN pg_roles AS role ON role.rolname = :reader"
)
_ASKED = {"tables": list(READABLE), "reader": READER}


async def restrict(
    connection: AsyncConnection, caller: Caller | None, *, linked: uuid.UUID | None = None
) -> None:
    """From here to the end of the transaction only rows are there that the caller may see; without one, what is public
    and the media `linked`, to which a signed link has given the right. Nothing changes for those who see all. To be
    called before anything is asked. Raises Unavailable where the role is not to be had."""
    if caller is None:
        caller = ANONYMOUS
    else:
        linked = None
    if caller.sees_all:
        return
    sub = uid = _NOBODY
    if caller.sub is not None:
        sub = caller.sub
        # As `rights` has it: who is a number by the `sub` is not known by another number.
        if caller.uid is not None and integer_id(sub, None) is None:
            uid = str(caller.uid)
    _note(connection, held=True)
    driver = await _driver(connection)
    try:
        async with driver.pipeline():  # with the BEGIN: as many ways to the server as without
            await driver.execute(_RESTRICT, (sub, uid, str(linked or _NOBODY)))
    except psycopg.Error as error:
        if error.sqlstate not in _NO_ROLE:
            raise
        raise Unavailable(
            "Row-level security is not in force, without which nothing is told; /health/ready says why.",
            retry_after=60,
        ) from error


@asynccontextmanager
async def restricted(connection: AsyncConnection, caller: Caller) -> AsyncIterator[None]:
    """Within a transaction that writes: what is read here is read as this caller. Raises Unavailable."""
    await restrict(connection, caller)
    try:
        yield
    finally:
        if _is_held(connection):
            await _become(connection, "NONE")
            _note(connection, held=False)


@asynccontextmanager
async def unrestricted(connection: AsyncConnection) -> AsyncIterator[None]:
    """To find ids where the transaction is restricted: indexes serve no operator that PostgreSQL does not call
    leakproof while policies hold, as in full text, JSON and hashes. What is found is still to be read outside of it."""
    if not _is_held(connection):
        yield
        return
    await _become(connection, "NONE")
    try:
        yield
    finally:
        await _become(connection, READER)


async def _become(connection: AsyncConnection, role: str) -> None:
    """In a transaction that has failed nothing more is read, and no statement is taken."""
    driver = await _driver(connection)
    if driver.info.transaction_status != TransactionStatus.INERROR:
        await driver.execute(f"SET LOCAL ROLE {role}")


def _note(connection: AsyncConnection, *, held: bool) -> None:
    """Until the connection goes back to the pool."""
    if connection.sync_connection is not None:
        connection.sync_connection.execution_options(tripod_restricted=held)


def _is_held(connection: AsyncConnection) -> bool:
    known = connection.sync_connection
    return known is not None and bool(known.get_execution_options().get("tripod_restricted"))


async def _driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """The connection below SQLAlchemy's, by which these statements, one or more for each answer, cost half as much."""
    found = (await connection.get_raw_connection()).driver_connection
    if not isinstance(found, psycopg.AsyncConnection):
        raise TypeError(f"{type(found)} is no connection of psycopg's")
    return found


def ensure_reader(connection: Connection) -> None:
    """Make the role, and let it read, as far as this database user may. What is missing is told, here and by every
    catalog that is asked whether it is ready."""
    connection.execute(text(_CREATE))
    if connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :name"), {"name": READER}):
        connection.execute(text(f"GRANT SELECT ON {', '.join(READABLE)} TO {READER}"))
    reason = _missing(connection.execute(_STATE, _ASKED).mappings().one())
    if reason is not None:
        log.error("row_security.not_in_force", reason=reason)


async def in_force(connection: AsyncConnection) -> None:
    """Raises Unavailable with what is to be done where answers cannot be read under row-level security."""
    state = (await connection.execute(_STATE, _ASKED)).mappings().one()
    reason = _missing(state)
    if reason is not None:
        raise Unavailable(f"Row-level security is not in force: {reason}")


def _missing(state: RowMapping) -> str | None:
    migrating = "run `python -m services.catalog migrate` again"
    if not state["there"]:
        return (
            f"there is no role {READER}, and {state['name']} may not make it. As an administrator: CREATE ROLE {READER}"
            f" NOLOGIN; GRANT {READER} TO {state['name']} WITH INHERIT FALSE, SET TRUE; then {migrating}."
        )
    if state["above"]:
        return f"the role {READER} is a superuser or has BYPASSRLS, which it must not."
    if not state["ours"]:
        return (
            f"{state['name']} may not become {READER}. As an administrator: GRANT {READER} TO {state['name']}"
            " WITH INHERIT FALSE, SET TRUE;"
        )
    if state["bare"]:
        return f"it is not forced on {state['bare']}; {migrating}."
    if state["withheld"]:
        return f"{READER} may not read {state['withheld']}; {migrating}."
    return None
