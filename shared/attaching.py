"""Whether a media may hang on an entity: what its profile says of that, the same when it is uploaded and later."""

from shared import entities
from shared.auth import Caller
from shared.dialects.users import caller_integer_id
from shared.entities import Entity
from shared.errors import Forbidden, Invalid, NotFound
from shared.events.messages import EntityLink
from shared.profiles import Profile


def check_hung_on(link: EntityLink, profile: Profile, name: str) -> None:
    """Raises Invalid where media of this profile, whoever sends it, is not for entities of that type."""
    if profile.entities and link.type not in profile.entities:
        raise Invalid(
            f"The profile {name!r} is for media of {' and '.join(profile.entities)}; entity_type is {link.type!r}.",
            field="entity_type",
        )


def check_attach(caller: Caller, link: EntityLink, entity: Entity | None, profile: Profile) -> Entity | None:
    """The registered entity that a link names, as it was found; None where a user without one hangs something on
    themself. Raises NotFound for one that is not registered, Forbidden where the caller may not attach to it."""
    known = entity is not None and not entity.deleted
    if profile.attach == "self" and link.type == "user" and is_self(caller, link.id):
        return entity if known else None
    if entity is None or not known:
        raise NotFound(
            f"There is no {link.type} with the id {link.id!r}; the system that owns it registers it first."
        )
    if not may_attach(caller, entity, profile):
        who = "owners" if profile.attach in {"owner", "self"} else "owners and admins"
        raise Forbidden(f"Only {who} of {link.type} {link.id!r} may attach media to it.")
    return entity


def is_self(caller: Caller, user_id: str) -> bool:
    """Whether this is the caller's own user id: the token's `sub`, or its integer `uid` where that is no number."""
    return caller.sub is not None and user_id in {caller.sub, str(caller_integer_id(caller))}


def may_attach(caller: Caller, entity: Entity, profile: Profile) -> bool:
    if profile.attach == "anyone":
        return True
    if profile.attach == "owner_or_admin":
        return entities.may_attach(caller, entity)
    return caller.governs or caller.sub in entity.owners
