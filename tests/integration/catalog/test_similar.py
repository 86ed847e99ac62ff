"""Similar pictures: found by index, and exactly those that a scan finds."""

import random
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import Database
from services.catalog.hashes import from_hex
from services.catalog.models import media
from services.catalog.similar import fitting, near
from shared.auth import Caller
from shared.events import topology
from shared.media import Media
from shared.similar import Asked, Look, Neighbour, Neighbours
from shared.turns import TURNS
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill

MASK = 2**64 - 1


def flipped(value: int, bits: int, dice: random.Random) -> int:
    for bit in dice.sample(range(64), bits):
        value ^= 1 << bit
    return value


def signed(value: int) -> int:
    found = from_hex(f"{value:016x}")
    assert found is not None
    return found


async def hashes(database: Database, values: list[int]) -> None:
    """Give the rows that are there these hashes."""
    async with database.writing(tell=False) as connection:
        ids = (await connection.scalars(select(media.c.id))).all()
        await connection.execute(
            text("UPDATE media SET phash = :hash WHERE id = :id"),
            [{"id": media_id, "hash": signed(value)} for media_id, value in zip(ids, values, strict=True)],
        )
        await connection.exec_driver_sql("ANALYZE media")


async def test_similar_equals_a_scan_over_thousands_of_hashes(database: Database) -> None:
    dice = random.Random(7)
    centres = [dice.getrandbits(64) for _ in range(40)]
    values = [flipped(dice.choice(centres), dice.randrange(16), dice) for _ in range(1500)]
    values += [dice.getrandbits(64) for _ in range(1000)]
    await fill(database, len(values))
    await hashes(database, values)
    compared = 0
    async with database.reading() as connection:
        for centre in centres:
            asked = flipped(centre, dice.randrange(6), dice)
            for distance in (0, 1, 3, 4, 5, 8, 10, 11):
                found = (await connection.execute(near(signed(asked), distance))).all()
                scan = await connection.execute(
                    text(
                        "SELECT id, bit_count((phash # :asked)::bit(64)) FROM media "
                        "WHERE bit_count((phash # :asked)::bit(64)) <= :distance"
                    ),
                    {"asked": signed(asked), "distance": distance},
                )
                expected = sorted(tuple(row) for row in scan.all())
                assert sorted(tuple(row) for row in found) == expected, (hex(asked), distance)
                compared += len(expected)
    assert compared > 1000


async def scans(connection: AsyncConnection) -> tuple[int, int]:
    """How often this transaction has read all media, and how often it used the indexes of the hash."""
    found = await connection.execute(
        text(
            "SELECT pg_stat_get_xact_numscans('media'::regclass), sum(pg_stat_get_xact_numscans(indexrelid))::int"
            " FROM pg_stat_user_indexes WHERE indexrelname LIKE 'ix_media_phash%'"
        )
    )
    whole, indexes = found.one()
    return whole, indexes


async def test_similar_is_no_scan(database: Database) -> None:
    dice = random.Random(8)
    await fill(database, 500)
    await hashes(database, [dice.getrandbits(64) for _ in range(500)])
    async with database.reading() as connection:
        for distance in (0, 5, 8, 10):
            before = await scans(connection)
            await connection.execute(near(signed(dice.getrandbits(64)), distance))
            after = await scans(connection)
            assert after[0] == before[0]
            assert after[1] > before[1]


async def test_neighbours_come_nearest_first_with_a_label_and_only_what_may_be_seen(catalog: Service) -> None:
    asked = 0xF0F0_1234_5678_9ABC
    dice = random.Random(9)
    uploads = {}
    made: list[tuple[str, int, str, dict[str, Any]]] = [
        ("asked", 0, "ann", {}),
        ("twin", 0, "ann", {}),
        ("close", 4, "ann", {}),
        ("far", 9, "ann", {}),
        ("too far", 11, "ann", {}),
        ("public", 5, "bob", {"is_public": True}),
        ("hidden", 1, "bob", {}),
        ("flat", 0, "ann", {"degenerate": True}),
    ]
    for name, bits, owner, changes in made:
        degenerate = changes.pop("degenerate", False)
        upload = uploads[name] = stories.uploaded(owner, **changes)
        value = flipped(asked, bits, dice) & MASK
        await catalog.have(upload, stories.processed(upload, phash=f"{value:016x}", degenerate=degenerate))
    names = {str(upload.id): name for name, upload in uploads.items()}
    async with catalog.caller("ann") as ann:
        answer = await ann.get(f"/v1/media/{uploads['asked'].id}/similar")
        found = [(names[i["media"]["id"]], i["distance"], i["label"]) for i in answer.json()["items"]]
        assert found == [
            ("twin", 0, "identical"),
            ("close", 4, "very_similar"),
            ("public", 5, "very_similar"),
            ("far", 9, "similar"),
        ]
        near_only = await ann.get(f"/v1/media/{uploads['asked'].id}/similar", params={"max_distance": 4})
        assert len(near_only.json()["items"]) == 2
        flat = await ann.get(f"/v1/media/{uploads['flat'].id}/similar")
        assert flat.json()["items"] == []
        assert (await ann.get(f"/v1/media/{uploads['asked'].id}/similar?max_distance=11")).status_code == 422
        assert (await ann.get(f"/v1/media/{uploads['hidden'].id}/similar")).status_code == 404


async def test_mirrored_and_turned_copies_are_found_on_request_and_say_how_they_lie(catalog: Service) -> None:
    hashes = [random.Random(place).getrandbits(64) for place in range(8)]
    asked = stories.uploaded("ann")
    turned = tuple(f"{value:016x}" for value in hashes[1:])
    await catalog.have(asked, stories.processed(asked, phash=f"{hashes[0]:016x}", phash_turned=turned))
    copies = {}
    for turn, value in zip(("none", *TURNS), hashes, strict=True):
        copy = stories.uploaded("ann")
        await catalog.have(copy, stories.processed(copy, phash=f"{value ^ 1:016x}"))
        copies[str(copy.id)] = turn
    async with catalog.caller("ann") as ann:
        for transforms, count in (("", 1), ("mirror", 3), ("rotate", 4), ("rotate, mirror", 8)):
            answer = await ann.get(f"/v1/media/{asked.id}/similar", params={"transforms": transforms})
            found = {copies[one["media"]["id"]]: one["transform"] for one in answer.json()["items"]}
            assert all(lies == told for lies, told in found.items())
            assert len(found) == count
            assert set(answer.json()["searched"]) == set(found)
        other = next(iter(copies))
        untold = await ann.get(f"/v1/media/{other}/similar?transforms=mirror")
        assert untold.json()["searched"] == ["none"]
        wrong = await ann.get(f"/v1/media/{asked.id}/similar?transforms=flip")
        assert (wrong.status_code, wrong.json()["field"]) == (422, "transforms")


async def test_asked_over_the_broker_it_tells_what_the_caller_may_see(catalog: Service) -> None:
    value = random.Random(3).getrandbits(64)
    mine, theirs, public = (
        stories.uploaded("ann"),
        stories.uploaded("bob"),
        stories.uploaded("bob", is_public=True),
    )
    for upload in (mine, theirs, public):
        await catalog.have(upload, stories.processed(upload, phash=f"{value:016x}"))
    for sub, seen in (("ann", {mine.id, public.id}), ("bob", {theirs.id, public.id}), (None, {public.id})):
        asked = Asked(
            caller=Caller(sub=sub),
            looks=(Look(transform="none", phash=f"{value ^ 7:016x}"),),
            max_distance=3,
            limit=9,
        )
        data = await catalog.bus.request(topology.CATALOG_FIND_SIMILAR, msgspec.json.encode(asked), timeout=5)
        answer = msgspec.json.decode(data, type=Neighbours)
        assert {one.media.id for one in answer.items} == seen, sub
        assert {(one.distance, one.label) for one in answer.items} == {(3, "very_similar")}


async def test_an_answer_too_long_for_the_broker_leaves_out_the_farthest(catalog: Service) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        media_ = msgspec.convert((await ann.get(f"/v1/media/{upload.id}")).json(), Media)
    whole = Neighbours(items=[Neighbour(distance=n, label="similar", media=media_) for n in range(10)])
    most = len(msgspec.json.encode(whole)) // 2
    told = fitting(whole, most)
    kept = msgspec.json.decode(told, type=Neighbours).items
    assert len(told) <= most
    assert [one.distance for one in kept] == [0, 1, 2, 3]
