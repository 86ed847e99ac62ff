"""Events that a consumer can never handle: kept with the reason, listed, and replayed when the cause is gone."""

import asyncio
import traceback
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import structlog

from shared.errors import NotFound, TripodError
from shared.events.bus import Bus, Delivery
from shared.events.topology import DEAD, Durable, dead_letter, media_subject

log = structlog.get_logger()

MAX_ERROR_CHARACTERS = 8000
_LINE_CHARACTERS = 1000
_READ_AT_ONCE = 128
_TRACEBACK = "Traceback (most recent call last):\n"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One event that `durable` gave up on: the whole message, where it stood, and why.

    `attempts` is how often it was handed out; `code` is the error's code or the name of its class.
    """

    durable: str
    stream: str
    subject: str
    sequence: int
    attempts: int
    headers: dict[str, str]
    data: bytes
    code: str
    error: str
    died_at: datetime

    @property
    def media_id(self) -> uuid.UUID | None:
        """The media that the event tells of; None where it tells of none, or cannot be read."""
        return _media_id(self.data)

    @property
    def of_deletion(self) -> bool:
        """Whether the event tells an eraser to erase: then the letter outlives the media, or nobody would."""
        return self.subject.startswith(media_subject("deleted", ""))


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A letter and its own place in the dead letters, by which it is replayed or dropped."""

    sequence: int
    letter: DeadLetter


class _Subject(msgspec.Struct, frozen=True):
    """All that is read of an event here: it may be one that nobody else can read."""

    subject: str


async def bury(bus: Bus, durable: Durable, delivery: Delivery, error: Exception) -> None:
    """Store the letter; twice for one delivery is stored once. Raises Unavailable."""
    letter = DeadLetter(
        durable=durable.name,
        stream=durable.stream,
        subject=delivery.subject,
        sequence=delivery.sequence,
        attempts=delivery.delivered,
        headers=dict(delivery.headers),
        data=delivery.data,
        code=error.code if isinstance(error, TripodError) else type(error).__name__,
        error=describe(error),
        died_at=datetime.now(UTC),
    )
    await bus.publish(
        dead_letter(durable.name),
        msgspec.json.encode(letter),
        message_id=f"dead-{durable.name}-{delivery.sequence}",
    )


async def list_all(bus: Bus) -> list[Listed]:
    """Every letter that was neither replayed nor dropped, oldest first. Raises Unavailable."""
    return [listed async for listed in after(bus, 0)]


async def after(bus: Bus, sequence: int) -> AsyncIterator[Listed]:
    """The letters behind a place, oldest first. Raises Unavailable."""
    last = await bus.last_sequence(DEAD)
    for start in range(sequence + 1, last + 1, _READ_AT_ONCE):
        places = range(start, min(start + _READ_AT_ONCE, last + 1))
        letters = await asyncio.gather(*(read(bus, place) for place in places))
        for place, letter in zip(places, letters, strict=True):
            if letter is not None:
                yield Listed(sequence=place, letter=letter)


async def read(bus: Bus, sequence: int) -> DeadLetter | None:
    """One letter by its place, None where there is none. Raises Unavailable."""
    message = await bus.read(DEAD, sequence)
    if message is None:
        return None
    try:
        return msgspec.json.decode(message.data, type=DeadLetter)
    except msgspec.MsgspecError as error:
        log.warning("dead_letter.unreadable", sequence=sequence, subject=message.subject, error=str(error))
        return None


async def replay(bus: Bus, sequence: int) -> int:
    """Publish the event of a letter again, for every consumer of its subject (they are idempotent), and drop
    the letter. The event's new place in its stream. Raises NotFound, Unavailable (then nothing is lost)."""
    letter = await read(bus, sequence)
    if letter is None:
        raise NotFound(f"There is no dead letter {sequence}.")
    published = await bus.publish(
        letter.subject,
        letter.data,
        # Not the event's own id: within the dedup window that would be taken for a repetition.
        message_id=f"replay-{sequence}-{letter.sequence}",
        headers=letter.headers,
    )
    await drop(bus, sequence)
    return published


async def drop(bus: Bus, sequence: int) -> None:
    """Erase a letter for good; absent is success. Raises Unavailable."""
    await bus.erase(DEAD, sequence)


def describe(error: Exception) -> str:
    """The error for the person who decides about a replay; of an unexpected one where it came from, too."""
    if isinstance(error, TripodError):
        return error.detail[:MAX_ERROR_CHARACTERS]
    whole = "".join(traceback.format_exception(error))
    if len(whole) <= MAX_ERROR_CHARACTERS:
        return whole
    first = _first_line("".join(traceback.format_exception_only(error)))
    return f"{first[:_LINE_CHARACTERS]}\n[...]\n{whole[_LINE_CHARACTERS + 10 - MAX_ERROR_CHARACTERS :]}"


def summary(error: str) -> str:
    """The line of a described error that says what was wrong: the first of the exception that ended it."""
    own = error.rpartition(_TRACEBACK)[2] if _TRACEBACK in error else error
    return next((line for line in own.splitlines() if line and not line[0].isspace()), _first_line(error))


def _media_id(data: bytes) -> uuid.UUID | None:
    try:
        return uuid.UUID(msgspec.json.decode(data, type=_Subject).subject)
    except (msgspec.MsgspecError, ValueError):
        return None


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")
