"""Where the server is and who one is: the options that every command of a client has, and the checks on them."""

import re
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

import click
import jwt
import msgspec

from shared.cli.failures import HOW_TO_SIGN_IN
from shared.cli.frame import command
from shared.errors import Invalid, Unauthenticated

P = ParamSpec("P")

DEFAULT_URL = "http://localhost:8000"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An origin, without a slash at its end, and the token for it. The token is left out of what is printed."""

    url: str = DEFAULT_URL
    token: str | None = None

    def __repr__(self) -> str:
        return f"Server(url={self.url!r})"

    @property
    def sub(self) -> str:
        """Whose token it is. Raises Unauthenticated where there is none, or none that can be read; whether it holds is
        for the server to say."""
        if self.token is None:
            raise Unauthenticated(f"This needs a token: {HOW_TO_SIGN_IN}.")
        try:
            claims = jwt.decode(self.token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            claims = {}
        if not isinstance(claims.get("sub"), str):
            raise Unauthenticated(f"The token is none that names a user: {HOW_TO_SIGN_IN}.")
        return str(claims["sub"])


def server_at(url: str, token: str | None) -> Server:
    """Raises Invalid for what is no address, and for a token that no header can hold (without showing it)."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(f"TRIPOD_URL is {url[:200]!r}; allowed is an address as {DEFAULT_URL}.")
    if parts.username or parts.password:
        raise Invalid("TRIPOD_URL has a user or a password in it; who you are goes into TRIPOD_TOKEN.")
    wanted = (token or "").strip()
    if wanted and not _TOKEN.fullmatch(wanted):
        raise Invalid("TRIPOD_TOKEN has spaces or other characters that no token has.")
    return Server(url=url.rstrip("/"), token=wanted or None)


def client_command(work: Callable[Concatenate[Server, P], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A command that is handed the server, with the options that say which; errors as `command` has it."""

    @click.option("--url", envvar="TRIPOD_URL", default=DEFAULT_URL, show_default=True, show_envvar=True,
                  help="Where the server is.")  # fmt: skip
    @click.option("--token", envvar="TRIPOD_TOKEN", show_envvar=True,
                  help="Who you are; better in the environment, which nobody else sees.")  # fmt: skip
    @command
    @wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        url, token = str(kwargs.pop("url")), kwargs.pop("token")
        await work(server_at(url, None if token is None else str(token)), *args, **kwargs)

    return run
