"""Bearer tokens of the embedded stack, signed with its own secret."""

import time
from collections.abc import Sequence

import jwt

VALID_SECONDS = 30 * 24 * 3600


def make(
    secret: str, sub: str, roles: Sequence[str] = (), *, seconds: int = VALID_SECONDS, **claims: object
) -> str:
    """A signed HS256 token for `sub` with those roles, expiring after `seconds`."""
    now = int(time.time())
    return jwt.encode(
        {**claims, "sub": sub, "roles": list(roles), "iat": now, "exp": now + seconds}, secret, "HS256"
    )
