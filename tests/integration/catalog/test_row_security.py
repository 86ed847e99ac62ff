"""Row-level security behind the queries: for whom it holds, that it ends with its transaction, and what is said where
it is not in force."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import func, select, text, true

from deploy.servers import postgres
from services.catalog import queries, rights
from services.catalog.database import Database, DatabaseSettings
from services.catalog.migrate import migrate
from services.catalog.models import downloads, entities, media, metadata, tallies, variants
from services.catalog.queries import Filters
from services.catalog.row_security import READABLE, READER, in_force, restricted, unrestricted
from shared.auth import ANONYMOUS, Caller
from shared.errors import NotFound, Unavailable
from tests.fixtures.servers import Servers, execute_as_admin, unique_name
from tests.integration.catalog import stories
from tests.integration.catalog.test_lists import fill

ANN, BOB = Caller(sub="ann"), Caller(sub="bob")


async def ids(database: Database, caller: Caller | None, **more: uuid.UUID) -> set[uuid.UUID]:
    async with database.reading_for(caller, **more) as connection:
        return set((await connection.scalars(select(media.c.id))).all())


async def all_ids(database: Database) -> set[uuid.UUID]:
    async with database.reading() as connection:
        return set((await connection.scalars(select(media.c.id))).all())


async def test_a_caller_who_asks_for_all_rows_gets_those_that_are_theirs_or_public(
    database: Database,
) -> None:
    await fill(database, 2, "ann")
    await fill(database, 3, "bob", is_public=True)
    await fill(database, 5, "bob", is_public=True, moderation="rejected")
    everything = await all_ids(database)
    seen = [len(await ids(database, caller)) for caller in (ANN, BOB, Caller(sub="dan"), ANONYMOUS, None)]
    assert seen == [5, 8, 3, 3, 3]
    assert await ids(database, Caller(sub="mod", roles=frozenset({"moderator"}))) == everything


async def test_a_signed_link_gives_the_right_to_its_one_media(database: Database) -> None:
    await fill(database, 3, "ann")
    one = min(await all_ids(database))
    assert await ids(database, None, linked=one) == {one}
    assert await ids(database, BOB, linked=one) == set(), "a caller has rights of their own"


async def test_the_number_of_an_older_api_gives_the_right_that_the_queries_give(database: Database) -> None:
    await fill(database, 1, "7", owner_uid=7)
    await fill(database, 2, "7")  # somebody whose sub is that number
    for caller in (Caller(sub="ann", uid=7), Caller(sub="7", uid=8), Caller(sub="8", uid=7), Caller(uid=7)):
        async with database.reading() as connection:
            due = set((await connection.scalars(select(media.c.id).where(rights.readable(caller)))).all())
        assert await ids(database, caller) == due, caller


async def test_nothing_of_a_caller_is_left_on_the_connection(database_url: str) -> None:
    database = Database(DatabaseSettings(url=database_url, pool=2))
    who = text("SELECT current_user, coalesce(current_setting('tripod.sub', true), '')")
    try:
        for _ in range(4):
            async with database.reading_for(ANN) as connection:
                assert tuple((await connection.execute(who)).one()) == (READER, "ann")
            with pytest.raises(ZeroDivisionError):
                async with database.reading_for(BOB) as connection:
                    raise ZeroDivisionError
            async with database.reading() as connection:
                assert tuple((await connection.execute(who)).one()) == (postgres.OWNER, "")
            async with database.writing(tell=False) as connection, restricted(connection, ANN):
                assert tuple((await connection.execute(who)).one()) == (READER, "ann")
    finally:
        await database.close()


async def test_the_role_is_taken_back_whatever_happens_within(database: Database) -> None:
    who = text("SELECT current_user")
    async with database.writing(tell=False) as connection:
        with pytest.raises(NotFound):
            async with restricted(connection, ANN):
                raise NotFound("nothing")
        assert await connection.scalar(who) == postgres.OWNER
    async with database.reading_for(ANN) as connection:
        async with unrestricted(connection):
            assert await connection.scalar(who) == postgres.OWNER
        with pytest.raises(NotFound):
            async with unrestricted(connection):
                raise NotFound("nothing")
        assert await connection.scalar(who) == READER


async def test_the_role_may_write_nothing_and_read_no_other_table(database: Database) -> None:
    await fill(database, 1, "ann")
    for statement in (
        media.update().values(owner="bob"),
        media.delete(),
        *(
            select(func.count()).select_from(table)
            for name, table in metadata.tables.items()
            if name not in READABLE
        ),
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with database.reading_for(ANN) as connection:
                await connection.execute(statement)


async def test_statistics_entities_and_variants_are_kept_apart_as_well(database: Database) -> None:
    await fill(database, 2, "ann", entity_type="post", entity_id="1")
    first = min(await all_ids(database))
    async with database.writing(tell=False) as connection:
        await connection.execute(
            variants.insert().values(
                media_id=first, name="thumbnail", position=0, key="k", mime_type="image/png", width=1, height=1,
                size=1, spec="s",
            )
        )  # fmt: skip
        await connection.execute(downloads.insert().values(media_id=first, owner="ann", count=1))
        await connection.execute(
            entities.insert().values(
                type="post", id="1", owners=["cleo"], version=1, updated_at=stories.now()
            )
        )
    for caller, due in ((ANN, (1, 1, 0, 1)), (Caller(sub="cleo"), (1, 1, 1, 1)), (BOB, (0, 0, 0, 0))):
        async with database.reading_for(caller) as connection:
            found = [
                await connection.scalar(select(func.count()).select_from(table))
                for table in (variants, downloads, entities)
            ]
            noted = await connection.scalar(select(func.sum(metadata.tables["tally_changes"].c.objects)))
            assert (await connection.scalar(select(func.count()).select_from(tallies))) == 0
        assert (*found, int(bool(noted))) == due, caller


async def test_counts_and_pages_without_their_predicate_hold_nothing_of_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database, 3, "bob")
    monkeypatch.setattr(rights, "readable", lambda _caller: true())
    monkeypatch.setattr(rights, "grounds", lambda _caller: (true(),))
    async with database.reading_for(ANN) as connection:
        assert await queries.count(connection, ANN, Filters()) == 0
        found = await queries.offset_page(
            connection, ANN, Filters(), sort="created_at", offset=0, limit=9, base_url=""
        )
        assert found == []


@pytest.fixture
def plain_url(servers: Servers, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A database whose owner may make no roles, bypass no policies and be nobody else; and that owner's name."""
    name = unique_name(request.node.name, "_")
    owner, password = sql.Identifier(name), sql.Literal(servers.secrets.postgres)
    execute_as_admin(servers, sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, password))
    execute_as_admin(servers, sql.SQL("CREATE DATABASE {} OWNER {}").format(owner, owner))
    url = postgres.owner_url(servers.ports.postgres, servers.secrets.postgres, name)
    yield url.replace(f"//{postgres.OWNER}:", f"//{name}:"), name
    execute_as_admin(servers, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(owner))
    execute_as_admin(servers, sql.SQL("DROP ROLE {}").format(owner))


async def test_a_database_user_who_may_not_become_the_reader_is_told_what_to_do(
    servers: Servers, migrated_template: str, plain_url: tuple[str, str]
) -> None:
    url, name = plain_url
    assert migrated_template  # by which the role exists
    migrate(url)
    database = Database(DatabaseSettings(url=url, pool=2))
    try:
        await fill(database, 2, "ann")
        async with database.reading() as connection:
            with pytest.raises(Unavailable, match=f"not in force: {name} may not become {READER}.*GRANT"):
                await in_force(connection)
        with pytest.raises(Unavailable, match="Row-level security is not in force"):
            await ids(database, ANN)
        grant = sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE")
        execute_as_admin(servers, grant.format(sql.Identifier(READER), sql.Identifier(name)))
        migrate(url)
        async with database.reading() as connection:
            await in_force(connection)
        assert (len(await ids(database, ANN)), len(await ids(database, BOB))) == (2, 0)
        assert len(await all_ids(database)) == 2, "the owner is forced, and let through by a policy"
    finally:
        await database.close()


async def test_a_superuser_is_restricted_while_answering_too(
    servers: Servers, database_url: str, database: Database
) -> None:
    await fill(database, 2, "ann")
    name = database_url.rpartition("/")[2]
    admin = postgres.admin_dsn(servers.ports.postgres, servers.secrets.postgres_admin, name)
    above = Database(DatabaseSettings(url=admin.replace("postgresql://", "postgresql+psycopg://"), pool=2))
    try:
        assert (len(await ids(above, ANN)), len(await ids(above, BOB)), len(await all_ids(above))) == (
            2,
            0,
            2,
        )
    finally:
        await above.close()


async def test_tables_without_forced_policies_are_named(servers: Servers, database: Database) -> None:
    async with database.writing(tell=False) as connection:
        await connection.execute(text("ALTER TABLE variants NO FORCE ROW LEVEL SECURITY"))
    async with database.reading() as connection:
        with pytest.raises(Unavailable, match="it is not forced on variants"):
            await in_force(connection)
    async with database.writing(tell=False) as connection:
        await connection.execute(text("ALTER TABLE variants FORCE ROW LEVEL SECURITY"))
        await connection.execute(text(f"REVOKE SELECT ON entities FROM {READER}"))
    async with database.reading() as connection:
        with pytest.raises(Unavailable, match=f"{READER} may not read entities"):
            await in_force(connection)
    with psycopg.connect(servers.admin_dsn) as admin:
        row = admin.execute(
            "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = %s", [READER]
        )
        assert row.fetchone() == (False, False, False)
