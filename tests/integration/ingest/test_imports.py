"""Uploads that come from older systems: which ids they get, and what a row that is sent again becomes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from services.ingest import import_numbers
from services.ingest.numbers import BLOCK, KEY
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Message
from shared.events.messages import MediaUploaded
from shared.imports import Answered, Asked
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.in_memory import FORM_TYPE, Small, fields, form, part, running

TEXT = b"what an older system had\n"
WHEN = "2019-05-06T07:08:09.123456Z"


class Catalog:
    """Answers as the catalog does, from what it was told to know."""

    def __init__(self) -> None:
        self.known: set[uuid.UUID] = set()
        self.gone: set[uuid.UUID] = set()
        self.numbers: dict[int, uuid.UUID] = {}

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
            small.client("mover", "service") as http,
        ):
            yield small, http


async def bring(http: httpx.AsyncClient, old_id: str, *, key: str = "", **said: str) -> httpx.Response:
    query = {"dialect": "library", "old_id": old_id, "owner": "7", "created_at": WHEN} | said
    sent = fields({"caption": "old"})
    body = form(*sent, part("file", TEXT, "notes.txt"))
    headers = {**FORM_TYPE, "Idempotency-Key": key or f"row-{old_id}"}
    return await http.post("/v1/imports/media", params=query, content=body, headers=headers)


async def uploads(small: Small) -> list[MediaUploaded]:
    return [event for event in await small.events() if isinstance(event, MediaUploaded)]


async def test_an_import_keeps_what_it_was_called_whose_it_is_and_since_when() -> None:
    old = "0b5c2a3e-8f43-4a51-9d3a-3f6f0e1d2c4b"
    async with beside(Catalog()) as (small, http):
        made = await http.post("/v1/imports/numbers", json={"highest": 5000})
        assert made.json() == {"free": [[1001, 5001]]}, "one more, because blocks would lead to 5001"
        answer = await bring(
            http, "3000", number="3000", id=old, public_id="MED-old-3", moderation="rejected"
        )
        assert answer.status_code == 201, answer.text
        said = answer.json()
        assert said["kept"] == {"number": True, "id": True, "public_id": True}
        assert (said["number"], said["id"], said["public_id"]) == (3000, old, "MED-old-3")
        (event,) = await uploads(small)
        assert (event.owner, event.owner_uid, event.moderation) == ("7", 7, "rejected")
        assert event.created_at.isoformat() == "2019-05-06T07:08:09.123456+00:00"
        assert event.key.startswith("2019/05/06/")
        assert event.imported
        assert event.imported.public_id == "MED-old-3"
        later = await http.put("/v1/uploads/raw/a.txt", content=TEXT)
        assert later.json()["number"] > 5000


async def test_a_number_that_an_upload_may_have_is_not_given_to_an_import() -> None:
    async with beside(Catalog()) as (_, http):
        await http.post("/v1/imports/numbers", json={"highest": 2000})
        said = (await bring(http, "900", number="900")).json()
        assert said["kept"] == {"number": False}
        assert said["number"] > 2000


@pytest.mark.parametrize("taken", ["number", "id"])
async def test_of_two_rows_with_one_id_the_second_gets_a_new_one(taken: str) -> None:
    old = {"number": "1500", "id": str(uuid.uuid4())}[taken]
    async with beside(Catalog()) as (_, http):
        await http.post("/v1/imports/numbers", json={"highest": 2000})
        first = (await bring(http, "1", **{taken: old})).json()
        second = (await bring(http, "2", **{taken: old})).json()
        assert first["kept"] == {taken: True}
        assert second["kept"] == {taken: False}
        assert str(second[taken]) != old


async def test_what_the_catalog_has_otherwise_is_not_taken() -> None:
    catalog, theirs = Catalog(), uuid.uuid4()
    catalog.known, catalog.numbers = {theirs}, {1500: theirs}
    async with beside(catalog) as (_, http):
        await http.post("/v1/imports/numbers", json={"highest": 2000})
        said = (await bring(http, "1", id=str(theirs), number="1500")).json()
        assert said["kept"] == {"id": False, "number": False}


async def test_a_row_that_is_sent_again_under_another_key_is_the_same_media() -> None:
    """As after a day, when its Idempotency-Key is forgotten, and it is not known to have ended."""
    async with beside(Catalog()) as (small, http):
        await http.post("/v1/imports/numbers", json={"highest": 2000})
        first = (await bring(http, "1", number="1500", key="one")).json()
        again = (await bring(http, "1", number="1500", key="two")).json()
        assert again == first
        assert len({event.id for event in await uploads(small)}) == 1


async def test_a_row_whose_media_was_deleted_stays_deleted() -> None:
    catalog = Catalog()
    async with beside(catalog) as (small, http):
        first = (await bring(http, "1", key="one")).json()
        catalog.gone = {uuid.UUID(first["id"])}
        again = await bring(http, "1", key="two")
        assert (again.status_code, again.json()["code"]) == (410, "gone")
        assert len(await uploads(small)) == 1


async def test_two_systems_of_one_dialect_have_rows_of_their_own() -> None:
    async with beside(Catalog()) as (_, http):
        first = (await bring(http, "1", key="one")).json()
        second = (await bring(http, "1", key="two", source="berlin")).json()
        assert first["id"] != second["id"]


async def test_only_a_service_may_import() -> None:
    async with running() as small:
        for roles in ((), ("admin",), ("moderator",)):
            async with small.client("ann", *roles) as http:
                assert (await bring(http, "1")).status_code == 403
                assert (await http.post("/v1/imports/numbers", json={"highest": 5})).status_code == 403


async def test_while_the_catalog_is_silent_nothing_is_imported() -> None:
    async with running() as small, small.client("mover", "service") as http:
        answer = await bring(http, "1")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert not small.blobs.objects


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


async def test_a_wrong_value_is_named() -> None:
    async with beside(Catalog()) as (small, http):
        for said, named in WRONG:
            answer = await bring(http, "1", **said)
            assert answer.status_code in {400, 422}, answer.text
            assert named in answer.json()["detail"]
        for highest in (0, -1, 2**53):
            answer = await http.post("/v1/imports/numbers", json={"highest": highest})
            assert answer.status_code == 422, answer.text
        assert not small.blobs.objects


async def test_uploads_and_imports_at_once_never_get_one_number_twice() -> None:
    async with beside(Catalog()) as (small, http):

        async def number(answer: httpx.Response) -> int:
            found: dict[str, Any] = answer.json()
            return int(found["number"])

        async def ordinary() -> int:
            return await number(await http.put("/v1/uploads/raw/a.txt", content=TEXT))

        async def old(n: int) -> int:
            await http.post("/v1/imports/numbers", json={"highest": 1000 + n * 7})
            return await number(await bring(http, str(n), number=str(1000 + n * 7)))

        found = await asyncio.gather(*(work for n in range(1, 16) for work in (ordinary(), old(n))))
        assert len(set(found)) == len(found)
        assert len(await uploads(small)) == len(found)


@pytest.mark.parametrize("where", ["noted", "lifted"])
async def test_a_lift_that_was_cut_off_is_told_from_one_that_was_not(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with beside(Catalog()) as (small, _):
        counters = small.bus.kv(topology.COUNTERS)
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
                await import_numbers.make_room(small.ingest, 4000)
        for _ in range(3):  # uploads go on meanwhile
            small.ingest.numbers.forget()
            await small.ingest.numbers.take()
        found = await import_numbers.make_room(small.ingest, 4000)
        expected = 1001 if where == "lifted" else 1001 + 3 * BLOCK
        assert found.free[0][0] == expected
        assert found.has(4000)


async def test_a_picture_with_a_wrong_name_is_what_its_bytes_are() -> None:
    """Older systems looked at names alone; a page that is called a picture is none for that."""
    async with beside(Catalog()) as (small, http):
        query = {"dialect": "mediafiles", "owner": "7", "created_at": WHEN}
        for old_id, data, status in (("1", encoded(picture(8, 8), "PNG"), 201), ("2", b"<html></html>", 415)):
            body = form(part("file", data, "a.jpg"))
            answer = await http.post(
                "/v1/imports/media",
                params={**query, "old_id": old_id},
                content=body,
                headers={**FORM_TYPE, "Idempotency-Key": old_id},
            )
            assert answer.status_code == status, answer.text
        (event,) = await uploads(small)
        assert (event.filename, event.mime_type) == ("a.jpg", "image/png")
        assert event.key.startswith("user_7/image/"), "not that of the service that imports"
        assert event.key.endswith(".png")
