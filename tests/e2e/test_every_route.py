"""Nobody sees what is not theirs, on any route that the origin's document tells of."""

import uuid
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tests.e2e.conftest import Client
from tests.fixtures.every_route import UNENDING, Hidden, ask_all, documented, lines
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

SMALL = encoded(picture(64, 48, seed=97), "PNG")
POST, PERSONA = "97001", "97002"
SECRET = "a secret of hers"
KINDS = {
    "default": {"entity_type": "post", "entity_id": POST},
    "content": {"profile": "content"},
    "mediafiles": {"profile": "mediafiles"},
    "persona": {"profile": "persona", "entity_type": "persona", "entity_id": PERSONA},
}


async def test_no_route_of_the_origin_tells_a_stranger_or_nobody_of_anothers_media(
    ann: Client, bob: Client, service: Client, system: System
) -> None:
    document = ann.http.get("/openapi.json").json()
    names = lines(document)
    assert documented(document) >= UNENDING
    live = system.origin_url.replace("http", "ws", 1) + f"/v1/live?token={system.token(bob.sub)}"
    async with connect(live) as socket:
        hidden = hidden_of(ann, {kind: upload(ann, service, said) for kind, said in KINDS.items()})
        token = {"Authorization": f"Bearer {system.token(bob.sub)}"}
        async with (
            httpx.AsyncClient(base_url=system.origin_url, timeout=30) as nobody,
            httpx.AsyncClient(base_url=system.origin_url, headers=token, timeout=30) as stranger,
        ):
            await ask_all({"stranger": stranger, "nobody": nobody}, names, hidden, SMALL, open_library=True)
        own = bob.upload(SMALL, "sign.png").json()["id"]
        while own not in (told := str(await socket.recv())):
            assert [mark for mark in hidden.marks if mark in told] == []
    assert [media["description"] for media in ann.mine()] == [SECRET] * len(KINDS)


def upload(ann: Client, service: Client, said: dict[str, str]) -> dict[str, Any]:
    """A private media; its entity is registered first, where it has one."""
    if "entity_type" in said:
        entity = f"/v1/entities/{said['entity_type']}/{said['entity_id']}"
        assert service.http.put(entity, json={"owners": [ann.sub]}).status_code == 200
    fields = {**said, "is_public": "false", "description": SECRET, "tags": "hush"}

    def sent() -> dict[str, Any] | None:
        answer = ann.upload(SMALL, "hush.png", **fields)
        found: dict[str, Any] = answer.json()
        return found if answer.status_code in {201, 202} else None

    made = eventually(sent, "ingest to know the entity")
    eventually(lambda: ann.http.get(f"/v1/media/{made['id']}").status_code == 200, "the catalog to know it")
    return made


def hidden_of(ann: Client, made: dict[str, dict[str, Any]]) -> Hidden:
    """What there is of each kind, and the like of it that is not there."""
    shown = ann.http.get(f"/api/media/{made['mediafiles']['number']}/").json()
    content = ann.http.get(f"/api/v1/media/{made['content']['id']}").json()
    paths = {
        "default": {}, "persona": {},
        "content": {"file_path": content["storage_path"], "media_id": made["content"]["id"]},
        "mediafiles": {"filename": shown["urls"]["original"].rpartition("/")[2]},
    }  # fmt: skip
    values, absent = {}, {}
    for kind, media in made.items():
        values[kind] = _values(ann, media) | paths[kind]
        gone = {**media, "id": str(uuid.uuid4()), "public_id": "MED-01M7ZAS15BEVYRQTGYGDSFEHMV"}
        number = media["number"] + 10**9
        there = {
            name: path.replace(f"{media['number']}_", f"{number}_") for name, path in paths[kind].items()
        }
        if kind == "content":
            there["file_path"] = there["file_path"].replace(
                media["id"].replace("-", ""), gone["id"].replace("-", "")
            )
            there["media_id"] = gone["id"]
        absent[kind] = _values(ann, {**gone, "number": number}) | there
    for found, nothing in ((values, "97003"), (absent, "97004")):
        found["library"] = found["default"]  # this stack opens its library to everybody
        found["slots"] = {"entity_id": nothing, "within_id": nothing}
        found["absent content"] = {"content_id": str(uuid.uuid4())}
    marks = {SECRET, "hush", ann.sub, content["uploaded_by"], content["storage_path"]}
    for media in made.values():
        marks |= {media["id"], media["public_id"]}
    return Hidden(values, absent, frozenset(marks))


def _values(ann: Client, media: dict[str, Any]) -> dict[str, str]:
    entity = (media["entity"] or {}).get("id", "1")
    return {
        "ref": media["id"], "public_id": media["public_id"], "number": str(media["number"]),
        "media_id": str(media["number"]), "name": "thumbnail", "owner": ann.sub,
        "owner_uuid": str(uuid.uuid4()), "user_id": "970", "file_type": "image", "entity_type": "post",
        "entity_id": entity, "persona_id": entity, "content_id": str(uuid.uuid4()), "folder": "user_x",
        "filename": "x.png",
    }  # fmt: skip
