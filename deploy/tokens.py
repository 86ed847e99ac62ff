"""Bearer tokens of the embedded stack, signed with its own secret."""

import time
from collections.abc import Mapping, Sequence

import jwt

VALID_SECONDS = 30 * 24 * 3600


def make(
    secret: str,
    sub: str,
    roles: Sequence[str] = (),
    claims: Mapping[str, object] | None = None,
    *,
    seconds: int = VALID_SECONDS,
) -> str:
    """A signed HS256 token for `sub` with those roles and further claims, expiring after `seconds`."""
    now = int(time.time())
    own = {"sub": sub, "roles": list(roles), "iat": now, "exp": now + seconds}
    return jwt.encode({**(claims or {}), **own}, secret, "HS256")
