"""Invariant 10: nobody sees what is not theirs, on any route; who may only read gets 403."""

import re
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.catalog import queries, rights
from services.catalog.database import Database
from services.catalog.models import entities as entity_table
from services.catalog.models import media
from services.catalog.projector import project
from services.catalog.queries import Filters
from shared.auth import ANONYMOUS, Caller
from shared.entities import Entity
from shared.ids import new_id, public_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill

READS = (
    ("GET", ""),
    ("GET", "/download"),
    ("HEAD", "/download"),
    ("GET", "/variants/thumbnail"),
    ("HEAD", "/variants/thumbnail"),
    ("GET", "/similar"),
)
RENDERINGS = (("GET", "/render?preset=card"), ("HEAD", "/render?preset=card"))
LINKS = ("POST", "/links")
WRITES = (("PATCH", ""), ("POST", "/reprocess"), ("POST", "/cancel"), ("DELETE", ""))


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    body: dict[str, Any] = {"json": {}} if method in {"PATCH", "POST", "PUT"} else {}
    return await client.request(method, path, **body)


async def test_invariant_10_anothers_media_is_as_if_it_were_not_there(catalog: Service) -> None:
    theirs = await catalog.ready("bob")
    absent = new_id()
    async with catalog.caller("ann") as ann, catalog.caller("mod", "moderator") as moderator:
        for method, tail in (*READS, *RENDERINGS, LINKS, *WRITES):
            for show in (str, public_id):
                hidden = await ask(ann, method, f"/v1/media/{show(theirs.id)}{tail}")
                missing = await ask(ann, method, f"/v1/media/{show(absent)}{tail}")
                assert hidden.status_code == missing.status_code == 404, (method, tail)
                assert told(hidden, theirs.id) == told(missing, absent), (method, tail)
        for method, tail in READS:
            answer = await ask(moderator, method, f"/v1/media/{theirs.id}{tail}")
            assert answer.status_code == 200, (method, tail)
    for method, tail in (*READS, *RENDERINGS):
        assert (await ask(catalog.nobody, method, f"/v1/media/{theirs.id}{tail}")).status_code == 404
    for method, tail in (LINKS, *WRITES):
        assert (await ask(catalog.nobody, method, f"/v1/media/{theirs.id}{tail}")).status_code == 401


def told(answer: httpx.Response, media_id: Any) -> Any:
    """All that an answer tells, but for what every one has of its own."""
    own = {"date", "x-trace-id", "content-length"}
    fields = {name: value for name, value in answer.headers.items() if name not in own}
    text = answer.text.replace(str(media_id), "ID").replace(public_id(media_id), "ID")
    return fields, re.sub(r'"trace_id":"\w+"', "", text)


async def test_invariant_10_lists_counts_and_neighbours_hold_nothing_of_others(catalog: Service) -> None:
    await catalog.ready("bob")
    own = await catalog.ready("ann")
    for query in ("", "?owner=bob", "?status=ready", "?sort=created_at"):
        async with catalog.caller("ann") as ann:
            separator = "&" if query else "?"
            page = (await ann.get(f"/v1/media{query}{separator}count=exact")).json()
        assert all(item["owner"] == "ann" for item in page["items"])
        assert page["count"]["value"] == len(page["items"]) == (0 if "bob" in query else 1)
    async with catalog.caller("ann") as ann:
        assert (await ann.get(f"/v1/media/{own.id}/similar")).json()["items"] == []
        for query in ("", "?kind=near&max_distance=10", "?owner=bob", "?owner=bob&kind=near"):
            copies = (await ann.get(f"/v1/media/duplicates{query}")).json()
            assert copies == {"items": [], "bytes_to_free": 0, "next_cursor": None}
        found = (await ann.post("/v1/media/search", json={})).json()
        assert [item["id"] for item in found["items"]] == [str(own.id)]
        assert (await ann.get("/v1/stats")).json()["total"]["objects"] == 1
        assert (await ann.get("/v1/stats/storage")).json()["originals"] == own.size
    assert (await catalog.nobody.get("/v1/media?count=exact")).json() == {
        "items": [],
        "next_cursor": None,
        "count": {"value": 0, "kind": "exact"},
    }


async def test_who_may_only_read_gets_403(catalog: Service) -> None:
    public = await catalog.ready("bob", is_public=True)
    async with catalog.caller("ann") as ann, catalog.caller("mod", "moderator") as moderator:
        for method, tail in READS:
            assert (await ask(catalog.nobody, method, f"/v1/media/{public.id}{tail}")).status_code == 200
        for client in (ann, moderator):
            for method, tail in WRITES:
                answer = await ask(client, method, f"/v1/media/{public.id}{tail}")
                assert answer.status_code == 403, (method, tail)
                assert answer.headers["content-type"] == "application/problem+json"
    assert len(await catalog.rows("media")) == 1


async def test_what_a_service_uploaded_for_a_number_is_that_of_the_user_with_the_uid(
    database: Database,
) -> None:
    for_42 = stories.uploaded("42", owner_uid=42)
    of_sub_42 = stories.uploaded("42")
    of_sub_042 = stories.uploaded("042", owner_uid=7)
    for sequence, event in enumerate((for_42, of_sub_42, of_sub_042), 1):
        await project(database, event, sequence=sequence, base_url="http://origin.test")
    expected = [
        (Caller(sub="ann", uid=42), {for_42.id}),
        (Caller(sub="42"), {for_42.id, of_sub_42.id}),
        (Caller(sub="42", uid=7), {for_42.id, of_sub_42.id}),
        (Caller(sub="042", uid=42), {of_sub_042.id}),
        (Caller(sub="ann", uid=7), set()),
        (Caller(sub="ann"), set()),
    ]
    for caller, seen in expected:
        async with database.reading() as connection:
            for predicate in (rights.readable, rights.changeable):
                found = await connection.scalars(select(media.c.id).where(predicate(caller)))
                assert set(found) == seen, caller
            page = await queries.list_media(
                connection, caller, Filters(), sort="-created_at", limit=10, after=None, base_url=""
            )
            assert {item.id for item in page.items} == seen, caller


async def test_how_a_media_was_made_is_shown_to_who_may_change_it(catalog: Service) -> None:
    async with catalog.caller("svc", "service") as service:
        await service.put("/v1/entities/post/1", json={"owners": ["cleo"]})
        public = await catalog.ready("bob", is_public=True, entity=stories.link())
        await catalog.ready("bob", is_public=True, entity=stories.link())  # looks alike
        async with (
            catalog.caller("bob") as bob,
            catalog.caller("cleo") as cleo,
            catalog.caller("ann") as ann,
            catalog.caller("mod", "moderator") as moderator,
        ):
            for client, told in (
                (bob, True), (cleo, True), (service, True), (ann, False), (moderator, False), (catalog.nobody, False),
            ):  # fmt: skip
                one = (await client.get(f"/v1/media/{public.id}")).json()
                listed = (await client.get("/v1/media")).json()["items"]
                alike = (await client.get(f"/v1/media/{public.id}/similar")).json()["items"]
                assert len(listed) == 2
                assert len(alike) == 1
                for shown in (one, *listed, alike[0]["media"]):
                    assert (shown["timings"] != {}, shown["warnings"] != []) == (told, told)
                    assert (shown["exif"].get("gps") is not None, shown["exif"]["make"]) == (told, "Maker 1")
                    assert shown["owner"] == "bob"


async def test_what_moderation_hides_is_public_no_more(catalog: Service) -> None:
    public = await catalog.ready("bob", is_public=True)
    async with catalog.database.writing(tell=False) as connection:
        await connection.execute(media.update().values(moderation="rejected"))
    async with catalog.caller("ann") as ann, catalog.caller("bob") as bob:
        for method, tail in READS:
            assert (await ask(ann, method, f"/v1/media/{public.id}{tail}")).status_code == 404
        assert (await bob.get(f"/v1/media/{public.id}")).status_code == 200
    assert (await catalog.nobody.get("/v1/media")).json()["items"] == []


async def test_owners_and_admins_of_an_entity_see_and_change_what_hangs_on_it(catalog: Service) -> None:
    async with catalog.caller("svc", "service") as service:
        body = {"owners": ["bob"], "admins": ["cleo"]}
        assert (await service.put("/v1/entities/post/1", json=body)).json()["version"] == 1
        hung = await catalog.ready("ann", entity=stories.link())
        for sub, status in (("bob", 200), ("cleo", 200), ("dan", 404)):
            async with catalog.caller(sub) as client:
                for method, tail in READS:
                    assert (await ask(client, method, f"/v1/media/{hung.id}{tail}")).status_code == status
                listed = (await client.get("/v1/media?entity_type=post&entity_id=1")).json()["items"]
                assert len(listed) == (status == 200)
                assert (
                    await client.patch(f"/v1/media/{hung.id}", json={"caption": sub})
                ).status_code == status
        assert (await service.put("/v1/entities/post/1", json={"owners": []})).json()["version"] == 2
    async with catalog.caller("bob") as bob:
        assert (await bob.get(f"/v1/media/{hung.id}")).status_code == 404


async def test_entities_are_kept_by_services_only(catalog: Service) -> None:
    async with catalog.caller("ann") as ann, catalog.caller("mod", "moderator") as moderator:
        for client, status in ((ann, 403), (moderator, 403), (catalog.nobody, 401)):
            for method in ("PUT", "GET", "DELETE"):
                assert (await ask(client, method, "/v1/entities/post/1")).status_code == status
    async with catalog.caller("root", "admin") as admin:
        assert (await admin.get("/v1/entities/post/1")).status_code == 404
        assert (await admin.put("/v1/entities/Post/1", json={})).status_code == 422
        made = await admin.put("/v1/entities/post/a%20b", json={"owners": ["x"], "display_id": "P-1"})
        assert made.status_code == 200
        assert (await admin.get("/v1/entities/post/a%20b")).json() == made.json()
        assert (await admin.put("/v1/entities/post/a%20b", json={"owners": ["x\0"]})).status_code == 422
        assert (await admin.delete("/v1/entities/post/a%20b")).status_code == 204
        assert (await admin.delete("/v1/entities/post/a%20b")).status_code == 404
        assert (await admin.get("/v1/entities/post/a%20b")).status_code == 404


SUBS = st.sampled_from(["ann", "bob", "cleo"])
CALLERS = st.just(ANONYMOUS) | st.builds(
    lambda sub, roles: Caller(sub=sub, roles=frozenset(roles)),
    SUBS,
    st.sets(st.sampled_from(["admin", "moderator", "service"]), max_size=1),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    caller=CALLERS,
    owner=SUBS,
    is_public=st.booleans(),
    approved=st.booleans(),
    hangs=st.booleans(),
    owners=st.sets(SUBS, max_size=1),
    admins=st.sets(SUBS, max_size=1),
    deleted=st.booleans(),
)
async def test_invariant_10_live_messages_and_rows_are_judged_alike(
    database: Database,
    *,
    caller: Caller,
    owner: str,
    is_public: bool,
    approved: bool,
    hangs: bool,
    owners: set[str],
    admins: set[str],
    deleted: bool,
) -> None:
    entity = Entity(type="post", id="1", owners=tuple(owners), admins=tuple(admins), deleted=deleted)
    async with database.writing(tell=False) as connection:
        await connection.execute(media.delete())
        await connection.execute(entity_table.delete())
        await connection.execute(
            entity_table.insert().values(
                type="post", id="1", owners=[*owners], admins=[*admins], version=1, deleted=deleted,
                updated_at=stories.now(),
            )
        )  # fmt: skip
    place = {"entity_type": "post", "entity_id": "1"} if hangs else {}
    moderation = "approved" if approved else "pending"
    await fill(database, 1, owner, is_public=is_public, moderation=moderation, **place)
    whole, narrowed = Filters(), Filters(owner=owner)
    async with database.reading() as connection:
        seen = (await connection.execute(select(media.c.id).where(rights.readable(caller)))).all()
        counts = [await queries.count(connection, caller, filters) for filters in (whole, narrowed)]
        pages = [
            await queries.offset_page(
                connection, caller, filters, sort="-created_at", offset=0, limit=5, base_url=""
            )
            for filters in (whole, narrowed)
        ]
    async with database.reading_for(caller) as connection:
        given = (await connection.execute(select(media.c.id))).all()
    expected = rights.may_see(
        caller, owner=owner, public=is_public and approved, entity=entity if hangs else None
    )
    assert (bool(seen), bool(given)) == (expected, expected)
    assert counts == [expected, expected]
    assert [len(page) for page in pages] == [expected, expected]
