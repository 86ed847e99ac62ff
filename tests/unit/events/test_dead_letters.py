"""What a dead letter says of the error, for the person who decides about it."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from shared.errors import Invalid
from shared.events import dead_letters
from shared.events.dead_letters import MAX_ERROR_CHARACTERS, DeadLetter, describe, summary
from shared.events.memory import MemoryBus
from shared.events.topology import DEAD, TOPOLOGY, dead_letter


class OutOfRange(Exception):
    """An error of a library: where it happened, why, the statement, and where to read on."""


def failed(message: str) -> Exception:
    try:
        try:
            int("seven")
        except ValueError as error:
            raise OutOfRange(message) from error
    except OutOfRange as error:
        found = error
    return found


MESSAGE = "bigint out of range\n[SQL: INSERT INTO media]\n(Background on this error at: https://example.test)"


@pytest.mark.parametrize("tail", ["", "\n" + "x" * 2 * MAX_ERROR_CHARACTERS])
def test_the_summary_is_the_line_that_says_what_was_wrong(tail: str) -> None:
    described = describe(failed(MESSAGE + tail))
    assert len(described) <= MAX_ERROR_CHARACTERS
    assert summary(described).endswith("OutOfRange: bigint out of range")


def test_a_described_error_holds_its_cause_and_place() -> None:
    described = describe(failed(MESSAGE))
    assert "invalid literal" in described
    assert "test_dead_letters.py" in described


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Invalid("The size is -1.\nAllowed is more."), "The size is -1."),
        (Invalid(""), ""),
        (ExceptionGroup("two tasks failed", [ValueError("a"), ValueError("b")]), "two tasks failed"),
    ],
)
def test_every_error_has_a_summary(error: Exception, line: str) -> None:
    assert line in summary(describe(error))


def letter(data: bytes, subject: str = "media.v1.uploaded.image.fresh") -> DeadLetter:
    return DeadLetter(
        durable="catalog-projector",
        stream="MEDIA",
        subject=subject,
        sequence=1,
        attempts=1,
        headers={},
        data=data,
        code="invalid",
        error="",
        died_at=datetime.now(UTC),
    )


async def test_many_letters_are_listed_in_order_without_those_that_are_gone() -> None:
    bus = MemoryBus()
    await bus.ensure(TOPOLOGY)
    for number in range(1, 301):
        data = msgspec.json.encode(letter(b"%d" % number))
        await bus.publish(dead_letter("catalog-projector"), data, message_id=str(number))
    for gone in (1, 128, 129, 300):
        await dead_letters.drop(bus, gone)
    await bus.publish(dead_letter("catalog-projector"), b"no letter", message_id="odd")
    listed = await dead_letters.list_all(bus)
    assert [found.sequence for found in listed] == [n for n in range(2, 300) if n not in {128, 129}]
    assert all(found.letter.data == b"%d" % found.sequence for found in listed)
    assert await bus.last_sequence(DEAD) == 301


def test_a_letter_knows_the_media_of_its_event_where_that_can_be_read() -> None:
    media_id = uuid.uuid4()
    told = msgspec.json.encode({"subject": str(media_id), "data": {}})
    assert letter(told).media_id == media_id
    for odd in (b"not an event", b"{}", b'{"subject": "post/1"}', b'{"subject": 7}'):
        assert letter(odd).media_id is None
    assert letter(told, "media.v1.deleted.image").of_deletion
    assert not letter(told).of_deletion
