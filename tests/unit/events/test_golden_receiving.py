"""The bytes of a progress message while a file is received: what older ones had, and three members more."""

import uuid
from datetime import UTC, datetime

from shared.events.messages import Progress, encode

ID = uuid.UUID("01987d6c-5b1a-7c3e-9f00-0123456789ab")
MOMENT = datetime(2026, 11, 21, 7, 33, tzinfo=UTC)
GOLDEN = (
    '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"progress.v1",'
    '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00Z",'
    '"datacontenttype":"application/json","traceparent":null,'
    '"data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1","stage":"receiving","percent":25,'
    '"at":"2026-11-21T07:33:00Z","filename":"a.mov","received":5,"size":20}}'
)


def test_progress_of_receiving_has_these_bytes() -> None:
    event = Progress(
        id=ID,
        owner="user-1",
        stage="receiving",
        percent=25,
        at=MOMENT,
        filename="a.mov",
        received=5,
        size=20,
    )
    data = encode(event, source="ingest", event_id="event-1", subject=str(ID), time=MOMENT, traceparent=None)
    assert data.decode() == GOLDEN
