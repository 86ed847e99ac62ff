"""The settings of the dialects, the same for both services."""

from typing import Literal, TypeAlias, get_args

import msgspec

from shared.env import Env

Name: TypeAlias = Literal["personas", "library", "content", "mediafiles", "entities"]
Anonymous: TypeAlias = Literal["none", "read", "full"]
ALL: tuple[Name, ...] = get_args(Name)
_MODES: tuple[Anonymous, ...] = get_args(Anonymous)


class DialectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`enabled`: those that are spoken. `anonymous`: what the library lets somebody without a token do. `wait`:
    seconds for which an upload waits for its media to be processed, where the document promises that. `folder`:
    where the embedded store keeps its files; empty where the store is a real one. `largest`: whole-request limits
    in bytes of dialects that have one."""

    enabled: frozenset[Name] = frozenset(ALL)
    anonymous: Anonymous = "read"
    wait: float = 5.0
    folder: str = ""
    largest: dict[str, int] = {}

    @classmethod
    def from_env(cls, env: Env) -> "DialectSettings":
        """Raises nothing: what is wrong is among the complaints of `env`."""
        return cls(
            enabled=_enabled(env),
            anonymous=_anonymous(env),
            wait=env.seconds("TRIPOD_SYNC_WAIT", 5.0, least=0, most=60),
            folder=env.text("TRIPOD_STORAGE_FOLDER", ""),
            largest={
                "content": _bytes(env, "TRIPOD_CONTENT_MAX_BYTES", 100 * 2**20),
                "library": _bytes(env, "TRIPOD_LIBRARY_MAX_BYTES", 10 * 2**20),
                "personas": _bytes(env, "TRIPOD_PERSONAS_MAX_BYTES", 100 * 2**20),
            },
        )


def _enabled(env: Env) -> frozenset[Name]:
    text = env.text("TRIPOD_DIALECTS", ",".join(ALL))
    asked = {part.strip() for part in text.split(",") if part.strip()} - {"none"}
    if asked - set(ALL):
        env.complain("TRIPOD_DIALECTS", text, f"some of {', '.join(ALL)}, separated by commas, or none")
    return frozenset(name for name in ALL if name in asked)


def _anonymous(env: Env) -> Anonymous:
    value = env.choice("TRIPOD_LIBRARY_ANONYMOUS", "read", _MODES)
    return next(mode for mode in _MODES if mode == value)


def _bytes(env: Env, name: str, default: int) -> int:
    return env.integer(name, default, least=1, most=2**40)
