"""Who may see and change what: the one place that turns a caller into a predicate. Every read uses it."""

from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from services.catalog.models import entities, media
from shared.auth import Caller
from shared.dialects.users import integer_id
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
    return (*_own(caller, caller.sub), public, _governs_entity(caller.sub))


def changeable(caller: Caller) -> ColumnElement[bool]:
    """Which rows the caller may change and delete: their own, those of entities they own or administer, or all."""
    if caller.governs:
        return true()
    if caller.sub is None:
        return false()
    return or_(*_own(caller, caller.sub), _governs_entity(caller.sub))


def own(caller: Caller) -> ColumnElement[bool]:
    """Which rows the caller may see whatever they hang on and in whatever state they are: their own, or all."""
    if caller.sees_all:
        return true()
    return false() if caller.sub is None else or_(*_own(caller, caller.sub))


def _own(caller: Caller, sub: str) -> tuple[ColumnElement[bool], ...]:
    """Theirs by the `sub`; and, of a user who has their number in the `uid`, what was uploaded for that number. Such a
    row has the number as owner and as `owner_uid`: somebody else whose `sub` is that number by chance does not."""
    by_sub = media.c.owner == sub
    if caller.uid is None or integer_id(sub, None) is not None:  # no number, or the sub is the number
        return (by_sub,)
    return (by_sub, and_(media.c.owner == str(caller.uid), media.c.owner_uid == caller.uid))


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
