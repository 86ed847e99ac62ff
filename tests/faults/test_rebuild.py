"""The database is lost; the catalog comes back from what the broker has kept, row for row."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from deploy.servers import postgres
from deploy.services import PROJECT, environment, inherited
from deploy.stack import EmbeddedStack
from tests.faults.clients import delete, final, persist, send, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import assert_whole, settled

NEW, OLD = "rebuilt", "tripod"
TABLES = {
    "media": "id",
    "variants": "media_id, position",
    "moderation_decisions": "id",
    "tombstones": "media_id",
    "stored_events": "stream, sequence",
    "early_results": "media_id, sequence",
    "marks": "name",
    "entities": "type, id",
    "outbox": "position",
}
# The registry keeps when the broker learnt of an entity, not when the catalog did.
NOT_COMPARED = {"entities": {"updated_at", "told_at"}}
NOT_REBUILT = {"swept_at", "texts_read_with"}  # marks: when the janitor made its round, how texts were read


def rows(stack: EmbeddedStack, database: str, table: str) -> list[dict[str, Any]]:
    dsn = psycopg.conninfo.make_conninfo(stack.admin_dsn, dbname=database)
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
        ordered = sql.SQL("SELECT * FROM {} ORDER BY {}").format(
            sql.Identifier(table), sql.SQL(TABLES[table])
        )
        found = connection.execute(ordered).fetchall()
    return [
        {k: v for k, v in row.items() if k not in NOT_COMPARED.get(table, set())}
        for row in found
        if row.get("name") not in NOT_REBUILT
    ]


def administer(stack: EmbeddedStack, *statements: str) -> None:
    dsn = psycopg.conninfo.make_conninfo(stack.admin_dsn, dbname="postgres")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def rebuild(stack: EmbeddedStack, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.catalog", "rebuild"],
        cwd=PROJECT,
        env=inherited() | environment(stack) | {"TRIPOD_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def new_database(victim: Victim) -> Iterator[str]:
    """An empty, migrated database beside the one in use, and its URL."""
    stack = victim.stack
    administer(stack, f"CREATE DATABASE {NEW} OWNER {postgres.OWNER}")
    url = postgres.owner_url(stack.ports.postgres, stack.secrets.postgres, NEW)
    stack.migrate({"TRIPOD_DATABASE_URL": url})
    yield url
    administer(stack, f"DROP DATABASE IF EXISTS {NEW} WITH (FORCE)")


def lives(victim: Victim) -> None:
    """Media of every kind of history: edited, hung on entities, reprocessed, deleted, failed."""
    service = {"Authorization": f"Bearer {victim.stack.token('registrar', 'service')}"}
    for name in ("kept", "gone"):
        persist(
            victim,
            "PUT",
            f"/v1/entities/persona/{name}",
            {200, 201},
            json={"owners": ["loader"]},
            headers=service,
        )
    persist(victim, "DELETE", "/v1/entities/persona/gone", {204, 404}, headers=service)
    with victim.load(10):
        early = send(victim)
        persist(victim, "GET", f"/v1/media/{early}", {200})
        persist(
            victim,
            "PATCH",
            f"/v1/media/{early}",
            {200},
            json={"caption": "edited at once", "tags": ["a", "b"]},
        )
    edited = uploaded(victim)
    persist(
        victim, "PATCH", f"/v1/media/{edited}", {200}, json={"caption": "first", "metadata": {"a": {"b": 1}}}
    )
    persist(victim, "PATCH", f"/v1/media/{edited}", {200}, json={"caption": None, "is_public": True})
    again = uploaded(victim)
    persist(victim, "POST", f"/v1/media/{again}/reprocess", {200, 202})
    final(victim, again)
    persist(victim, "PATCH", f"/v1/media/{again}", {200}, json={"filename": "renamed.jpg"})
    for said in ({"state": "flagged", "reason": "why", "note": "?"}, {"state": "approved"}):
        persist(victim, "POST", f"/v1/media/{again}/moderation", {200}, json=said, headers=service)
    delete(victim, uploaded(victim))


@pytest.mark.long
@pytest.mark.timeout(400)  # the stack is shared: every look at the whole of it takes longer than the last
def test_a_rebuilt_catalog_has_the_same_rows_and_goes_on(victim: Victim, new_database: str) -> None:
    stack = victim.stack
    lives(victim)
    settled(stack, victim.ledger, victim.folder)

    refused = rebuild(stack, new_database)
    assert (refused.returncode, refused.stderr.strip()) == (
        1,
        "A catalog is running on this broker: stop all of them first.",
    )
    stack.stop("catalog")
    try:
        done = rebuild(stack, new_database)
        assert done.returncode == 0, done.stderr
        for table in TABLES:
            assert rows(stack, NEW, table) == rows(stack, OLD, table), table
        assert len(rows(stack, NEW, "media")) >= 13
        not_empty = rebuild(stack, new_database)
        assert (not_empty.returncode, "is not empty" in not_empty.stderr) == (1, True)

        waiting = send(victim)  # comes while there is no catalog
        administer(
            stack,
            f"DROP DATABASE {OLD} WITH (FORCE)",
            f"ALTER DATABASE {NEW} RENAME TO {OLD}",
        )
    finally:
        stack.start("catalog")
    assert final(victim, waiting)["status"] == "ready"
    assert_whole(stack, victim.ledger, victim.folder)
