import base64
import json
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import jwt
import pytest

from shared import auth
from shared.auth import ANONYMOUS, Authenticator, AuthSettings
from shared.errors import SettingsError, Unauthenticated
from tests.fixtures.tokens import KEYS, SECRET, bearer, write_keys


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def forged(header: dict[str, str]) -> str:
    """What anybody can send: a header of their choice and a signature of nothing."""
    return f"Bearer {encoded(json.dumps(header))}.{encoded(json.dumps({'sub': 'u1'}))}.{encoded('x' * 64)}"


def _later(by: timedelta) -> type[datetime]:
    """A clock that is ahead."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + by.total_seconds(), tz)

    return Clock


async def test_a_token_names_its_caller_with_roles_uid_and_name() -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    token = bearer(
        {"sub": "u1", "roles": ["admin", "emperor"], "uid": 7, "preferred_username": "ann", "exp": until}
    )
    caller = await Authenticator(AuthSettings(secret=SECRET)).caller(token)
    assert (caller.sub, caller.roles, caller.uid, caller.name) == ("u1", frozenset({"admin"}), 7, "ann")
    assert caller.expires_at == until
    assert caller.governs


async def test_nobody_is_anonymous_and_sees_nothing_of_others() -> None:
    assert await Authenticator(AuthSettings(secret=SECRET)).caller(None) is ANONYMOUS
    assert not ANONYMOUS.sees_all


@pytest.mark.parametrize(
    "header",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        "Bearer not.a.token",
        bearer({"sub": "u1"}, "another secret of more than 32 bytes!!"),
        bearer({"sub": "u1", "exp": datetime.now(UTC) - timedelta(minutes=1)}),
        bearer({"name": "no sub"}),
        bearer({"sub": ""}),
        bearer({"sub": "a\0b"}),
        bearer({"sub": "u1"}, None, "none"),
        bearer({"sub": "u1"}, SECRET * 2, "HS512"),
    ],
)
async def test_a_token_that_proves_nothing_is_refused(header: str) -> None:
    with pytest.raises(Unauthenticated):
        await Authenticator(AuthSettings(secret=SECRET)).caller(header)


@pytest.mark.parametrize("algorithm", list(KEYS))
async def test_a_key_set_in_a_file_checks_tokens_by_kid(algorithm: str, tmp_path: Path) -> None:
    old, new = KEYS[algorithm][0](), KEYS[algorithm][0]()
    path = write_keys(tmp_path / "keys.json", {"old": (algorithm, old), "new": (algorithm, new)})
    authenticator = Authenticator(AuthSettings(jwks=path))
    assert (await authenticator.caller(bearer({"sub": "u1"}, new, algorithm, "new"))).sub == "u1"
    assert (await authenticator.caller(bearer({"sub": "u1"}, old, algorithm, "old"))).sub == "u1"
    with pytest.raises(Unauthenticated):
        await authenticator.caller(bearer({"sub": "u1"}, new, algorithm, "old"))
    with pytest.raises(Unauthenticated):
        await authenticator.caller(bearer({"sub": "u1"}, new, algorithm, "gone"))


async def test_a_public_key_is_never_taken_for_a_shared_secret(tmp_path: Path) -> None:
    key = KEYS["RS256"][0]()
    path = write_keys(tmp_path / "keys.json", {"k": ("RS256", key)})
    authenticator = Authenticator(AuthSettings(jwks=path))
    with pytest.raises(Unauthenticated, match="HS256"):
        await authenticator.caller(bearer({"sub": "u1"}, SECRET, "HS256", "k"))


@pytest.mark.parametrize("claimed", ["RS256", "ES256", "EdDSA", "PS256", "HS256", "none"])
@pytest.mark.parametrize("kid", ["RS256", "ES256", "EdDSA", "gone", None])
async def test_a_forged_header_is_refused_whatever_key_and_algorithm_it_names(
    claimed: str, kid: str | None, tmp_path: Path
) -> None:
    path = write_keys(tmp_path / "keys.json", {name: (name, make()) for name, (make, _) in KEYS.items()})
    header = {"alg": claimed, **({"kid": kid} if kid else {})}
    with pytest.raises(Unauthenticated):
        await Authenticator(AuthSettings(jwks=path, secret=SECRET)).caller(forged(header))


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"uid": 2**53}, "'uid'"),
        ({"uid": -1}, "'uid'"),
        ({"uid": 10**400}, "'uid'"),
        ({"exp": 10**12}, "'exp'"),
        ({"exp": str(10**10)}, "'exp'"),
        ({"exp": [10**10]}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"nbf": {}}, "nbf"),
        ({"sub": "\ud800"}, "'sub'"),
        ({"sub": "x" * 256}, "'sub'"),
        ({"preferred_username": "x" * 256}, "'preferred_username'"),
        ({"preferred_username": "a\0b"}, "'preferred_username'"),
        ({"username": "\ud800"}, "'username'"),
    ],
)
async def test_a_signed_claim_that_cannot_be_used_is_refused_by_its_name(
    claims: dict[str, Any], named: str
) -> None:
    with pytest.raises(Unauthenticated, match=named):
        await Authenticator(AuthSettings(secret=SECRET)).caller(bearer({"sub": "u1", **claims}))


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": [["admin"]]},
        {"roles": [{"admin": True}]},
        {"roles": "admin"},
        {"roles": None},
        {"uid": "jdoe"},
        {"uid": True},
        {"uid": None},
        {"preferred_username": 7},
    ],
)
async def test_claims_that_mean_something_else_elsewhere_mean_nothing_here(claims: dict[str, Any]) -> None:
    caller = await Authenticator(AuthSettings(secret=SECRET)).caller(bearer({"sub": "u1", **claims}))
    assert (caller.roles, caller.uid, caller.name) == (frozenset(), None, None)


async def test_the_largest_uid_and_the_last_expiry_are_taken() -> None:
    token = bearer({"sub": "u1", "uid": 2**53 - 1, "exp": 253402300799})
    caller = await Authenticator(AuthSettings(secret=SECRET)).caller(token)
    assert caller.uid == 2**53 - 1
    assert caller.expires_at is not None
    assert caller.expires_at.year == 9999


async def test_a_header_that_nests_deeply_is_refused() -> None:
    deep = "[" * 2000 + "]" * 2000
    token = f"Bearer {encoded(deep)}.{encoded('{}')}.{encoded('x')}"
    with pytest.raises(Unauthenticated):
        await Authenticator(AuthSettings(secret=SECRET)).caller(token)


async def test_issuer_and_audience_are_checked_where_they_are_configured() -> None:
    authenticator = Authenticator(AuthSettings(secret=SECRET, issuer="https://id.example", audience="tripod"))
    good = {"sub": "u1", "iss": "https://id.example", "aud": "tripod"}
    assert (await authenticator.caller(bearer(good))).sub == "u1"
    for wrong in ({"iss": "https://evil.example"}, {"aud": "other"}):
        with pytest.raises(Unauthenticated):
            await authenticator.caller(bearer({**good, **wrong}))


async def test_a_token_that_held_is_refused_as_soon_as_it_has_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    token = bearer({"sub": "u1", "exp": until})
    authenticator = Authenticator(AuthSettings(secret=SECRET))
    assert (await authenticator.caller(token)).sub == "u1"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 45)
    with monkeypatch.context() as later:
        later.setattr(jwt.api_jwt, "datetime", _later(timedelta(seconds=45)))
        with pytest.raises(Unauthenticated, match="expired"):
            await authenticator.caller(token)


async def test_tokens_are_remembered_apart_and_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_REMEMBERED", 2)
    authenticator = Authenticator(AuthSettings(secret=SECRET))
    tokens = {name: bearer({"sub": name}) for name in ("u1", "u2", "u3", "u4")}
    for _ in range(2):
        for name, token in tokens.items():
            assert (await authenticator.caller(token)).sub == name
            assert (await authenticator.caller(token)).sub == name
    assert len(authenticator._held) == 2


def test_a_key_set_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TRIPOD_JWT_JWKS"):
        Authenticator(AuthSettings(jwks=str(tmp_path / "absent.json")))
