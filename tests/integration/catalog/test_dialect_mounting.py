"""What every dialect leans on, by a small one on a real catalog: mounting, words, files, numbers under /v1/media."""

import sys
from collections.abc import AsyncIterator

import pytest

from services.catalog import dialects
from services.catalog.database import Database
from services.catalog.settings import CatalogSettings
from shared.events.bus import Bus
from shared.storage.blobs import Blobs
from tests.integration.catalog import small_dialect, stories
from tests.integration.catalog.service import Service, serving


@pytest.fixture
async def spoken(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A catalog that speaks the small dialect in place of the entities'."""
    monkeypatch.setitem(sys.modules, "services.catalog.dialects.entities", small_dialect)
    monkeypatch.setattr(dialects, "BUILT", ("entities",))
    answers = {"show": ("entities", "show_numbered"), "remove": ("entities", "remove_numbered")}
    monkeypatch.setattr(dialects, "NUMBERED", answers)
    async with serving(settings) as url:
        service = Service(settings, database, bus, blobs, url)
        yield service
        await service.nobody.aclose()


async def test_a_dialect_answers_in_its_words_and_sees_only_its_profiles(spoken: Service) -> None:
    ours = stories.uploaded(profile="content", is_public=True, key="2026/06/photo_1.jpg")
    theirs = stories.uploaded(profile="persona", is_public=True)
    await spoken.have(ours, theirs)
    found = await spoken.nobody.get(f"/small/{ours.number}/")
    assert (found.status_code, found.json()) == (200, {"name": "photo_1.jpg", "number": ours.number})
    absent = await spoken.nobody.get(f"/small/{theirs.number}")
    assert (absent.status_code, absent.headers["content-type"]) == (404, "application/problem+json")
    assert absent.json()["detail"] == f"Small says: small {theirs.number} is nowhere"


async def test_a_dialect_hands_out_files_as_our_own_api_does(spoken: Service) -> None:
    upload = await spoken.ready(profile="content", is_public=True)
    address, ours = f"/small/{upload.number}/download", f"/v1/media/{upload.id}"
    for path, same in (
        (address, f"{ours}/download"),
        (f"{address}?variant=small", f"{ours}/variants/small"),
        (f"{address}?variant=small&or_original=true", f"{ours}/variants/small"),
        (f"{address}?variant=optimised&or_original=true", f"{ours}/download"),
    ):
        answer, expected = await spoken.nobody.get(path), await spoken.nobody.get(same)
        assert (answer.status_code, answer.content) == (200, expected.content)
        for name in ("etag", "content-type", "content-disposition", "cache-control"):
            assert answer.headers[name] == expected.headers[name], (path, name)
        head = await spoken.nobody.head(path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(answer.content)))
        part = await spoken.nobody.get(path, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, answer.content[1:4])
    named = await spoken.nobody.get(f"{address}?variant=small&filename=photo.jpg")
    assert 'filename="photo.jpg"' in named.headers["content-disposition"]
    absent = await spoken.nobody.get(f"{address}?variant=huge")
    assert (absent.status_code, absent.json()["detail"][:11]) == (404, "Small says:")


async def test_a_number_under_v1_media_goes_to_the_dialect_and_other_references_do_not(
    spoken: Service,
) -> None:
    upload = stories.uploaded(profile="content")
    await spoken.have(upload)
    async with spoken.caller("ann") as ann, spoken.caller("bob") as bob:
        shown = await ann.get(f"/v1/media/{upload.number}")
        assert (shown.status_code, shown.json()) == (200, {"numbered": upload.number})
        assert (await bob.get(f"/v1/media/{upload.number}")).status_code == 404
        removed = await ann.delete(f"/v1/media/{upload.number}")
        assert (removed.status_code, removed.json()) == (200, {"removed": upload.number})
        assert (await spoken.nobody.delete(f"/v1/media/{upload.number}")).status_code == 401
        assert (await ann.get(f"/v1/media/{upload.id}")).json()["id"] == str(upload.id)
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204


async def test_a_number_is_no_reference_while_no_dialect_answers_for_it(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "NUMBERED", {})
    upload = stories.uploaded(is_public=True)
    await catalog.have(upload)
    assert (await catalog.nobody.get(f"/v1/media/{upload.number}")).status_code == 404
