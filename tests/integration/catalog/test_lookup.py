"""The media of many entities at once."""

from typing import Any

import pytest

from services.catalog.lookup import media_of
from shared.auth import Caller
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill


async def test_the_media_of_many_entities_come_with_their_thumbnails_newest_first(catalog: Service) -> None:
    entities = [stories.link("1", type="content"), stories.link("2", type="content")]
    older = await catalog.ready(profile="content", entity=entities[0], is_public=True)
    newer = await catalog.ready(profile="content", entity=entities[0], is_public=True)
    other = await catalog.ready("bob", profile="content", entity=entities[1], is_public=True)
    hidden = await catalog.ready("bob", profile="content", entity=entities[1])
    await catalog.ready(entity=stories.link("1"), is_public=True)  # of another type
    body = {"type": "content", "ids": ["1", "2", "3", "1"]}
    answer = await catalog.nobody.post("/v1/media/lookup", json=body)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    found = {entity: [item["id"] for item in media] for entity, media in items.items()}
    assert found == {"1": [str(newer.id), str(older.id)], "2": [str(other.id)], "3": []}
    assert items["1"][0] == (await catalog.nobody.get(f"/v1/media/{newer.id}")).json()
    assert f"/v1/media/{newer.id}/variants/thumbnail?v=" in items["1"][0]["thumbnail_url"]
    async with catalog.caller("bob") as bob:
        mine = (await bob.post("/v1/media/lookup", json=body)).json()["items"]["2"]
    assert [item["id"] for item in mine] == [str(hidden.id), str(other.id)]
    assert (mine[0]["warnings"], items["2"][0]["warnings"]) == (["odd"], [])


async def test_rights_are_asked_entity_by_entity_and_the_answer_keeps_the_order_asked_for(
    catalog: Service,
) -> None:
    async with catalog.caller("svc", "service") as service:
        for entity_id, owner in (("z", "bob"), ("a", "cleo")):
            answer = await service.put(
                f"/v1/entities/post/{entity_id}", json={"owners": [owner], "admins": ["dan"]}
            )
            assert answer.status_code == 200
    hung = {name: await catalog.ready("ann", entity=stories.link(name)) for name in ("z", "a")}
    expected = {"ann": "za", "bob": "z", "cleo": "a", "dan": "za", "eve": ""}
    for sub, seen in expected.items():
        async with catalog.caller(sub) as client:
            answer = await client.post(
                "/v1/media/lookup", json={"type": "post", "ids": ["z", "unknown", "a"]}
            )
        items = answer.json()["items"]
        assert list(items) == ["z", "unknown", "a"]
        found = {name: [one["id"] for one in media] for name, media in items.items()}
        assert found == {name: [str(hung[name].id)] if name in seen else [] for name in items}, sub


async def test_of_one_entity_at_most_fifty_media_are_found(catalog: Service) -> None:
    await fill(catalog.database, 60, is_public=True, entity_type="content", entity_id="1")
    await fill(catalog.database, 2, is_public=True, entity_type="content", entity_id="2")
    async with catalog.database.reading() as connection:
        found = await media_of(connection, Caller(), "content", ["1", "2"], "http://origin.test")
    assert [len(media) for media in found.values()] == [50, 2]
    moments = [media.created_at for media in found["1"]]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"type": "content"}, "ids"),
        ({"type": "content", "ids": []}, "ids"),
        ({"type": "content", "ids": [str(n) for n in range(201)]}, "ids"),
        ({"type": "content", "ids": [1]}, "ids"),
        ({"type": "content", "ids": ["\0"]}, "NUL"),
        ({"type": "\0", "ids": ["1"]}, "NUL"),
        ({"ids": ["1"]}, "type"),
        ({"type": "content", "ids": ["1"], "more": 1}, "more"),
    ],
)
async def test_a_wrong_lookup_says_what_is_wrong(catalog: Service, body: dict[str, Any], word: str) -> None:
    answer = await catalog.nobody.post("/v1/media/lookup", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert word in answer.json()["detail"]
