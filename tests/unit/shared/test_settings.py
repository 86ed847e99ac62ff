import pytest

from shared.auth import AuthSettings
from shared.env import Env
from shared.errors import SettingsError
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings


def complaint(**environ: str) -> str:
    env = Env({"TRIPOD_JWT_SECRET": "s" * 32, "TRIPOD_LINK_SECRET": "l" * 32, **environ})
    AuthSettings.from_env(env)
    HttpSettings.from_env(env, port=8001)
    LinkSettings.from_env(env)
    LogSettings.from_env(env)
    with pytest.raises(SettingsError) as caught:
        env.check()
    return caught.value.detail


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRIPOD_HTTP_PORT", "eighty", "a whole number from 1 to 65535"),
        ("TRIPOD_HTTP_PORT", "70000", "'70000'"),
        ("TRIPOD_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("TRIPOD_BASE_URL", "localhost", "http://host[:port]"),
        ("TRIPOD_ENV", "staging", "one of production, development"),
        ("TRIPOD_LINK_SECONDS", "1", "a whole number from 60 to"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named_with_what_is_allowed(
    name: str, value: str, says: str
) -> None:
    text = complaint(**{name: value})
    assert name in text
    assert says in text


def test_all_wrong_settings_are_named_at_once() -> None:
    text = complaint(TRIPOD_LOG_FORMAT="xml", TRIPOD_HTTP_PORT="0")
    assert "TRIPOD_LOG_FORMAT" in text
    assert "TRIPOD_HTTP_PORT" in text


@pytest.mark.parametrize("secret", ["", "changeme", "x" * 31])
def test_a_short_or_missing_secret_stops_production_and_is_never_repeated(secret: str) -> None:
    text = complaint(TRIPOD_JWT_SECRET=secret)
    assert "TRIPOD_JWT_SECRET" in text
    assert "at least 32 bytes" in text
    assert not secret or secret not in text


def test_development_starts_without_secrets() -> None:
    env = Env({"TRIPOD_ENV": "development"})
    AuthSettings.from_env(env)
    LinkSettings.from_env(env)
    env.check()


def test_a_key_set_makes_the_shared_secret_unnecessary() -> None:
    env = Env({"TRIPOD_JWT_JWKS": "https://id.example/keys"})
    assert not AuthSettings.from_env(env).secret
    env.check()
