"""What a failed statement says of the people whose data it was about: nothing."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.catalog.database import Database


async def test_the_error_of_a_statement_holds_none_of_its_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with database.reading() as connection:
            await connection.execute(
                text("SELECT 1 / :zero, CAST(:name AS text)"), {"zero": 0, "name": "swordfish"}
            )
    assert "division by zero" in str(failed.value)
    assert "swordfish" not in str(failed.value)
