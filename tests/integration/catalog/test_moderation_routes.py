"""What is public and not approved is as hidden as what is private, on every documented route."""

import msgspec
import pytest

from tests.integration.catalog import test_every_route as every_route
from tests.integration.catalog.service import Service


@pytest.mark.long
@pytest.mark.parametrize("state", ["pending", "flagged", "rejected"])
async def test_no_route_tells_of_a_public_media_that_is_not_approved(
    catalog: Service, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    private = every_route._told()
    shown = {
        kind: msgspec.structs.replace(upload, is_public=True, moderation=state)
        for kind, upload in private.items()
    }
    monkeypatch.setattr(every_route, "_told", lambda: shown)
    await every_route.test_no_route_tells_a_stranger_or_nobody_of_anothers_media(catalog)
