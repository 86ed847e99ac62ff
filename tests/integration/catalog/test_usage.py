"""What the catalog answers ingest about an owner's usage."""

import msgspec

from shared.events import topology
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service


async def asked(catalog: Service, **question: object) -> dict[str, int] | None:
    data = msgspec.json.encode({"owner": "ann", **question})
    answer = await catalog.bus.request(topology.CATALOG_USAGE, data, timeout=5)
    return msgspec.json.decode(answer) if answer else None


async def test_originals_of_one_owner_are_counted_without_those_under_way(catalog: Service) -> None:
    first, second = stories.uploaded(size=100), stories.uploaded(size=30)
    await catalog.have(first, second, stories.uploaded("bob", size=7), stories.processed(first))
    assert await asked(catalog) == {"bytes": 130, "objects": 2}
    assert await asked(catalog, besides=[str(second.id)]) == {"bytes": 100, "objects": 1}
    assert await asked(catalog, owner="nobody") == {"bytes": 0, "objects": 0}


async def test_rows_that_are_behind_the_stream_are_not_counted(catalog: Service) -> None:
    place = await catalog.tell(stories.uploaded(size=100))
    assert await asked(catalog, through=place + 1000) is None

    await catalog.settled(place)
    assert await asked(catalog, through=place) == {"bytes": 100, "objects": 1}
