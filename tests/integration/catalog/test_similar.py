"""Similar pictures: found by index, and exactly those that a scan finds."""

import random
from typing import Any

from sqlalchemy import select, text

from services.catalog.database import Database
from services.catalog.hashes import from_hex
from services.catalog.models import media
from services.catalog.similar import near
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


async def test_similar_is_no_scan(database: Database) -> None:
    dice = random.Random(8)
    await fill(database, 20_000)
    await hashes(database, [dice.getrandbits(64) for _ in range(20_000)])
    async with database.reading() as connection:
        for distance in (0, 5, 8, 10):
            asked = near(signed(dice.getrandbits(64)), distance).compile(dialect=connection.dialect)
            plan = await connection.exec_driver_sql(f"EXPLAIN {asked}", asked.params)
            lines = "\n".join(plan.scalars())
            assert "Seq Scan" not in lines, (distance, lines)
            assert "ix_media_phash_0" in lines


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
        assert flat.json() == {"items": []}
        assert (await ann.get(f"/v1/media/{uploads['asked'].id}/similar?max_distance=11")).status_code == 422
        assert (await ann.get(f"/v1/media/{uploads['hidden'].id}/similar")).status_code == 404
