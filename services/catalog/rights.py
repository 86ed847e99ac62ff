"""Who may see and change what: the one place that turns a caller into a predicate. Every read uses it."""

from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from services.catalog.models import entities, media
from shared.auth import Caller
from shared.entities import Entity


def readable(caller: Caller) -> ColumnElement[bool]:
    """Which rows of `media` the caller may see; the others do not exist for them."""
    return or_(*grounds(caller))


def grounds(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    """Each reason for which the caller may see a row. Each has an index of its own, so a query may ask them one by
    one."""
    if caller.sees_all:
        return (true(),)
    public = and_(media.c.is_public, media.c.moderation == "approved")
    if caller.sub is None:
        return (public,)
    return (media.c.owner == caller.sub, public, _governs_entity(caller.sub))


def changeable(caller: Caller) -> ColumnElement[bool]:
    """Which rows the caller may change and delete: their own, those of entities they own or administer, or all."""
    if caller.governs:
        return true()
    if caller.sub is None:
        return false()
    return or_(media.c.owner == caller.sub, _governs_entity(caller.sub))


def _governs_entity(sub: str) -> ColumnElement[bool]:
    who = cast([sub], ARRAY(Text))
    return exists(
        select(entities.c.id).where(
            entities.c.type == media.c.entity_type,
            entities.c.id == media.c.entity_id,
            ~entities.c.deleted,
            or_(entities.c.owners.contains(who), entities.c.admins.contains(who)),
        )
    )


def may_see(caller: Caller, *, owner: str | None, public: bool, entity: Entity | None) -> bool:
    """`readable` for a media that comes by event instead of by row. `public` means public and approved; `entity`
    is the registered one that it hangs on."""
    if caller.sees_all or public:
        return True
    if caller.sub is None:
        return False
    if caller.sub == owner:
        return True
    return entity is not None and not entity.deleted and caller.sub in {*entity.owners, *entity.admins}
