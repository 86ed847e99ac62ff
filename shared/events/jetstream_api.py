"""JetStream's management requests: JSON in, JSON out, its errors told apart."""

from typing import Any

import msgspec

from shared.errors import Unavailable
from shared.events.jetstream_connection import Connection

NOT_FOUND = 404


class ApiError(Exception):
    """JetStream refused. `code` names the reason, `status` is HTTP's."""

    def __init__(self, status: int, code: int, description: str) -> None:
        super().__init__(f"{description} (JetStream error {code})")
        self.status = status
        self.code = code


async def ask(connection: Connection, verb: str, **body: Any) -> dict[str, Any]:
    """The answer to `$JS.API.<verb>`. Raises ApiError, or Unavailable where a retry may help."""
    message = await connection.request(f"$JS.API.{verb}", msgspec.json.encode(body) if body else b"", verb)
    return answer(message.data, verb)


def answer(data: bytes, what: str) -> dict[str, Any]:
    """The members of an answer. Raises ApiError, or Unavailable for trouble of the server (5xx)."""
    members: dict[str, Any] = msgspec.json.decode(data)
    error = members.get("error")
    if error is None:
        return members
    status, description = error.get("code", 500), error.get("description", "")
    if status >= 500:
        raise Unavailable(f"The message broker cannot do this now ({description}): {what}.")
    raise ApiError(status, error.get("err_code", 0), description)
