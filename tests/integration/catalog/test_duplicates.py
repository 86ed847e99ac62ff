"""What the catalog tells ingest of exact duplicates: an owner's own, in one place, and of nobody else's."""

from typing import Any

import msgspec
import pytest

from services.catalog import commands, duplicates
from services.catalog.database import Database
from services.catalog.projector import Told
from shared.duplicates import Answered, Asked
from shared.events import messages, topology
from shared.events.messages import EntityLink, MediaUploaded
from shared.ids import new_id
from shared.media import Media
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_projector import ANN, BASE, take

HERE = EntityLink(type="post", id="1", field="media")


def asking(upload: MediaUploaded, **changes: Any) -> Asked:
    asked = Asked(
        owner=upload.owner, sha256=upload.sha256, profile=upload.profile, entity=upload.entity,
        besides=stories.uploaded().id, through=0,
    )  # fmt: skip
    return msgspec.structs.replace(asked, **changes)


async def found(database: Database, asked: Asked) -> Media | None:
    async with database.reading() as connection:
        return await duplicates.find(connection, asked, BASE)


async def test_the_oldest_one_that_did_not_fail_is_told(database: Database) -> None:
    body = b"of this test alone"
    broken, first, second = (stories.uploaded(body=body, id=new_id(ms)) for ms in (1, 2, 3))
    told: list[Told] = [second, first, broken, stories.failed(broken)]
    await take(database, *told)
    media = await found(database, asking(first))
    assert media is not None
    assert media.id == first.id
    await commands.remove(database, ANN, first.id)
    media = await found(database, asking(first))
    assert media is not None
    assert media.id == second.id
    assert await found(database, asking(first, besides=second.id)) is None


@pytest.mark.parametrize("public", [True, False])
async def test_nobody_elses_is_told_even_if_it_is_public(database: Database, *, public: bool) -> None:
    upload = stories.uploaded("eve", body=b"eve's" + bytes([public]), is_public=public)
    await take(database, upload)
    assert await found(database, asking(upload)) is not None
    assert await found(database, asking(upload, owner="ann")) is None


async def test_another_place_is_another_media(database: Database) -> None:
    upload = stories.uploaded(body=b"in a place", profile="post", entity=HERE)
    await take(database, upload)
    primary = msgspec.structs.replace(HERE, is_primary=True, sort_order=3)
    assert await found(database, asking(upload, entity=primary)) is not None
    places: list[dict[str, Any]] = [
        {"entity": None}, {"profile": "default"}, {"entity": msgspec.structs.replace(HERE, field="")},
        {"entity": msgspec.structs.replace(HERE, id="2")}, {"entity": msgspec.structs.replace(HERE, type="page")},
    ]  # fmt: skip
    for elsewhere in places:
        assert await found(database, asking(upload, **elsewhere)) is None


async def test_a_running_catalog_answers_for_all_that_was_announced_before(catalog: Service) -> None:
    upload = stories.uploaded(body=b"announced a moment ago")
    data = messages.encode(
        upload,
        source="ingest",
        event_id="e1",
        subject=str(upload.id),
        time=upload.created_at,
        traceparent=None,
    )
    place = await catalog.bus.publish(topology.uploaded("image", "fresh"), data, message_id="e1")

    async def ask(asked: Asked) -> bytes:
        return await catalog.bus.request(topology.CATALOG_FIND_DIGEST, msgspec.json.encode(asked), timeout=5)

    answer = await eventually_async(lambda: ask(asking(upload, through=place)), "an answer")
    media = msgspec.json.decode(answer, type=Answered).media
    assert media is not None
    assert media.id == upload.id
    assert await ask(asking(upload, through=place + 1000)) == b""
