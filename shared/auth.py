"""Who is asking: bearer tokens (JWT) become a Caller."""

import time
import unicodedata
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec

from shared.env import Env
from shared.errors import Unauthenticated
from shared.key_set import ALGORITHMS, KeySet

_LEEWAY = 10  # seconds by which clocks may differ
_REMEMBERED_SECONDS = 60.0
_REMEMBERED = 4096  # tokens
_TEXT_CHARS = 255
_WHOLE_MOST = 2**53 - 1  # what every JSON reader takes for the same number
_LAST_SECOND = 253_402_300_799
ROLES = frozenset({"admin", "moderator", "service"})


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are checked: by a shared secret, by a key set (URL or file), or by either."""

    secret: str = ""
    jwks: str = ""
    issuer: str = ""
    audience: str = ""

    @classmethod
    def from_env(cls, env: Env) -> "AuthSettings":
        jwks = env.text("TRIPOD_JWT_JWKS", "")
        return cls(
            secret=env.secret("TRIPOD_JWT_SECRET", required=not jwks),
            jwks=jwks,
            issuer=env.text("TRIPOD_JWT_ISSUER", ""),
            audience=env.text("TRIPOD_JWT_AUDIENCE", ""),
        )


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The one who asks. `sub` is None for nobody in particular. A quota is what the token says of it: 0 is no limit,
    None nothing at all."""

    sub: str | None = None
    roles: frozenset[str] = frozenset()
    uid: int | None = None
    name: str | None = None
    quota_bytes: int | None = None
    quota_objects: int | None = None
    expires_at: datetime | None = None

    @property
    def sees_all(self) -> bool:
        """May read every media, whoever owns it."""
        return bool(self.roles & ROLES)

    @property
    def governs(self) -> bool:
        """May change what others own."""
        return bool(self.roles & {"admin", "service"})


ANONYMOUS = Caller()


class Authenticator:
    """Checks tokens. The algorithm is pinned by the type of the key, never chosen by the token.

    A token that held is believed for a minute, at most until it expires: checking it anew would cost a tenth of a
    small upload.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._held: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._keys = KeySet(settings.jwks) if settings.jwks else None

    async def caller(self, authorization: str | None) -> Caller:
        """The caller that an Authorization header names, ANONYMOUS without one.

        Raises Unauthenticated for a token that does not hold, Unavailable when the key set cannot be had.
        """
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("The Authorization header must have the form 'Bearer <token>'.")
        return await self.verify(token.strip())

    async def verify(self, token: str) -> Caller:
        """The caller that a token names. Raises as `caller` does."""
        until, known = self._held.get(token, (0.0, ANONYMOUS))
        if time.monotonic() < until and not _expired(known):
            return known
        caller = _caller(await self._claims(token))
        self._held.pop(token, None)
        self._held[token] = (time.monotonic() + _REMEMBERED_SECONDS, caller)
        if len(self._held) > _REMEMBERED:
            self._held.popitem(last=False)
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = await self._key(header)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                leeway=_LEEWAY,
                issuer=self._settings.issuer or None,
                audience=self._settings.audience or None,
                options={"require": ["sub"], "verify_aud": bool(self._settings.audience)},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired; ask for a new one.") from error
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        except (TypeError, OverflowError, RecursionError) as error:
            # The library takes it for granted that a time is a number, and that a header is not thousands deep.
            raise Unauthenticated("The token is not valid: a part of it has a wrong type.") from error
        return claims

    async def _key(self, header: dict[str, Any]) -> tuple[Any, str]:
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._settings.secret:
            return self._settings.secret, "HS256"
        if algorithm in ALGORITHMS and self._keys is not None:
            return await self._keys.key_for(header)
        raise jwt.InvalidAlgorithmError(f"the algorithm {str(algorithm)[:20]!r} is not accepted here")


def _expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at.timestamp() + _LEEWAY <= time.time()


def _caller(claims: dict[str, Any]) -> Caller:
    """Claims of a type that is not ours are another system's and mean nothing here; of ours they must be usable."""
    sub = claims["sub"]
    if not isinstance(sub, str):
        raise Unauthenticated("The token's 'sub' must be a text of 1 to 255 characters.")
    roles = claims.get("roles")
    return Caller(
        sub=_text("sub", sub),
        roles=frozenset(r for r in roles if isinstance(r, str) and r in ROLES)
        if isinstance(roles, list)
        else frozenset(),
        uid=_whole("uid", claims.get("uid")),
        name=_name(claims),
        quota_bytes=_whole("quota_bytes", claims.get("quota_bytes")),
        quota_objects=_whole("quota_objects", claims.get("quota_objects")),
        expires_at=_expiry(claims.get("exp")),
    )


def may_be_sub(value: str) -> bool:
    """Whether a token could name its bearer so: what can be nobody's id need not be looked for."""
    return 0 < len(value) <= _TEXT_CHARS and all(unicodedata.category(c) not in {"Cc", "Cs"} for c in value)


def _text(claim: str, value: str) -> str:
    if not may_be_sub(value):
        raise Unauthenticated(
            f"The token's {claim!r} must be a text of 1 to {_TEXT_CHARS} characters without control characters."
        )
    return value


def _name(claims: dict[str, Any]) -> str | None:
    for claim in ("preferred_username", "username"):
        value = claims.get(claim)
        if isinstance(value, str) and value:
            return _text(claim, value)
    return None


def _whole(claim: str, value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if not 0 <= value <= _WHOLE_MOST:
        raise Unauthenticated(f"The token's {claim!r} must be a whole number from 0 to {_WHOLE_MOST}.")
    return value


def _expiry(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LAST_SECOND:
        raise Unauthenticated(
            f"The token's 'exp' must be a time in seconds since 1970, at most {_LAST_SECOND} (the year 9999)."
        )
    return datetime.fromtimestamp(value, UTC)
