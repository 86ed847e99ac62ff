"""A rendering that a DELETE overtakes: the media is not there, and that is no fault of the request."""

import httpx
import msgspec

from services.catalog.settings import CatalogSettings
from shared.events import rendering as wire
from shared.events import topology
from shared.events.bus import Message
from shared.events.rendering import NotRendered
from shared.rendering import Options
from tests.integration.catalog.service import Service, serving
from tests.integration.catalog.test_render import picture_of, signed


async def test_what_a_delete_overtakes_is_404_and_an_original_that_is_lost_is_422(
    catalog: Service, settings: CatalogSettings
) -> None:
    deleting = False

    async def no_original(_: Message) -> bytes:
        if deleting:
            async with catalog.caller("ann") as ann:
                (await ann.delete(f"/v1/media/{upload.id}")).raise_for_status()
        return wire.encode(NotRendered(code="missing", detail="The original is not there."))

    upload = await picture_of(catalog)
    url = signed(settings, upload, Options(w=130))
    patient = msgspec.structs.replace(settings, variant_wait=20.0)
    async with (
        catalog.bus.serve(topology.PROCESSOR_RENDER, "processor", no_original),
        serving(patient) as address,
        httpx.AsyncClient(timeout=30) as client,
    ):
        lost = await client.get(f"{address}{url}")
        assert (lost.status_code, lost.json()["reason"]) == (422, "missing")
        deleting = True
        other = signed(settings, upload, Options(w=131))  # what could not be made is remembered for a while
        assert (await client.get(f"{address}{other}")).status_code == 404
