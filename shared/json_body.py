"""How the JSON body of a request is read: within a limit, and refused for what it is."""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import SerializationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from shared.errors import Malformed, TooLarge

MOST_BYTES = 1024 * 1024
_HALF = re.compile(rb"\\u[dD][89abAB]")


class JsonRequest(Request[Any, Any, Any]):
    """A request whose unreadable body is the caller's fault, whatever the reader stumbles over."""

    async def body(self) -> bytes:
        """Raises TooLarge."""
        try:
            return await super().body()
        except RequestEntityTooLarge as error:
            raise TooLarge(
                f"The body is larger than {MOST_BYTES} bytes, the most that is taken here.",
                limit=MOST_BYTES,
                field="body",
            ) from error

    async def json(self) -> Any:
        """Raises Malformed, TooLarge."""
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            raise Malformed("The body is not valid UTF-8, so it is no JSON.") from error
        except RecursionError as error:
            raise Malformed("The body is nested too deeply.") from error
        except SerializationException as error:
            raise Malformed(f"The body is no JSON: {_why(error, await self.body())}.") from error


def _why(error: SerializationException, body: bytes) -> str:
    """The reader takes the first half of a character near the end for a body that was cut off."""
    if "truncated" in str(error) and _HALF.search(body):
        return r"a text has half of a character (\ud800 to \udfff come in pairs), or the body ends too early"
    return str(error)
