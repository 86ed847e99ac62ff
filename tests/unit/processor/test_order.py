import uuid
from datetime import UTC, datetime

import pytest

from services.processor.order import order_of
from shared.events import topology
from shared.events.messages import Event, MediaDeleted, MediaUploaded, ReprocessRequested

ID = uuid.UUID(int=1)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
UPLOAD = MediaUploaded(
    id=ID,
    number=1,
    owner="ann",
    profile="default",
    recipe="standard",
    key="k",
    filename="photo.jpg",
    mime_type="image/jpeg",
    media_type="image",
    size=1,
    sha256="0" * 64,
    is_public=False,
    created_at=NOW,
)
AGAIN = ReprocessRequested(
    id=ID,
    generation=2,
    owner="ann",
    key="k",
    mime_type="image/jpeg",
    media_type="image",
    recipe="standard",
    size=1,
    requested_at=NOW,
)


@pytest.mark.parametrize(
    ("event", "subject", "urgent"),
    [
        (UPLOAD, topology.uploaded("image", "fresh"), True),
        (UPLOAD, topology.uploaded("image", "bulk"), False),
        (UPLOAD, topology.uploaded("image", topology.SLOW), False),
        (AGAIN, topology.media_subject("reprocess_requested", "image"), False),
    ],
)
def test_only_fresh_uploads_go_first(event: Event, subject: str, *, urgent: bool) -> None:
    order = order_of(event, subject)
    assert order is not None
    assert (order.urgent, order.id, order.key) == (urgent, ID, "k")


def test_what_asks_for_nothing_is_no_order() -> None:
    deleted = MediaDeleted(
        id=ID, number=1, owner="ann", media_type="image", key="k", variants="v", deleted_at=NOW
    )
    assert order_of(deleted, topology.media_subject("deleted", "image")) is None
