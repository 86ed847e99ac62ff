"""Who is asking: bearer tokens (JWT) become a Caller."""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import msgspec

from shared.env import Env
from shared.errors import SettingsError, Unauthenticated, Unavailable

_ASYMMETRIC = ("RS256", "ES256", "EdDSA")
_LEEWAY = 10  # seconds by which clocks may differ
_REMEMBERED_SECONDS = 60.0
_REMEMBERED = 4096  # tokens
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
    """The one who asks. `sub` is None for nobody in particular."""

    sub: str | None = None
    roles: frozenset[str] = frozenset()
    uid: int | None = None
    name: str | None = None
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
    """Checks tokens. The algorithm is pinned by the kind of key, never chosen by the token.

    A token that held is believed for a minute, at most until it expires: checking it anew would cost a tenth of a
    small upload.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._held: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._file_keys: jwt.PyJWKSet | None = None
        self._client: jwt.PyJWKClient | None = None
        if settings.jwks.startswith(("https://", "http://")):
            self._client = jwt.PyJWKClient(settings.jwks, cache_jwk_set=True, lifespan=300, timeout=5)
        elif settings.jwks:
            self._file_keys = _read_keys(settings.jwks)

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
            key, algorithms = await self._key(header)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                leeway=_LEEWAY,
                issuer=self._settings.issuer or None,
                audience=self._settings.audience or None,
                options={"require": ["sub"], "verify_aud": bool(self._settings.audience)},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired; ask for a new one.") from error
        except jwt.PyJWKClientConnectionError as error:
            raise Unavailable("The key set that signs tokens cannot be fetched.", retry_after=5) from error
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        return claims

    async def _key(self, header: dict[str, Any]) -> tuple[Any, list[str]]:
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._settings.secret:
            return self._settings.secret, ["HS256"]
        if algorithm in _ASYMMETRIC and self._settings.jwks:
            key = await self._public_key(kid)
            return key.key, [algorithm]
        raise jwt.InvalidAlgorithmError(f"the algorithm {algorithm!r} is not accepted here")

    async def _public_key(self, kid: str | None) -> jwt.PyJWK:
        if self._client is not None:
            # It refetches the set once when the kid is new, so a rotated key works at once.
            return await asyncio.to_thread(self._client.get_signing_key, kid or "")
        for key in self._file_keys.keys if self._file_keys else ():
            if kid is None or key.key_id == kid:
                return key
        raise jwt.InvalidKeyError(f"no key has the id {kid!r}")


def _expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at.timestamp() + _LEEWAY <= time.time()


def _read_keys(path: str) -> jwt.PyJWKSet:
    try:
        return jwt.PyJWKSet.from_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, jwt.PyJWTError) as error:
        raise SettingsError(
            f"TRIPOD_JWT_JWKS names {path!r}, which is no readable key set: {error}."
        ) from error


def _caller(claims: dict[str, Any]) -> Caller:
    sub = claims["sub"]
    if not isinstance(sub, str) or not 0 < len(sub) <= 255 or "\0" in sub:
        raise Unauthenticated("The token's 'sub' must be a text of 1 to 255 characters.")
    roles = claims.get("roles", [])
    uid = claims.get("uid")
    name = claims.get("preferred_username") or claims.get("username")
    expires = claims.get("exp")
    return Caller(
        sub=sub,
        roles=frozenset(r for r in roles if r in ROLES) if isinstance(roles, list) else frozenset(),
        uid=uid if isinstance(uid, int) and not isinstance(uid, bool) else None,
        name=name if isinstance(name, str) else None,
        expires_at=datetime.fromtimestamp(expires, UTC) if isinstance(expires, (int, float)) else None,
    )
