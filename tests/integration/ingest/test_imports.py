"""Uploads that come from older systems: which ids they get, and what a row that is sent again becomes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import pytest_asyncio

from services.ingest import import_numbers, importing
from services.ingest.numbers import BLOCK, KEY
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Message
from shared.events.messages import MediaUploaded
from shared.ids import public_id
from shared.imports import Answered, Asked
from shared.media import Media, from_upload
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.in_memory import FORM_TYPE, Small, fields, form, part, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = b"what an older system had\n"
WHEN = "2019-05-06T07:08:09.123456Z"
OTHER = "0b5c2a3e-8f43-4a51-9d3a-3f6f0e1d2c99"


class Catalog:
    """Answers as the catalog does, from what it was told to know."""

    def __init__(self) -> None:
        self.known: set[uuid.UUID] = set()
        self.gone: set[uuid.UUID] = set()
        self.numbers: dict[int, uuid.UUID] = {}
        self.media: dict[str, Media] = {}

    def have(self, event: MediaUploaded) -> None:
        """From now on it has taken the upload in."""
        self.known.add(event.id)
        self.numbers[event.number] = event.id
        self.media[str(event.id)] = from_upload(event, "http://origin.test")

    async def find(self, message: Message) -> bytes:
        return msgspec.json.encode(self.media[msgspec.json.decode(message.data)["id"]])

    async def answer(self, message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        return msgspec.json.encode(
            Answered(
                known=tuple(found for found in asked.ids if found in self.known),
                gone=tuple(found for found in asked.ids if found in self.gone),
                number=self.numbers.get(asked.number or 0),
            )
        )


@contextlib.asynccontextmanager
async def beside(catalog: Catalog) -> AsyncIterator[tuple[Small, httpx.AsyncClient]]:
    async with running() as small:
        await small.bus.kv(topology.COUNTERS).put(KEY, b"1001")
        async with (
            small.bus.serve(topology.CATALOG_FIND_IMPORT, "catalog", catalog.answer),
            small.bus.serve(topology.CATALOG_FIND_UPLOAD, "catalog", catalog.find),
            small.client("mover", "service") as http,
        ):
            yield small, http


async def bring(http: httpx.AsyncClient, old_id: str, *, key: str = "", **said: str) -> httpx.Response:
    query = {"dialect": "library", "old_id": old_id, "owner": "7", "created_at": WHEN} | said
    sent = fields({"caption": "old"})
    body = form(*sent, part("file", TEXT, "notes.txt"))
    headers = {**FORM_TYPE, "Idempotency-Key": (key or f"row-{old_id}").replace(" ", "-")}
    return await http.post("/v1/imports/media", params=query, content=body, headers=headers)


async def told(origin: "Origin", said: Mapping[str, Any]) -> MediaUploaded:
    """The one event of an import, by its answer."""
    found = [event for event in await origin.small.events() if isinstance(event, MediaUploaded)]
    (event,) = [event for event in found if str(event.id) == said["id"]]
    return event


class Origin(NamedTuple):
    catalog: Catalog
    small: Small
    http: httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[Origin]:
    """Numbers below 1001 are out of hand, those from 1001 to 9001 are for imports; each test has its own rows."""
    catalog = Catalog()
    async with beside(catalog) as (small, http):
        made = await http.post("/v1/imports/numbers", json={"highest": 9000})
        assert made.json() == {"free": [{"first": 1001, "last": 9001}]}, (
            "one more, because blocks would lead to 9001"
        )
        yield Origin(catalog, small, http)


async def test_an_import_keeps_what_it_was_called_whose_it_is_and_since_when(origin: Origin) -> None:
    old = "0b5c2a3e-8f43-4a51-9d3a-3f6f0e1d2c4b"
    answer = await bring(
        origin.http, "3000", number="3000", id=old, public_id="MED-old-3", moderation="rejected"
    )
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["kept"] == {"number": True, "id": True, "public_id": True}
    assert (said["number"], said["id"], said["public_id"]) == (3000, old, "MED-old-3")
    event = await told(origin, said)
    assert (event.owner, event.owner_uid, event.moderation) == ("7", 7, "rejected")
    assert event.created_at.isoformat() == "2019-05-06T07:08:09.123456+00:00"
    assert event.key.startswith("2019/05/06/")
    assert event.imported
    assert event.imported.public_id == "MED-old-3"
    later = await origin.http.put("/v1/uploads/raw/a.txt", content=TEXT)
    assert later.json()["number"] > 9000


async def test_a_number_that_an_upload_may_have_is_not_given_to_an_import(origin: Origin) -> None:
    said = (await bring(origin.http, "900", number="900")).json()
    assert said["kept"] == {"number": False}
    assert said["number"] > 9000


async def test_of_two_rows_with_one_id_the_second_gets_a_new_one(origin: Origin) -> None:
    for name, old in (("number", "1500"), ("id", str(uuid.uuid4())), ("public_id", "MED-of-two")):
        first = (await bring(origin.http, f"{name} 1", **{name: old})).json()
        second = (await bring(origin.http, f"{name} 2", **{name: old})).json()
        assert first["kept"] == {name: True}
        assert second["kept"] == {name: False}
        assert str(second[name]) != old


async def test_what_the_catalog_has_otherwise_is_not_taken(origin: Origin) -> None:
    theirs = uuid.uuid4()
    origin.catalog.known, origin.catalog.numbers = {theirs}, {1600: theirs}
    said = (await bring(origin.http, "theirs", id=str(theirs), number="1600")).json()
    assert said["kept"] == {"id": False, "number": False}


async def test_a_row_that_is_sent_again_under_another_key_is_the_same_media(origin: Origin) -> None:
    """As after a day, when its Idempotency-Key is forgotten: whether the catalog has it by then or not, and whatever
    the export says of it now."""
    later = {"created_at": "2020-01-01T00:00:00Z", "owner": "8"}
    first = (await bring(origin.http, "twice", number="1700", key="one")).json()
    event = await told(origin, first)
    answers = [await bring(origin.http, "twice", number="1700", key="two", **later)]
    origin.catalog.have(event)
    answers.append(await bring(origin.http, "twice", number="1700", key="three", **later))
    for answer in answers:
        again = answer.json()
        there = again.pop("there")
        assert answer.status_code == 200, answer.text
        assert again == {**first, "url": again["url"]}
        assert (there["id"], there["owner"], there["caption"]) == (first["id"], "7", "old")
    assert await told(origin, first) == event, "it is told once"


async def test_a_row_keeps_the_id_that_it_was_given_when_the_export_says_another_one(origin: Origin) -> None:
    ids = [public_id(uuid.uuid4()) for _ in range(2)]
    without = {"public_id": ""}
    for number, (before, after) in enumerate(
        (
            ({"public_id": ids[0]}, {"public_id": ids[1]}),
            ({"public_id": ids[1]}, without),
            (without, {"id": OTHER}),
        )
    ):
        said = {"dialect": "library", "number": str(1710 + number)}
        first = (await bring(origin.http, f"other {number}", key=f"before {number}", **said, **before)).json()
        again = (await bring(origin.http, f"other {number}", key=f"after {number}", **said, **after)).json()
        assert (again["id"], again["number"]) == (first["id"], 1710 + number)


async def test_a_media_that_took_its_number_under_another_id_is_the_row(origin: Origin) -> None:
    """An older import made ids of times; what it brought is known by its number."""
    first = (await bring(origin.http, "aged", number="1720", key="aged 1")).json()
    theirs = msgspec.structs.replace(await told(origin, first), id=uuid.uuid4())
    await origin.small.ingest.uploads.delete(first["id"])
    origin.catalog.have(theirs)
    again = await bring(origin.http, "aged", number="1720", key="aged 2")
    assert (again.status_code, again.json()["id"]) == (200, str(theirs.id))


async def test_a_row_whose_media_was_deleted_stays_deleted(origin: Origin) -> None:
    first = (await bring(origin.http, "gone", key="gone one")).json()
    origin.catalog.gone = {uuid.UUID(first["id"])}
    again = await bring(origin.http, "gone", key="gone two")
    assert (again.status_code, again.json()["code"]) == (410, "gone")


async def test_two_systems_of_one_dialect_have_rows_of_their_own(origin: Origin) -> None:
    first = (await bring(origin.http, "1", key="first")).json()
    second = (await bring(origin.http, "1", key="second", source="berlin")).json()
    assert first["id"] != second["id"]


async def test_only_a_service_may_import(origin: Origin) -> None:
    for roles in ((), ("admin",), ("moderator",)):
        async with origin.small.client("ann", *roles) as http:
            assert (await bring(http, "1")).status_code == 403
            assert (await http.post("/v1/imports/numbers", json={"highest": 5})).status_code == 403


WRONG = (
    ({"number": "-4"}, "number"),
    ({"number": str(2**63)}, "number"),
    ({"id": "no uuid"}, "id"),
    ({"public_id": "XYZ-1"}, "public_id"),
    ({"created_at": "yesterday"}, "created_at"),
    ({"created_at": "2019-05-06T07:08:09"}, "created_at"),
    ({"created_at": "1815-05-06T07:08:09Z"}, "created_at"),
    ({"owner": "a\nb"}, "owner"),
    ({"dialect": "klingon"}, "dialect"),
    ({"moderation": "liked"}, "moderation"),
    ({"colour": "red"}, "colour"),
)


async def test_a_wrong_value_is_named(origin: Origin) -> None:
    before = len(origin.small.blobs.objects)
    for said, named in WRONG:
        answer = await bring(origin.http, "wrong", **said)
        assert answer.status_code in {400, 422}, answer.text
        assert named in answer.json()["detail"]
    for highest in (0, -1, 2**53):
        answer = await origin.http.post("/v1/imports/numbers", json={"highest": highest})
        assert answer.status_code == 422, answer.text
    assert len(origin.small.blobs.objects) == before


async def test_a_picture_with_a_wrong_name_is_what_its_bytes_are(origin: Origin) -> None:
    """Older systems looked at names alone; a page that is called a picture is none for that."""
    query = {"dialect": "mediafiles", "owner": "7", "created_at": WHEN}
    answers = []
    for old_id, data in (("png", encoded(picture(8, 8), "PNG")), ("page", b"<html></html>")):
        headers = {**FORM_TYPE, "Idempotency-Key": old_id}
        body = form(part("file", data, "a.jpg"))
        path = "/v1/imports/media"
        answers.append(
            await origin.http.post(path, params={**query, "old_id": old_id}, content=body, headers=headers)
        )
    assert [answer.status_code for answer in answers] == [201, 415]
    event = await told(origin, answers[0].json())
    assert (event.filename, event.mime_type) == ("a.jpg", "image/png")
    assert event.key.startswith("user_7/image/"), "not that of the service that imports"
    assert event.key.endswith(".png")


async def test_a_check_tells_what_would_become_of_a_row_and_leaves_nothing(origin: Origin) -> None:
    async def checked(old_id: str, data: bytes, size: int, **said: str) -> httpx.Response:
        query = {
            "dialect": "mediafiles",
            "owner": "7",
            "created_at": WHEN,
            "old_id": old_id,
            "size": str(size),
        }
        body = form(part("file", data, "a.jpg"))
        return await origin.http.post(
            "/v1/imports/check", params=query | said, content=body, headers=FORM_TYPE
        )

    before = (len(origin.small.blobs.objects), await origin.small.bus.kv(topology.IMPORTS).keys())
    png = encoded(picture(8, 8), "PNG")
    found = (await checked("1", png, len(png), number="1800")).json()
    assert found == {"mime_type": "image/png", "profile": "mediafiles", "kept": {"number": True}}
    assert (await checked("1", png, len(png), number="12")).json()["kept"] == {"number": False}
    statuses = {
        "page": (await checked("2", b"<html></html>", 13)).status_code,
        "large": (await checked("3", png, 11 * 2**20)).status_code,
        "size": (await checked("5", png, -1)).status_code,
        "parameter": (await checked("6", png, 5, colour="red")).status_code,
    }
    assert statuses == {"page": 415, "large": 413, "size": 422, "parameter": 400}
    assert before == (len(origin.small.blobs.objects), await origin.small.bus.kv(topology.IMPORTS).keys())


async def test_a_check_knows_what_is_to_be_registered(origin: Origin) -> None:
    query = {"dialect": "personas", "owner": "7", "created_at": WHEN, "old_id": "1", "size": "2048"}
    sent = fields({"entity_type": "persona", "entity_id": "404"})
    body = form(*sent, part("file", encoded(picture(8, 8)), "a.jpg"))
    statuses = []
    for more in ({}, {"registering": "true"}):
        answer = await origin.http.post(
            "/v1/imports/check", params=query | more, content=body, headers=FORM_TYPE
        )
        statuses.append(answer.status_code)
    assert statuses == [404, 200]
    query |= {"dialect": "entities", "registering": "true"}
    for kind, status in (("property", 200), ("properties", 422), ("spaceship", 422)):
        sent = fields({"entity_type": kind, "entity_id": "404"})
        body = form(*sent, part("file", encoded(picture(64, 64)), "a.jpg"))
        answer = await origin.http.post("/v1/imports/check", params=query, content=body, headers=FORM_TYPE)
        assert answer.status_code == status, answer.text


async def test_uploads_and_imports_at_once_never_get_one_number_twice(origin: Origin) -> None:
    async def number(answer: httpx.Response) -> int:
        found: dict[str, Any] = answer.json()
        return int(found["number"])

    async def ordinary() -> int:
        return await number(await origin.http.put("/v1/uploads/raw/a.txt", content=TEXT))

    async def old(n: int) -> int:
        await origin.http.post("/v1/imports/numbers", json={"highest": 20_000 + n * 7})
        return await number(await bring(origin.http, f"at once {n}", number=str(20_000 + n * 7)))

    found = await asyncio.gather(*(work for n in range(1, 11) for work in (ordinary(), old(n))))
    assert len(set(found)) == len(found)


async def test_while_the_catalog_is_silent_nothing_is_imported(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(origin.small.blobs.objects)
    monkeypatch.setattr(importing, "_CATALOG_SECONDS", 0.05)
    monkeypatch.setattr(topology, "CATALOG_FIND_IMPORT", "catalog.v1.nobody")
    answer = await bring(origin.http, "silent")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert len(origin.small.blobs.objects) == before


@pytest.mark.parametrize("where", ["noted", "lifted"])
async def test_a_lift_that_was_cut_off_is_told_from_one_that_was_not(
    where: str, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = origin.small
    counters = small.bus.kv(topology.COUNTERS)
    entry = await counters.get(KEY)
    assert entry
    stood, highest = int(entry.value), int(entry.value) + 5000
    update = type(counters).update

    async def cut(self: Any, key: str, value: bytes, revision: int) -> int:
        if key == KEY:
            if where == "lifted":
                await update(self, key, value, revision)
            raise Unavailable("cut")
        return await update(self, key, value, revision)

    with monkeypatch.context() as patched:
        patched.setattr(type(counters), "update", cut)
        with pytest.raises(Unavailable):
            await import_numbers.make_room(small.ingest, highest)
    for _ in range(3):  # uploads go on meanwhile
        small.ingest.numbers.forget()
        await small.ingest.numbers.take()
    found = await import_numbers.make_room(small.ingest, highest)
    first = stood if where == "lifted" else stood + 3 * BLOCK
    assert found.has(first)
    assert found.has(highest)
    assert not found.has(first - 1) or where == "lifted"
