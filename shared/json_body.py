"""How the JSON body of a request is read: within a limit, and refused for what it is."""

from typing import Any

from litestar import Request
from litestar.exceptions import SerializationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from shared.errors import Malformed, TooLarge

MOST_BYTES = 1024 * 1024


class JsonRequest(Request[Any, Any, Any]):
    """A request whose unreadable body is the caller's fault, whatever the reader stumbles over."""

    async def body(self) -> bytes:
        """Raises TooLarge."""
        try:
            return await super().body()
        except RequestEntityTooLarge as error:
            raise TooLarge(
                f"The body is larger than {MOST_BYTES} bytes, the most that is taken here.", limit=MOST_BYTES
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
            raise Malformed(f"The body is no JSON: {error}.") from error
