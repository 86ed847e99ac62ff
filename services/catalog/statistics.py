"""How much there is, from the tallies: as quick for a million media as for ten."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import (
    BigInteger,
    Select,
    Table,
    bindparam,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.models import downloads, entity_tallies, media, tallies, tally_changes
from services.catalog.rows import shaped_for, show_to_caller
from shared.auth import Caller
from shared.media import Media

By: TypeAlias = Literal["media_type", "status", "profile", "entity_type", "month", "owner"]
AMOUNTS = ("objects", "bytes", "variants", "variant_bytes")
MOST_KEYS = 100
TOP = 10


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """`bytes` are those of the originals, `variant_bytes` of what was made of them."""

    objects: int = 0
    bytes: int = 0
    variants: int = 0
    variant_bytes: int = 0


class Downloaded(msgspec.Struct, frozen=True, kw_only=True):
    """How often an original was fetched."""

    downloads: int
    media: Media


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, together and apart; sizes in bytes, months of the uploads in UTC. `by_owner`, the largest 100, is
    for those who see all."""

    total: Amount
    by_media_type: dict[str, Amount]
    by_status: dict[str, Amount]
    by_profile: dict[str, Amount] = {}
    by_entity_type: dict[str, Amount] = {}
    by_month: dict[str, Amount] = {}
    by_owner: dict[str, Amount] = {}
    top_downloads: list[Downloaded] = []


async def amounts(
    connection: AsyncConnection,
    caller: Caller,
    *,
    owner: str | None = None,
    by: tuple[By, ...] = (),
) -> dict[tuple[str, ...], Amount]:
    """What the caller has (all that there is for those who see all, or what one `owner` has), by the values of `by`;
    where there is nothing, nothing. The largest MOST_KEYS where there are more owners."""
    of = {} if owner is None and caller.sees_all else {"owner": owner or caller.sub or ""}
    return await _summed(connection, tallies, of, by)


async def entity_amounts(
    connection: AsyncConnection, entity_type: str, entity_id: str, by: tuple[By, ...] = ()
) -> dict[tuple[str, ...], Amount]:
    """The same of what hangs on one entity, whoever asks."""
    of = {"entity_type": entity_type, "entity_id": entity_id}
    return await _summed(connection, entity_tallies, of, by)


async def _summed(
    connection: AsyncConnection, table: Table, of: Mapping[str, str], by: tuple[By, ...]
) -> dict[tuple[str, ...], Amount]:
    rows = (await connection.execute(_sums(table, tuple(of), by), of)).all()
    return {
        tuple(map(_text, row[: len(by)])): Amount(**dict(zip(AMOUNTS, row[len(by) :], strict=True)))
        for row in rows
    }


@cache  # building it costs more than its answer
def _sums(table: Table, of: tuple[str, ...], by: tuple[By, ...]) -> Select[Any]:
    """What the tallies and the changes that wait amount to, where these columns have the values asked for."""
    names = (*by, *AMOUNTS)
    both = union_all(
        *(
            select(*(source.c[name] for name in names)).where(
                *(source.c[name] == bindparam(name) for name in of)
            )
            for source in (table, tally_changes)
        )
    ).subquery()
    sums = [cast(func.sum(both.c[name]), BigInteger).label(name) for name in AMOUNTS]
    keys = [both.c[name] for name in by]
    asked = select(*keys, *sums).group_by(*keys).having(func.sum(both.c.objects) > 0)
    return asked.order_by(sums[1].desc(), *keys).limit(MOST_KEYS) if by else asked


def _text(value: Any) -> str:
    return f"{value:%Y-%m}" if isinstance(value, date) else str(value)


async def top_downloads(
    connection: AsyncConnection, caller: Caller, *, owner: str | None, base_url: str
) -> list[Downloaded]:
    """The originals that were fetched most often, of those counted in `amounts`."""
    ranked = select(downloads.c.media_id, downloads.c.count).order_by(
        downloads.c.count.desc(), downloads.c.media_id
    )
    if owner is not None or not caller.sees_all:
        ranked = ranked.where(downloads.c.owner == (owner or caller.sub))
    top = ranked.limit(TOP).subquery()
    found = (
        shaped_for(caller, top.c.count)
        .join(top, top.c.media_id == media.c.id)
        .where(rights.readable(caller))
        .order_by(top.c.count.desc(), media.c.id)
    )
    rows = (await connection.execute(found)).mappings().all()
    return [Downloaded(downloads=row["count"], media=show_to_caller(row, base_url)) for row in rows]


async def of_owner(
    connection: AsyncConnection, caller: Caller, owner: str | None, base_url: str
) -> Statistics:
    """Of the media that `amounts` counts."""
    kinds: tuple[By, ...] = ("media_type", "status", "profile", "entity_type", "month")
    apart = {by: named(await amounts(connection, caller, owner=owner, by=(by,))) for by in kinds}
    total = (await amounts(connection, caller, owner=owner)).get((), Amount())
    everybody = caller.sees_all and owner is None
    by_owner = named(await amounts(connection, caller, by=("owner",))) if everybody else {}
    apart["entity_type"].pop("", None)  # what hangs on nothing
    return Statistics(
        total=total,
        by_media_type=apart["media_type"],
        by_status=apart["status"],
        by_profile=apart["profile"],
        by_entity_type=apart["entity_type"],
        by_month=dict(sorted(apart["month"].items())),
        by_owner=by_owner,
        top_downloads=await top_downloads(connection, caller, owner=owner, base_url=base_url),
    )


async def of_entity(connection: AsyncConnection, entity_type: str, entity_id: str) -> Statistics:
    """Of what hangs on an entity, whoever asks."""
    found = [
        named(await entity_amounts(connection, entity_type, entity_id, (by,)))
        for by in ("media_type", "status")
    ]
    total = (await entity_amounts(connection, entity_type, entity_id)).get((), Amount())
    return Statistics(total=total, by_media_type=found[0], by_status=found[1])


def named(found: Mapping[tuple[str, ...], Amount]) -> dict[str, Amount]:
    """What was counted by one thing, by its values."""
    return {key[0]: amount for key, amount in found.items()}
