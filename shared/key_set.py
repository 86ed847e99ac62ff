"""The public keys that tokens are signed with, from a file or a URL, and which of them a token is checked by."""

import asyncio
from pathlib import Path
from typing import Any

import jwt

from shared.errors import SettingsError, Unavailable

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
_FETCH_SECONDS = 5
_LIFE_SECONDS = 300


class KeySet:
    """The keys of one issuer. Each fits exactly one algorithm, which its own type says, never a token."""

    def __init__(self, source: str) -> None:
        self._file: list[jwt.PyJWK] = []
        self._client: jwt.PyJWKClient | None = None
        if source.startswith(("https://", "http://")):
            self._client = jwt.PyJWKClient(
                source, cache_jwk_set=True, lifespan=_LIFE_SECONDS, timeout=_FETCH_SECONDS
            )
        else:
            self._file = _read(source)

    async def key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        """The key for a token of this header, and its algorithm.

        Raises jwt.InvalidTokenError where none fits, Unavailable when the set cannot be had.
        """
        kid = header.get("kid")
        key = await self._named(kid) if kid is not None else await self._only(header.get("alg"))
        if key.algorithm_name not in ALGORITHMS:
            raise jwt.InvalidKeyError(
                f"the key {kid!r} is for {key.algorithm_name}, which is not accepted here"
            )
        return key.key, str(key.algorithm_name)

    async def _named(self, kid: str) -> jwt.PyJWK:
        found = _by_id(await self._keys(), kid)
        if found is None and self._client is not None:
            # It fetches the set anew for an id that it does not know, so a rotated key works at once.
            found = await self._fetch_named(self._client, kid)
        if found is None:
            raise jwt.InvalidKeyError(f"no key has the id {kid[:80]!r}")
        return found

    async def _only(self, algorithm: Any) -> jwt.PyJWK:
        fitting = [key for key in await self._keys() if key.algorithm_name == algorithm]
        if len(fitting) != 1:
            raise jwt.InvalidKeyError(
                f"it names no key ('kid'), and {len(fitting)} keys are for {str(algorithm)[:20]!r}"
            )
        return fitting[0]

    async def _keys(self) -> list[jwt.PyJWK]:
        if self._client is None:
            return self._file
        try:
            found = await asyncio.to_thread(self._client.get_jwk_set)
        except (jwt.PyJWKClientError, jwt.PyJWKSetError, ValueError) as error:  # ValueError: it is no JSON
            raise _cannot_be_had() from error
        return _signing(found)

    async def _fetch_named(self, client: jwt.PyJWKClient, kid: str) -> jwt.PyJWK | None:
        try:
            return await asyncio.to_thread(client.get_signing_key, kid)
        except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, ValueError) as error:
            raise _cannot_be_had() from error
        except jwt.PyJWKClientError:  # the set is there, and no key in it has this id
            return None


def _by_id(keys: list[jwt.PyJWK], kid: str) -> jwt.PyJWK | None:
    return next((key for key in keys if key.key_id == kid), None)


def _signing(found: jwt.PyJWKSet) -> list[jwt.PyJWK]:
    return [key for key in found.keys if key.public_key_use in {"sig", None}]


def _cannot_be_had() -> Unavailable:
    return Unavailable("The key set that tokens are checked by cannot be had.", retry_after=5)


def _read(path: str) -> list[jwt.PyJWK]:
    try:
        return _signing(jwt.PyJWKSet.from_json(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, jwt.PyJWTError) as error:
        raise SettingsError(
            f"TRIPOD_JWT_JWKS names {path!r}, which is no readable key set: {error}."
        ) from error
