"""What a batch of our own API is answered: each file's media or problem, and the status that says how it went."""

from typing import Any

import msgspec
from litestar import Response

from services.ingest.batch import Item
from shared import problem
from shared.errors import TripodError, Unavailable


class NoneTaken(TripodError):
    """Not one file of a batch was taken, each for a reason of its own."""

    status = 422
    code = "none_taken"
    title = "No file was taken"


def answered(items: list[Item]) -> Response[bytes]:
    """201 where the catalog has one of the new media at least, 202 where it will have them, 200 where its owner had
    every file already. Where none was taken, the status that all refusals share, else 422, and a problem document
    with the same members."""
    answers = [item.answer for item in items if item.answer]
    failed = [_failed(place, item) for place, item in enumerate(items, 1) if item.error]
    members = {
        "uploaded": [msgspec.Raw(answer.body.encode()) for answer in answers],
        "failed": failed,
        "uploaded_count": len(answers),
        "failed_count": len(failed),
    }
    if not answers:
        return _none_taken([item.error for item in items if item.error], members)
    headers = {"Cache-Control": "no-store"}
    if all(item.replayed for item in items):
        headers["Idempotent-Replayed"] = "true"
    return Response(
        msgspec.json.encode(members, enc_hook=str),
        status_code=min((answer.status for answer in answers if answer.status != 200), default=200),
        headers=headers,
        media_type="application/json",
    )


def _failed(place: int, item: Item) -> dict[str, Any]:
    error = item.error
    shown = {} if error is None else problem.document(error)
    found: dict[str, Any] = {"filename": item.filename, "place": place, "problem": shown}
    if error is not None and "Retry-After" in (headers := problem.headers(error)):
        found["retry_after"] = int(headers["Retry-After"])
    return found


def _none_taken(errors: list[TripodError], members: dict[str, Any]) -> Response[bytes]:
    """One refusal that goes for all is told as it is; clients that retry a 503 or a 429 know what to do."""
    alike = len({(error.status, error.code) for error in errors}) == 1
    count = len(errors)
    told = f"Not one of the {count} files was taken." if count > 1 else "The file was not taken."
    shown = errors[0] if alike else NoneTaken(f"{told} `failed` says why for each.")
    document = problem.document(shown)
    if alike:
        document["detail"] = f"{told} {shown.detail}"
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    headers = problem.headers(shown)
    if waits and isinstance(shown, Unavailable):
        headers["Retry-After"] = str(max(waits))
    return Response(
        msgspec.json.encode(document | members, enc_hook=str),
        status_code=shown.status,
        headers=headers,
        media_type=problem.MEDIA_TYPE,
    )
