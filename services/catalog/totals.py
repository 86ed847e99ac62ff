"""How many media there are and how much they weigh, by what they are: for the statistics of the older APIs."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.models import media
from services.catalog.queries import Filters, readable
from shared.auth import Caller

By: TypeAlias = Literal["media_type", "status", "entity_id", "entity_type", "profile", "owner"]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The media that have this `key` in common: its values in the order of the question. `bytes`: of originals."""

    key: tuple[str | None, ...]
    count: int
    bytes: int


async def totals(
    connection: AsyncConnection, caller: Caller, filters: Filters, by: Sequence[By] = ("media_type",)
) -> list[Total]:
    """Of what the caller may see; one for every key that occurs, in the order of the keys. Counted row by row."""
    keys = [media.c[name] for name in by]
    weight = cast(func.coalesce(func.sum(media.c.size), 0), BigInteger)
    asked = (
        select(func.count(), weight, *keys).where(*readable(caller, filters)).group_by(*keys).order_by(*keys)
    )
    return [
        Total(key=tuple(key), count=count, bytes=size)
        for count, size, *key in (await connection.execute(asked)).all()
    ]
