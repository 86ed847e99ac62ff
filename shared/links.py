"""Signed links: an expiring right to one path, for `<img>` and `<video>` that cannot send a header."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from shared.env import Env
from shared.errors import Forbidden

MAX_SECONDS = 7 * 24 * 3600
_NOT_VALID = "This link is not valid: its signature does not match its address."


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds`: how long a link lives unless asked; `window`: the expiry is rounded up to a multiple of this,
    so that one file has one URL per window and caches work."""

    secret: str
    seconds: int = 3600
    window: int = 900

    @classmethod
    def from_env(cls, env: Env) -> "LinkSettings":
        return cls(
            secret=env.secret("TRIPOD_LINK_SECRET"),
            seconds=env.integer("TRIPOD_LINK_SECONDS", 3600, least=60, most=MAX_SECONDS),
            window=env.integer("TRIPOD_LINK_WINDOW", 900, least=1, most=86400),
        )


def sign(
    settings: LinkSettings,
    path: str,
    *,
    seconds: int | None = None,
    disposition: str = "",
    parameters: Mapping[str, str] | None = None,
    now: float | None = None,
) -> tuple[str, int]:
    """The path with its signature, and its expiry as Unix seconds. `path` is unescaped and has no query; `parameters`
    go into it.

    Method, path, expiry, disposition and all parameters are under the signature; GET covers HEAD.
    """
    moment = time.time() if now is None else now
    lifetime = settings.seconds if seconds is None else seconds
    expires = -(-int(moment + lifetime) // settings.window) * settings.window
    query = {**(parameters or {}), "expires": str(expires)}
    if disposition:
        query["disposition"] = disposition
    query["signature"] = _signature(settings, path, expires, disposition, parameters)
    return f"{quote(path)}?{urlencode(query)}", expires


def query_until(settings: LinkSettings, path: str, expires: int) -> str:
    """The query of a link to another path that ends with the one that leads to it, to the second."""
    return urlencode({"expires": str(expires), "signature": _signature(settings, path, expires, "", None)})


def check(
    settings: LinkSettings,
    path: str,
    *,
    expires: str,
    disposition: str,
    signature: str,
    parameters: Mapping[str, str] | None = None,
    now: float | None = None,
) -> None:
    """Return when the link holds. Raises Forbidden when it was changed or has expired."""
    moment = time.time() if now is None else now
    until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 13 else 0
    if str(until) != expires:  # one link has one way to be written
        raise Forbidden(_NOT_VALID)
    expected = _signature(settings, path, until, disposition, parameters)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise Forbidden(_NOT_VALID)
    if moment > until:
        raise Forbidden("This link has expired; ask for a new one.")


def _signature(
    settings: LinkSettings, path: str, expires: int, disposition: str, parameters: Mapping[str, str] | None
) -> str:
    # Without parameters there is no line of them, as in links that were made before there were any.
    query = (urlencode(sorted(parameters.items())),) if parameters else ()
    text = "\n".join(("GET", path, str(expires), disposition, *query))
    return hmac.new(settings.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
