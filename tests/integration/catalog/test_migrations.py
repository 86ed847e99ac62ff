"""Migrations: what they make is what the code expects; running them twice, or two at once, is harmless."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from services.catalog.migrate import head, migrate
from services.catalog.models import BANDS, band_sql, metadata


def test_migrations_make_the_tables_that_the_code_expects(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
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
    ("arguments", "environment", "status", "word"),
    [
        (["migrate"], {"TRIPOD_DATABASE_URL": "mysql://x"}, 2, "TRIPOD_DATABASE_URL"),
        (["migrate"], {"TRIPOD_DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x"}, 1, "migration failed"),
        (["migrate", "now"], {}, 2, "usage"),
        ([], {"TRIPOD_ENV": "production", "TRIPOD_JWT_SECRET": "short"}, 2, "TRIPOD_JWT_SECRET"),
    ],
)
async def test_the_command_says_what_is_wrong(
    arguments: list[str], environment: dict[str, str], status: int, word: str
) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.catalog", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, word in ended.stderr) == (status, True), ended.stderr
    assert "Traceback" not in ended.stderr
