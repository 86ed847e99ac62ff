"""How many media there are and how much they weigh, by what they are: for the statistics of the older APIs."""

from collections.abc import Iterable, Sequence
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


NOTHING = Total(key=(), count=0, bytes=0)


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


def together(found: Iterable[Total]) -> Total:
    """All of them as one, which has no key."""
    known = tuple(found)
    return Total(key=(), count=sum(each.count for each in known), bytes=sum(each.bytes for each in known))


def apart(found: Sequence[Total], place: int) -> dict[str | None, Total]:
    """Those that have the same at this place of their keys together, in the order of the keys."""
    kinds = dict.fromkeys(each.key[place] for each in found)
    return {kind: together(each for each in found if each.key[place] == kind) for kind in kinds}
