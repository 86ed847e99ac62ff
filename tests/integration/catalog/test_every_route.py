"""Invariant 10 on every documented route: nothing of others, with the rights in the queries and also without them."""

import asyncio
import uuid
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select, true
from websockets.asyncio.client import connect

from services.catalog import rights
from services.catalog.models import media, variants
from shared.auth import ANONYMOUS, Caller
from shared.dialects.users import uuid_id
from shared.events.messages import EntityUpserted, MediaUploaded
from shared.ids import new_id, public_id
from tests.fixtures.every_route import ROUTES, Hidden, ask_all, lines, request, untraced
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

OWNER, STRANGER = "ann who hides it", "a stranger"
PERSONA, POST, MISSING = "41", "post of ann", "99"
CONTENT = str(uuid.uuid4())


def _told() -> dict[str, MediaUploaded]:
    """One private media of each kind, with all that it might be known by."""
    said: dict[str, Any] = {
        "description": "a secret of ann",
        "tags": ("hush",),
        "metadata": {"pin": "hush"},
    }
    kinds: dict[str, dict[str, Any]] = {
        "default": {"entity": stories.link(POST)},
        "content": {"entity": stories.link(CONTENT, type="content", field="content")},
        "mediafiles": {"key": "user_ann/image/NUMBER_hush.jpg"},
        "persona": {"entity": stories.link(PERSONA, type="persona")},
        "library": {},
    }
    found = {}
    for kind, more in kinds.items():
        upload = stories.uploaded(OWNER, profile=kind, filename="hush.jpg", **{**said, **more})
        # Answers are compared without it, so it must be nothing that they say by themselves, as 404 would be.
        upload = msgspec.structs.replace(upload, number=700_000 + upload.number)
        key = upload.key.replace("NUMBER", str(upload.number))
        if kind == "content":
            key = f"2026/11/hush_{upload.id.hex}.jpg"
        found[kind] = msgspec.structs.replace(upload, key=key)
    return found


def _values(kind: str, upload: MediaUploaded, entity_id: str) -> dict[str, str]:
    number = str(upload.number)
    original = upload.key.rpartition("/")[2]
    by_number = {"media_id": str(upload.id) if kind == "content" else number}
    return {
        "ref": str(upload.id), "public_id": public_id(upload.id), "number": number, "name": "thumbnail",
        "owner": OWNER, "owner_uuid": str(uuid_id(OWNER)), "user_id": "7", "file_type": "image",
        "entity_type": "post", "entity_id": entity_id, "content_id": CONTENT, "file_path": upload.key,
        "folder": "user_ann", "filename": original, **by_number,
    }  # fmt: skip


def hidden_of(uploads: dict[str, MediaUploaded]) -> Hidden:
    values = {
        kind: _values(kind, upload, POST if kind == "default" else PERSONA)
        for kind, upload in uploads.items()
    }
    absent = {}
    for kind, upload in uploads.items():
        other = new_id()
        gone = msgspec.structs.replace(
            upload, id=other, number=900_000 + upload.number,
            key=upload.key.replace(str(upload.number) + "_", f"{900_000 + upload.number}_").replace(
                upload.id.hex, other.hex
            ),
        )  # fmt: skip
        absent[kind] = _values(kind, gone, "absent" if kind == "default" else MISSING)
        absent[kind] |= {
            "content_id": str(uuid.uuid4()),
            "owner": "nobody at all",
            "owner_uuid": str(uuid.uuid4()),
        }
    marks = {"a secret of ann", "hush", OWNER, str(uuid_id(OWNER))}
    for upload in uploads.values():
        marks |= {str(upload.id), upload.id.hex, public_id(upload.id), upload.sha256, upload.key}
    return Hidden(values, absent, frozenset(marks))


async def snapshot(client: httpx.AsyncClient, names: list[str], hidden: Hidden) -> dict[str, tuple[int, str]]:
    asked = [request(name, hidden.values[ROUTES[name].kind], b"") for name in names]
    answers = await asyncio.gather(*(client.request(method, path, **more) for method, path, more in asked))
    told = [(answer.status_code, untraced(answer.text)) for answer in answers]
    return dict(zip(names, told, strict=True))


@pytest.fixture(
    params=[
        # tests/e2e asks with them by default.
        pytest.param("with the rights in the queries", marks=pytest.mark.long),
        "without them",
    ]
)
def _predicate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second run every query believes that its caller may see every row."""
    if request.param == "without them":
        monkeypatch.setattr(rights, "readable", lambda _caller: true())
        monkeypatch.setattr(rights, "grounds", lambda _caller: (true(),))


@pytest.mark.usefixtures("_predicate")
async def test_no_route_tells_a_stranger_or_nobody_of_anothers_media(catalog: Service) -> None:
    document = catalog_document(await catalog.nobody.get("/openapi.json"))
    names = lines(document)
    uploads = _told()
    hidden = hidden_of(uploads)
    socket_url = catalog.url.replace("http", "ws", 1) + f"/v1/live?token={catalog.token(STRANGER)}"
    collections = [name for name in names if name.startswith("GET") and "{" not in name]
    async with catalog.caller(STRANGER) as stranger, connect(socket_url) as socket:
        before = [await snapshot(client, collections, hidden) for client in (stranger, catalog.nobody)]
        await catalog.tell(EntityUpserted(type="post", id=POST, owners=(OWNER,)))
        await have(catalog, uploads)
        await ask_all({"stranger": stranger, "nobody": catalog.nobody}, names, hidden)
        after = [await snapshot(client, collections, hidden) for client in (stranger, catalog.nobody)]
        assert after == before
        own = stories.uploaded(STRANGER)
        await catalog.tell(own)
        assert await heard(socket, own) == []
        async with connect(f"{socket_url}&since=0") as replaying:
            assert await heard(replaying, own) == []
    await unchanged(catalog, uploads)
    assert await seen_past_the_queries(catalog) == {STRANGER: (0, 0), None: (0, 0), OWNER: (5, 10)}


def catalog_document(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    return found


async def have(catalog: Service, uploads: dict[str, MediaUploaded]) -> None:
    """All of them processed, downloaded once and counted."""
    places = []
    for upload in uploads.values():
        result = stories.processed(upload)
        await catalog.store(upload, result)
        await catalog.tell(upload)
        places.append(await catalog.tell(result))
    for place in places:
        await catalog.settled(place)
    async with catalog.caller(OWNER) as owner:
        for upload in uploads.values():
            assert (await owner.get(f"/v1/media/{upload.id}/download")).status_code == 200


async def heard(socket: Any, own: MediaUploaded) -> list[str]:
    """What the stranger's socket has told of others, up to the stranger's own media."""
    found = []
    async with asyncio.timeout(20):
        while str(own.id) not in (text := str(await socket.recv())):
            found.append(text)
    return found


async def unchanged(catalog: Service, uploads: dict[str, MediaUploaded]) -> None:
    rows = {row["id"]: row for row in await catalog.rows("media") if row["owner"] == OWNER}
    assert rows.keys() == {upload.id for upload in uploads.values()}
    for row in rows.values():
        assert (row["status"], row["generation"], row["caption"], row["description"]) == (
            "ready", 1, None, "a secret of ann",
        )  # fmt: skip


async def seen_past_the_queries(catalog: Service) -> dict[str | None, tuple[int, int]]:
    """How many of the owner's media and variants each caller gets who asks for all rows there are."""
    found = {}
    for caller in (Caller(sub=STRANGER), ANONYMOUS, Caller(sub=OWNER)):
        async with catalog.database.reading_for(caller) as connection:
            ids = (await connection.scalars(select(media.c.id).where(media.c.owner == OWNER))).all()
            files = (await connection.scalars(select(variants.c.media_id))).all()
        found[caller.sub] = (len(ids), len(files))
    return found
