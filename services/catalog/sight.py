"""Which media a caller may see at this moment: what rows say, for those who are told of events."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.catalog import rights
from services.catalog.database import Database
from services.catalog.models import media
from shared.auth import Caller


class Sight(msgspec.Struct, frozen=True):
    """What the caller may do with a media that they may see. `own`: whatever it hangs on and in whatever state it is;
    else what may be changed may be so for the entity's sake."""

    changeable: bool
    own: bool
    entity: tuple[str | None, str | None]

    def covers(self, shown: dict[str, Any]) -> bool:
        """Whether the right of now is one to how the media was then: a state may have been kept from whoever may see
        the media by now, and a media may have hung on what others govern."""
        if self.own or is_public(shown):
            return True
        return self.changeable and _entity(shown) == self.entity

    def changes(self, shown: dict[str, Any]) -> bool:
        """Whether they are told all of that state, and not only what outsiders see of it."""
        return self.changeable and (self.own or _entity(shown) == self.entity)


def is_public(shown: Mapping[str, Any] | RowMapping) -> bool:
    """Whether everybody may see a media as an event or a row has it."""
    return shown.get("is_public") is True and shown.get("moderation") == "approved"


def _entity(shown: dict[str, Any]) -> tuple[str | None, str | None]:
    link = shown.get("entity") or {}
    return link.get("type"), link.get("id")


async def seen(
    database: Database, caller: Caller, ids: Iterable[uuid.UUID], only: frozenset[str] | None = None
) -> dict[uuid.UUID, Sight]:
    """Of these media the ones that the caller may see at this moment."""
    asked = bindparam(None, list(ids), ARRAY(Uuid))
    link = (media.c.entity_type, media.c.entity_id)
    found = select(media.c.id, rights.changeable(caller), rights.own(caller), *link).where(
        media.c.id == any_(asked), rights.readable(caller)
    )
    if only is not None:
        found = found.where(media.c.profile.in_(only))
    async with database.reading_for(caller) as connection:
        return {row[0]: Sight(row[1], row[2], (row[3], row[4])) for row in await connection.execute(found)}
