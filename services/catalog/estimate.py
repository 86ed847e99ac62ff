"""How many rows a question has, as PostgreSQL thinks before it looks."""

from typing import Any

from sqlalchemy import ClauseElement, Executable
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


async def estimated(connection: AsyncConnection, matching: Any) -> int:
    """Of a select, by its plan. As good as the statistics of the tables are."""
    plan = await connection.scalar(_Explained(matching))
    return int(plan[0]["Plan"]["Plan Rows"])


class _Explained(Executable, ClauseElement):
    """The plan of a select, whose parameters go through their types as when it is run."""

    inherit_cache = False

    def __init__(self, matching: Any) -> None:
        self.matching = matching


@compiles(_Explained)
def _explain(element: _Explained, compiler: SQLCompiler, **more: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.matching, **more)}"
