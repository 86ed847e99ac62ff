"""User ids as the older systems know them: whole numbers, UUIDs, names."""

import uuid

from shared.auth import Caller
from shared.dialects.whole import whole

ANONYMOUS = "anonymous"
"""The owner of what was uploaded without a token, where that is allowed."""
_NAMES = uuid.UUID("6f2d7a52-51f2-5b52-9c39-4d1f8f0a0c11")  # of users whose id is no UUID; never to change


def integer_id(owner: str, uid: int | None) -> int | None:
    """The `sub` where it is a decimal number, else the claim `uid`; None for a user who has neither."""
    number = whole(owner)
    return uid if number is None else number


def uuid_id(owner: str) -> uuid.UUID:
    """The `sub` where it is a UUID, else one made of it, always the same."""
    try:
        return uuid.UUID(owner)
    except ValueError:
        return uuid.uuid5(_NAMES, owner)


def username(owner: str, name: str | None) -> str:
    return name or owner


def caller_integer_id(caller: Caller) -> int | None:
    return integer_id(caller.sub or "", caller.uid)
