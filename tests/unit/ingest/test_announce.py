"""The event as it is prepared: always the same for one id, and short enough for the stream with its headers."""

import hashlib

import msgspec
import pytest

from services.ingest.announce import prepare
from shared.errors import Invalid
from shared.events.messages import MAX_EVENT_BYTES, MediaUploaded
from shared.ids import id_time, new_id

ID = new_id()
EVENT = MediaUploaded(
    id=ID,
    number=1,
    owner="ann",
    profile="default",
    recipe="standard",
    key="a/b.jpg",
    filename="b.jpg",
    mime_type="image/jpeg",
    media_type="image",
    size=1,
    sha256=hashlib.sha256(b"x").hexdigest(),
    is_public=False,
    created_at=id_time(ID),
)


def test_one_id_has_one_message_id_and_the_lane_is_in_the_subject() -> None:
    first, second = prepare(EVENT, "fresh"), prepare(EVENT, "bulk")
    assert first.message_id == second.message_id
    assert (first.subject, second.subject) == (
        "media.v1.uploaded.image.fresh",
        "media.v1.uploaded.image.bulk",
    )
    other = prepare(msgspec.structs.replace(EVENT, id=new_id()), "fresh")
    assert other.message_id != first.message_id


@pytest.mark.parametrize("over", [1, 900, 5000])
def test_an_event_without_room_for_its_headers_is_refused(over: int) -> None:
    room = MAX_EVENT_BYTES - 1024 - len(prepare(EVENT, "fresh").envelope) + len("null") - len('""')
    prepare(msgspec.structs.replace(EVENT, description="x" * (room - 100)), "fresh")
    with pytest.raises(Invalid, match="60 KiB"):
        prepare(msgspec.structs.replace(EVENT, description="x" * (room + over + 100)), "fresh")


def test_the_longest_part_of_an_event_is_blamed_for_its_length() -> None:
    with pytest.raises(Invalid) as refusal:
        prepare(msgspec.structs.replace(EVENT, owner_name="x" * 70_000, caption="y" * 500), "fresh")
    blame = refusal.value.detail.partition("longest are ")[2]
    assert blame.startswith("the token's preferred_username with 70002 bytes, caption with 502 bytes")
