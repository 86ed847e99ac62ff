"""Migrations: what they make is what the code expects; running them twice, or two at once, is harmless."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, delete, select, text, update

from services.catalog.__main__ import main
from services.catalog.migrate import head, is_behind, migrate
from services.catalog.models import BANDS, band_sql, metadata
from shared.dialects.users import uuid_id
from tests.integration.catalog.filler import Shape, fill, rows_of, shape_of


def test_migrations_make_the_tables_that_the_code_expects(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert_equal_to_models(connection)
        made = connection.execute(
            text("SELECT statistics_name, expr FROM pg_stats_ext_exprs RIGHT JOIN pg_statistic_ext "
                 "ON statistics_name = stxname ORDER BY stxname")
        ).all()  # fmt: skip
        assert len(made) == BANDS
        indexes = connection.scalars(
            text("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'ix_media_phash%'")
        )
        found = "".join(indexes).replace("(65535)::bigint", "65535")
        assert all(band_sql(band) in found for band in range(BANDS)), found
        assert found.count("INCLUDE (phash, id)") == BANDS, found
        by_owner = connection.scalar(
            text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_media_owner_created'")
        )
        assert by_owner.endswith("(owner, created_at, id) INCLUDE (size)")
    engine.dispose()


def test_two_migrations_at_once_are_harmless_and_the_next_finds_nothing_to_do(
    empty_database_url: str,
) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(migrate, [empty_database_url] * 3)) == {head()}
    assert migrate(empty_database_url) == head()
    engine = create_engine(empty_database_url)
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [head()]
    engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "environment", "word"),
    [
        (["migrate"], {"TRIPOD_DATABASE_URL": "mysql://x"}, "TRIPOD_DATABASE_URL"),
        (["migrate", "now"], {}, "usage"),
        ([], {"TRIPOD_ENV": "production", "TRIPOD_JWT_SECRET": "short"}, "TRIPOD_JWT_SECRET"),
    ],
)
def test_the_command_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    word: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("TRIPOD_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    assert word in capsys.readouterr().err


async def test_a_migration_that_fails_ends_the_command_with_a_line_of_it() -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.catalog", "migrate"],
        env={"PATH": os.environ["PATH"], "TRIPOD_DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, "migration failed" in ended.stderr) == (1, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_owners_get_their_uuid_when_a_catalog_with_media_is_brought_up_to_date(
    empty_database_url: str,
) -> None:
    owners = ["ann", "7", "123e4567-e89b-12d3-a456-426614174000", *(f"user {n}" for n in range(1500))]
    engine = create_engine(empty_database_url)
    with engine.connect() as connection:
        upgrade(connection, "0002")
        connection.execute(
            text(
                "INSERT INTO media (id, number, owner, profile, recipe, key, filename, mime_type, media_type, size,"
                " sha256, created_at, is_public, generation, status, status_at) SELECT gen_random_uuid(),"
                " row_number() OVER (), owner, 'default', 'standard', 'k', 'f', 'image/png', 'image', 1, '0', now(),"
                " false, 1, 'ready', now() FROM unnest(CAST(:owners AS text[])) AS owner, generate_series(1, 2)"
            ),
            {"owners": owners},
        )
        connection.commit()
        assert migrate(empty_database_url) == head()
        found = connection.execute(text("SELECT owner, owner_uuid, count(*) FROM media GROUP BY 1, 2")).all()
        assert {(row[0], row[1]): row[2] for row in found} == {(owner, uuid_id(owner)): 2 for owner in owners}
        assert_equal_to_models(connection)
    engine.dispose()


def revisions() -> list[str]:
    """All of them, oldest first, in the one line that they form."""
    script = ScriptDirectory.from_config(configured())
    assert len(script.get_heads()) == 1, "two revisions follow one: they must stand in one line"
    return [found.revision for found in script.walk_revisions()][::-1]


# The catalog of 0002 does not know the owners' UUIDs, which later ones cannot do without; it was replaced at a stop.
ROLLING_SINCE = "0003"


def test_each_revision_keeps_every_row_of_the_one_before_and_lets_its_catalog_go_on(
    empty_database_url: str,
) -> None:
    engine = create_engine(empty_database_url)
    shapes: dict[str, Shape] = {}
    with engine.connect() as connection:
        for number, revision in enumerate(revisions(), 1):
            former = shapes[next(reversed(shapes))] if shapes else None
            if former is None:
                upgrade(connection, revision)
            else:
                before = rows_of(connection, former)
                upgrade(connection, revision)
                after = rows_of(connection, former)  # by the columns that there were: none is gone
                lost = {
                    name: [row for row in rows if row not in after[name]] for name, rows in before.items()
                }
                assert not any(lost.values()), (revision, lost)
                assert {name: len(after[name]) for name in before if name not in MADE_FROM_OTHERS} == {
                    name: len(rows) for name, rows in before.items() if name not in MADE_FROM_OTHERS
                }, revision
            shapes[revision] = shape_of(connection)
            fill(connection, shapes[revision], 100 * number)
            empty = [name for name, rows in rows_of(connection, shapes[revision]).items() if not rows]
            assert not empty, (revision, empty)
        for number, (revision, shape) in enumerate(shapes.items(), 1):
            if revision >= ROLLING_SINCE:
                assert_works_on(connection, shape, 10_000 + number)
        assert_equal_to_models(connection)
    engine.dispose()


MADE_FROM_OTHERS = {"tallies", "entity_tallies", "tally_changes", "text_changes"}
"""Tables that a revision may write to, because triggers and catalogs fill them from others."""


def assert_works_on(connection: Connection, shape: Shape, number: int) -> None:
    """What the catalog of that shape does to its tables it can still do: by its columns, without knowing of others."""
    now = shape_of(connection)
    for table in shape.tables:
        new_keys = now.unique[table.name] - shape.unique[table.name]
        assert not [key for key in new_keys if set(key) <= set(table.columns.keys())], (table.name, new_keys)
    fill(connection, shape, number)
    for table in shape.tables[::-1]:
        key = next(iter(table.primary_key.columns), next(iter(table.columns)))
        (value,) = connection.execute(select(key).order_by(key.desc()).limit(1)).one()
        kept = [name for name in shape.writable[table.name] if name not in table.primary_key.columns]
        if kept:
            same = {name: table.columns[name] for name in kept}
            assert connection.execute(update(table).where(key == value).values(same)).rowcount
        assert connection.execute(delete(table).where(key == value)).rowcount, table.name
    connection.rollback()


def test_a_catalog_is_ready_on_a_later_schema_and_not_on_an_earlier_one() -> None:
    *earlier, newest = revisions()
    assert newest == head()
    assert not is_behind(newest)
    assert all(is_behind(revision) for revision in [None, *earlier])
    assert not is_behind(f"{int(newest) + 1:04}")  # one that this code has never heard of


def assert_equal_to_models(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    assert compare_metadata(context, metadata) == []


def configured() -> Config:
    config = Config()
    config.set_main_option("script_location", "services.catalog:migrations")
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection, revision: str) -> None:
    """As an older catalog left the database."""
    config = configured()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()
