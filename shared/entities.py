"""The entity registry as it stands in the broker: who owns and administers a thing of another system.

The catalog writes it, ingest reads it, so that rights are decided while the catalog is down.
"""

import re

import msgspec

from shared.auth import Caller
from shared.errors import Invalid
from shared.events.kv_token import kv_token

_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """`version` grows with each change, so that an older state never replaces a newer one."""

    type: str
    id: str
    owners: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    display_id: str | None = None
    version: int = 1
    deleted: bool = False


def check_name(entity_type: str, entity_id: str) -> None:
    """Raises Invalid where a type or id cannot be one."""
    if not _TYPE.fullmatch(entity_type):
        raise Invalid(
            f"The entity type {entity_type[:80]!r} is not valid; allowed are 1 to 64 of a-z, 0-9, '-' and '_', "
            "the first a letter.",
            field="entity_type",
        )
    if not 0 < len(entity_id) <= 255 or not entity_id.isprintable() or entity_id.isspace():
        raise Invalid(
            f"The entity id {entity_id[:80]!r} is not valid; allowed are 1 to 255 printable characters, not all of "
            "them blanks.",
            field="entity_id",
        )


def check_people(*names: str | None) -> None:
    """Raises Invalid where an owner, admin, display id or user contains what the catalog cannot keep."""
    if any("\0" in (name or "") for name in names):
        raise Invalid(
            "An owner, admin or display id contains a NUL character, which is not allowed.", field="owners"
        )


def key(entity_type: str, entity_id: str) -> str:
    """Where the registry bucket keeps an entity."""
    return f"{entity_type}.{kv_token(entity_id)}"


def may_attach(caller: Caller, entity: Entity) -> bool:
    """Whether the caller may hang media on this entity."""
    return caller.governs or caller.sub in entity.owners or caller.sub in entity.admins
