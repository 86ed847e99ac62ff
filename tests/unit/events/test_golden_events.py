"""The bytes of every event. They are a contract with other systems: a change here needs a new version beside it.

Adding an optional field changes the first group only; then the second must still pass untouched.
"""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from shared.errors import Malformed
from shared.events.messages import (
    MAX_EVENT_BYTES,
    TYPES,
    Colour,
    EntityDeleted,
    EntityLink,
    EntityUpserted,
    Event,
    Imported,
    MediaCreated,
    MediaDeleted,
    MediaFailed,
    MediaModerated,
    MediaProcessed,
    MediaRejected,
    MediaUpdated,
    MediaUploaded,
    PictureLimits,
    Progress,
    ReprocessRequested,
    UserDeleted,
    VariantRef,
    decode,
    encode,
)

ID = uuid.UUID("01987d6c-5b1a-7c3e-9f00-0123456789ab")
MOMENT = datetime(2026, 11, 21, 7, 33, 0, 123456, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

EVENTS: dict[str, Event] = {
    "media.uploaded.v1": MediaUploaded(
        id=ID,
        number=42,
        owner="user-1",
        owner_uid=7,
        owner_name="Zoë",
        profile="default",
        recipe="standard",
        key="2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab_photo.jpg",
        filename="photo.jpg",
        mime_type="image/jpeg",
        media_type="image",
        size=123_456,
        sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        is_public=True,
        entity=EntityLink(type="property", id="123", field="photos", is_primary=True, sort_order=2),
        description="A house",
        alt_text="House",
        caption="Front",
        tags=("a", "b"),
        metadata={"k": 1},
        limits=PictureLimits(min_side=50, max_side=8000, max_pixels=64_000_000),
        moderation="pending",
        created_at=MOMENT,
    ),
    "media.rejected.v1": MediaRejected(
        id=ID,
        owner="user-1",
        profile="default",
        filename="photo.jpg",
        media_type="image",
        code="too_large",
        detail="The file is larger than 10 bytes.",
        rejected_at=MOMENT,
    ),
    "media.processed.v1": MediaProcessed(
        id=ID,
        generation=2,
        owner="user-1",
        media_type="image",
        recipe="standard",
        width=4000,
        height=3000,
        duration=1.5,
        bitrate=128_000,
        exif={"Make": "Canon"},
        taken_at="2020-01-02T03:04:05",
        phash="8f0e1d2c3b4a5968",
        phash_turned=("da5b48794e1f6c3d",),
        dhash="0123456789abcdef",
        ahash="ffff00000000ffff",
        colour_hash="07000000000",
        colours=(Colour(hex="#1e90ff", share=0.5),),
        degenerate=True,
        placeholder="1QcSHQRnh493V4dIh4eXh1h4kJUI",
        variants=(
            VariantRef(
                name="thumbnail",
                key="variants/2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab/abcd-thumbnail.jpg",
                mime_type="image/jpeg",
                width=150,
                height=150,
                size=4321,
                spec="abcd",
                sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
        ),
        warnings=("profile",),
        timings={"decode": 12.5},
        processed_at=MOMENT,
    ),
    "media.failed.v1": MediaFailed(
        id=ID,
        generation=1,
        owner="user-1",
        media_type="image",
        code="truncated",
        detail="The file ends early.",
        failed_at=MOMENT,
    ),
    "media.reprocess_requested.v1": ReprocessRequested(
        id=ID,
        generation=3,
        owner="user-1",
        key="2026/11/21/a.jpg",
        size=1,
        mime_type="image/jpeg",
        media_type="image",
        recipe="standard",
        requested_at=MOMENT,
    ),
    "media.deleted.v1": MediaDeleted(
        id=ID,
        number=42,
        owner="user-1",
        media_type="image",
        key="2026/11/21/a.jpg",
        variants="variants/2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab/",
        paths=("download?v=01234567", "variants/small?v=89abcdef"),
        deleted_at=MOMENT,
    ),
    "media.created.v1": MediaCreated(id=ID, owner="user-1", media={"status": "processing"}),
    "media.updated.v1": MediaUpdated(id=ID, owner="user-1", media={"status": "ready"}),
    "media.moderated.v1": MediaModerated(
        id=ID,
        decision=uuid.UUID("01987d6c-5b1a-7c3e-9f00-0123456789cd"),
        owner="user-1",
        media_type="image",
        was="pending",
        state="flagged",
        reason="Somebody is to look at it.",
        note="As before",
        reviewer="user-2",
        matched=uuid.UUID("01987d6c-5b1a-7c3e-9f00-0123456789ef"),
        distance=3,
        moderated_at=MOMENT,
    ),
    "entity.upserted.v1": EntityUpserted(
        type="user", id="1", owners=("user-1",), admins=("user-2",), display_id="USR-1"
    ),
    "entity.deleted.v1": EntityDeleted(type="user", id="1"),
    "user.deleted.v1": UserDeleted(sub="user-1"),
    "progress.v1": Progress(id=ID, owner="user-1", stage="decode", percent=10, at=MOMENT),
}

GOLDEN: dict[str, str] = {
    "media.uploaded.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.uploaded.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","number":42,'
        '"generation":1,"owner":"user-1","owner_uid":7,"owner_name":"Zoë","profile":"default",'
        '"recipe":"standard","key":"2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab_photo.jpg",'
        '"filename":"photo.jpg","mime_type":"image/jpeg","media_type":"image","size":123456,'
        '"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",'
        '"is_public":true,"entity":{"type":"property","id":"123","field":"photos",'
        '"is_primary":true,"sort_order":2},"description":"A house","alt_text":"House",'
        '"caption":"Front","tags":["a","b"],"metadata":{"k":1},'
        '"limits":{"min_side":50,"max_side":8000,"max_pixels":64000000},"moderation":"pending",'
        '"created_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.rejected.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.rejected.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1",'
        '"profile":"default","filename":"photo.jpg","media_type":"image","code":"too_large",'
        '"detail":"The file is larger than 10 bytes.","rejected_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.processed.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.processed.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":2,'
        '"owner":"user-1","media_type":"image","recipe":"standard","width":4000,"height":3000,'
        '"duration":1.5,"bitrate":128000,"exif":{"Make":"Canon"},"taken_at":"2020-01-02T03:04:05",'
        '"phash":"8f0e1d2c3b4a5968","phash_turned":["da5b48794e1f6c3d"],"dhash":"0123456789abcdef",'
        '"ahash":"ffff00000000ffff","colour_hash":"07000000000",'
        '"colours":[{"hex":"#1e90ff","share":0.5}],"degenerate":true,'
        '"placeholder":"1QcSHQRnh493V4dIh4eXh1h4kJUI","variants":[{"name":"thumbnail",'
        '"key":"variants/2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab/abcd-thumbnail.jpg",'
        '"mime_type":"image/jpeg","width":150,"height":150,"size":4321,"spec":"abcd",'
        '"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}],'
        '"warnings":["profile"],"timings":{"decode":12.5},'
        '"processed_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.failed.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.failed.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":1,'
        '"owner":"user-1","media_type":"image","code":"truncated","detail":"The file ends early.",'
        '"failed_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.reprocess_requested.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest",'
        '"type":"media.reprocess_requested.v1","subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab",'
        '"time":"2026-11-21T07:33:00.123456Z","datacontenttype":"application/json",'
        '"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",'
        '"data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":3,"owner":"user-1",'
        '"key":"2026/11/21/a.jpg","size":1,"mime_type":"image/jpeg","media_type":"image",'
        '"recipe":"standard","limits":null,"variants":[],"requested_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.deleted.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.deleted.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","number":42,'
        '"owner":"user-1","media_type":"image","key":"2026/11/21/a.jpg",'
        '"variants":"variants/2026/11/21/01987d6c-5b1a-7c3e-9f00-0123456789ab/",'
        '"paths":["download?v=01234567","variants/small?v=89abcdef"],"deleted_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "media.created.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.created.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1",'
        '"media":{"status":"processing"}}}'
    ),
    "media.updated.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.updated.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1",'
        '"media":{"status":"ready"}}}'
    ),
    "media.moderated.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"media.moderated.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab",'
        '"decision":"01987d6c-5b1a-7c3e-9f00-0123456789cd","owner":"user-1","media_type":"image",'
        '"was":"pending","state":"flagged","reason":"Somebody is to look at it.","note":"As before",'
        '"reviewer":"user-2","matched":"01987d6c-5b1a-7c3e-9f00-0123456789ef","distance":3,'
        '"moderated_at":"2026-11-21T07:33:00.123456Z"}}'
    ),
    "entity.upserted.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"entity.upserted.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"type":"user","id":"1","owners":["user-1"],"admins":["user-2"],'
        '"display_id":"USR-1"}}'
    ),
    "entity.deleted.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"entity.deleted.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"type":"user","id":"1"}}'
    ),
    "user.deleted.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"user.deleted.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"sub":"user-1"}}'
    ),
    "progress.v1": (
        '{"specversion":"1.0","id":"event-1","source":"/tripod/ingest","type":"progress.v1",'
        '"subject":"01987d6c-5b1a-7c3e-9f00-0123456789ab","time":"2026-11-21T07:33:00.123456Z",'
        '"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7'
        'ad6b7169203331-01","data":{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1",'
        '"stage":"decode","percent":10,"at":"2026-11-21T07:33:00.123456Z"}}'
    ),
}

# What others may have in store or still send: every optional member left out, and members that we do not know.
SPARSE: dict[str, str] = {
    "media.uploaded.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","number":42,"owner":"user-1","profile":"default",'
        '"recipe":"standard","key":"a/b.jpg","filename":"b.jpg","mime_type":"image/jpeg","media_type":"image",'
        '"size":1,"sha256":"00","is_public":false,"created_at":"2026-11-21T07:33:00Z","later":{"x":[1]}}'
    ),
    "media.rejected.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1","profile":"default","filename":"b.jpg",'
        '"media_type":"other","code":"c","detail":"d","rejected_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "media.processed.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":1,"owner":"user-1","media_type":"document",'
        '"recipe":"standard","processed_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "media.failed.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":1,"owner":"user-1","media_type":"video",'
        '"code":"c","detail":"d","failed_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "media.reprocess_requested.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","generation":2,"owner":"user-1","key":"a/b.jpg","size":1,'
        '"mime_type":"audio/mpeg","media_type":"audio","recipe":"standard",'
        '"requested_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "media.deleted.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","number":null,"owner":null,"media_type":"image","key":null,'
        '"variants":"variants/x/","deleted_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "media.created.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1","media":{},"later":1}'
    ),
    "media.updated.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1","media":{},"later":1}'
    ),
    "media.moderated.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","decision":"01987d6c-5b1a-7c3e-9f00-0123456789cd",'
        '"owner":"user-1","media_type":"image","was":"flagged","state":"approved",'
        '"moderated_at":"2026-11-21T07:33:00Z","later":1}'
    ),
    "entity.upserted.v1": '{"type":"user","id":"1","later":1}',
    "entity.deleted.v1": '{"type":"user","id":"1","later":1}',
    "user.deleted.v1": '{"sub":"user-1","later":1}',
    "progress.v1": (
        '{"id":"01987d6c-5b1a-7c3e-9f00-0123456789ab","owner":"user-1","stage":"s","percent":100,'
        '"at":"2026-11-21T07:33:00Z","later":1}'
    ),
}


def test_every_type_of_event_has_its_bytes_held_here() -> None:
    assert set(EVENTS) == set(GOLDEN) == set(SPARSE) == set(TYPES)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_invariant_7_an_event_is_exactly_these_bytes(name: str) -> None:
    data = encode(
        EVENTS[name],
        source="ingest",
        event_id="event-1",
        subject=str(ID),
        time=MOMENT,
        traceparent=TRACEPARENT,
    )
    assert data.decode() == GOLDEN[name]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_these_bytes_are_exactly_the_event(name: str) -> None:
    envelope, event = decode(GOLDEN[name].encode())
    assert event == EVENTS[name]
    assert (envelope.type, envelope.id, envelope.subject) == (name, "event-1", str(ID))
    assert (envelope.source, envelope.time) == ("/tripod/ingest", MOMENT)
    assert envelope.traceparent == TRACEPARENT


@pytest.mark.parametrize("name", sorted(TYPES))
def test_an_event_without_its_optional_members_and_with_unknown_ones_is_read(name: str) -> None:
    data = (
        f'{{"specversion":"1.0","id":"1","source":"/other","type":"{name}","subject":"s",'
        f'"time":"2026-11-21T07:33:00Z","datacontenttype":"application/json","later":1,"data":{SPARSE[name]}}}'
    )
    envelope, event = decode(data.encode())
    assert isinstance(event, TYPES[name])
    assert envelope.traceparent is None


def test_a_subject_or_time_of_another_zone_means_the_same_moment() -> None:
    moved = GOLDEN["user.deleted.v1"].replace("07:33:00.123456Z", "09:33:00.123456+02:00")
    envelope, _ = decode(moved.encode())
    assert envelope.time == MOMENT


def test_invariant_7_the_longest_event_is_64_kib_and_a_longer_one_is_refused_with_its_length() -> None:
    def deleted(length: int) -> bytes:
        return encode(
            UserDeleted(sub="x" * length),
            source="a",
            event_id="1",
            subject="s",
            time=MOMENT,
            traceparent=None,
        )

    longest = MAX_EVENT_BYTES - len(deleted(0))
    assert len(deleted(longest)) == MAX_EVENT_BYTES == 65536
    with pytest.raises(Malformed, match="65537"):
        deleted(longest + 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "JSON"),
        (b"\xff", "JSON"),
        (b"null", "JSON"),
        (GOLDEN["user.deleted.v1"].replace('"1.0"', '"2.0"').encode(), "specversion"),
        (GOLDEN["user.deleted.v1"].replace("user.deleted.v1", "user.deleted.v2").encode(), "user.deleted.v2"),
        (GOLDEN["user.deleted.v1"].replace('"sub"', '"name"').encode(), "sub"),
        (GOLDEN["progress.v1"].replace('"percent":10', '"percent":"10"').encode(), "percent"),
        (GOLDEN["progress.v1"].replace("01987d6c-5b1a", "01987d6c_5b1a").encode(), "UUID"),
    ],
)
def test_what_can_never_be_an_event_is_malformed_and_the_text_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode(data)


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        EVENTS["user.deleted.v1"].sub = "other"  # type: ignore[union-attr,misc]


def test_every_event_is_plain_json_for_others() -> None:
    for golden in GOLDEN.values():
        plain = msgspec.json.decode(golden)
        assert plain["specversion"] == "1.0"
        assert isinstance(plain["data"], dict)


def test_a_variant_that_an_older_processor_has_told_is_read_and_has_no_digest() -> None:
    digest = ',"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'
    _, event = decode(GOLDEN["media.processed.v1"].replace(digest, "").encode())
    assert isinstance(event, MediaProcessed)
    assert [(ref.spec, ref.sha256) for ref in event.variants] == [("abcd", None)]


def test_an_import_is_told_behind_the_rest_and_nothing_of_it_where_there_was_none() -> None:
    upload = EVENTS["media.uploaded.v1"]
    assert isinstance(upload, MediaUploaded)
    plain = msgspec.json.encode(upload)
    assert b"imported" not in plain
    told = msgspec.structs.replace(upload, imported=Imported(received_at=MOMENT, public_id="MED-OLD-1"))
    said = b',"imported":{"received_at":"2026-11-21T07:33:00.123456Z","public_id":"MED-OLD-1"}}'
    assert msgspec.json.encode(told) == plain[:-1] + said
    assert msgspec.json.decode(msgspec.json.encode(told), type=MediaUploaded) == told
