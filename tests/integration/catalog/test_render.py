"""Renderings over real servers: two catalogs and two processors that share broker and store."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry

from services.catalog import checks, contents, janitor, orphans
from services.catalog import render as catalog_render
from services.catalog.census import take_census
from services.catalog.settings import CatalogSettings
from services.processor import handlers, render
from services.processor.frames import Limits
from services.processor.handlers import Deps
from services.processor.metrics import JobMetrics
from services.processor.places import Places
from services.processor.sandbox import Sandbox
from shared import links
from shared.events import topology
from shared.events.messages import MediaUploaded
from shared.events.rendering import RenderAnswer
from shared.recipes import shipped
from shared.rendering import Options, rendering
from shared.storage import keys
from tests.fixtures.openapi import check
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving

AT_ONCE = 50


class Processors:
    """Two that answer, and how many pictures they made."""

    def __init__(self, catalog: Service, sandbox: Sandbox) -> None:
        self._registry = CollectorRegistry()
        self.stop = asyncio.Event()
        self.deps = Deps(
            bus=catalog.bus,
            blobs=catalog.blobs,
            sandbox=sandbox,
            places=Places(2),
            metrics=JobMetrics(self._registry),
            limits=Limits(),
            recipes=shipped(),
            original_bytes=2**24,
        )

    @property
    def made(self) -> float:
        return self.ended("ready")

    def ended(self, code: str) -> float:
        return self._registry.get_sample_value("tripod_renderings_total", {"code": code}) or 0


@pytest.fixture
async def processors(catalog: Service) -> AsyncIterator[Processors]:
    async with AsyncExitStack() as stack:
        found = Processors(catalog, await stack.enter_async_context(Sandbox()))
        for _ in range(2):
            answer = render.answering(found.deps, at_once=1, stop=found.stop, in_hand=set())
            serving_ = catalog.bus.serve(topology.PROCESSOR_RENDER, "processor", answer)
            await stack.enter_async_context(serving_)
        yield found


async def picture_of(catalog: Service) -> MediaUploaded:
    data = photo(600, 400)
    upload = stories.uploaded("ann", body=data)
    result = stories.processed(upload)
    await catalog.store(upload, result, data)
    await catalog.have(upload, result)
    return upload


def signed(settings: CatalogSettings, upload: MediaUploaded, options: Options) -> str:
    path = f"/v1/media/{upload.id}/render"
    return links.sign(settings.links, path, parameters=options.query)[0]


async def test_what_fifty_ask_two_catalogs_for_at_once_is_made_once_and_belongs_to_its_media(
    catalog: Service, settings: CatalogSettings, processors: Processors
) -> None:
    upload = await picture_of(catalog)
    patient = msgspec.structs.replace(settings, variant_wait=20.0)
    url = signed(settings, upload, Options(w=200))
    async with serving(patient) as one, serving(patient) as other, httpx.AsyncClient(timeout=30) as client:
        asked = (client.get(f"{(one, other)[n % 2]}{url}") for n in range(AT_ONCE))
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert Image.open(io.BytesIO(answers[0].content)).size == (200, 133)
    assert processors.made == 1

    # No row names it, and neither the checker nor either janitor minds.
    census = await take_census(catalog.database, catalog.bus, catalog.blobs, lambda _what, _count: None)
    (rendered,) = (key for key in census.objects if keys.rendering_of(key) == upload.id)
    assert list(checks.orphans(census)) == []
    assert rendered not in list(janitor.unnamed(census))
    assert rendered not in await sweep(catalog)

    # What it must not reveal, a deep look would tell.
    assert await revealed(catalog) == []
    await catalog.blobs.put_bytes(rendered, photo(60, 40), content_type="image/jpeg")
    assert await revealed(catalog) == [rendered]

    # One of a media that is not there is everybody's to find.
    stray = rendered.replace(str(upload.id), str(stories.uploaded().id))
    await catalog.blobs.put_bytes(stray, b"x", content_type="image/jpeg")
    census = await take_census(catalog.database, catalog.bus, catalog.blobs, lambda _what, _count: None)
    assert [finding.subject for finding in checks.orphans(census)] == [stray]
    assert await sweep(catalog) == [stray]


async def revealed(catalog: Service) -> list[str]:
    census = await take_census(catalog.database, catalog.bus, catalog.blobs, lambda _what, _count: None)
    found = contents.read_variants(census, catalog.blobs, lambda _what, _count: None)
    return [f.detail.split()[0] async for f in found if f.check == "revealing" and "render-" in f.detail]


async def sweep(catalog: Service) -> list[str]:
    """What the round of the janitor would erase."""
    now = stories.now() + timedelta(minutes=1)
    return await orphans._orphans(catalog.database, catalog.bus, catalog.blobs, before=now)


async def test_without_a_processor_the_answer_is_503_and_with_one_it_comes(
    catalog: Service, settings: CatalogSettings
) -> None:
    upload = await picture_of(catalog)
    url = signed(settings, upload, Options(w=100))
    refused = await catalog.nobody.get(url)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "processor" in refused.json()["detail"]
    # Those that are there keep being served without any.
    key = keys.rendering(upload.id, made=rendering_hash(Options(w=100)), extension="jpg")
    await catalog.blobs.put_bytes(key, b"there already", content_type="image/jpeg")
    found = await catalog.nobody.get(url)
    assert (found.status_code, found.content) == (200, b"there already")
    document = (await catalog.nobody.get("/openapi.json")).json()
    check(document, "GET", "/v1/media/{ref}/render", found)
    check(document, "HEAD", "/v1/media/{ref}/render", await catalog.nobody.head(url))
    ranged = await catalog.nobody.get(url, headers={"Range": "bytes=0-1"})
    check(document, "GET", "/v1/media/{ref}/render", ranged)


def rendering_hash(options: Options) -> str:
    return rendering(options, mime_type="image/jpeg", accepts_webp=False).hash


async def test_what_cannot_be_made_is_not_tried_anew_with_each_request(
    catalog: Service, settings: CatalogSettings, processors: Processors
) -> None:
    data = photo(600, 400)[:5000]
    upload = stories.uploaded("ann", body=data)
    result = stories.processed(upload)  # as of another version of the decoder
    await catalog.store(upload, result, data)
    await catalog.have(upload, result)
    url = signed(settings, upload, Options(w=110))
    answers = [await catalog.nobody.get(url) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {422}
    assert {answer.json()["reason"] for answer in answers} == {"truncated"}
    assert processors.ended("truncated") == 1


async def test_what_a_processor_that_stops_had_in_hand_another_makes(
    catalog: Service, settings: CatalogSettings
) -> None:
    upload = await picture_of(catalog)
    url, stop = signed(settings, upload, Options(w=90)), asyncio.Event()
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        leaving, staying = Processors(catalog, sandbox), Processors(catalog, sandbox)
        for _ in range(2):  # so it never gets to it
            await stack.enter_async_context(leaving.deps.places.take("ann", urgent=True))
        left = asyncio.create_task(render.keep_rendering(leaving.deps, stop, at_once=1))

        async def is_asked() -> bool:
            late = await catalog.nobody.get(url)
            return (late.status_code, late.headers["retry-after"]) == (503, "2")

        await eventually_async(is_asked, "the first processor to be asked")
        answer = render.answering(staying.deps, at_once=1, stop=asyncio.Event(), in_hand=set())
        await stack.enter_async_context(catalog.bus.serve(topology.PROCESSOR_RENDER, "processor", answer))
        stop.set()
        await until_there(catalog, url)
        await left
    assert (leaving.made, staying.made) == (0, 1)


@pytest.mark.long
async def test_who_waits_too_long_hears_when_to_come_back_and_it_is_made_all_the_same(
    catalog: Service, settings: CatalogSettings, processors: Processors
) -> None:
    upload = await picture_of(catalog)
    url = signed(settings, upload, Options(w=120))
    async with (
        processors.deps.places.take("ann", urgent=True),
        processors.deps.places.take("ann", urgent=True),
    ):
        late = await catalog.nobody.get(url)
        assert (late.status_code, late.headers["retry-after"]) == (503, "2")
    found = await until_there(catalog, url)
    assert found.headers["content-type"] == "image/jpeg"
    assert processors.made == 1


async def until_there(catalog: Service, url: str) -> httpx.Response:
    found: list[httpx.Response] = []

    async def look() -> bool:
        answer = await catalog.nobody.get(url)
        found.append(answer)
        return answer.status_code == 200

    await eventually_async(look, "the picture to be made")
    return found[-1]


@pytest.mark.long
async def test_what_a_processor_died_over_is_asked_of_another(
    catalog: Service, settings: CatalogSettings, processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await picture_of(catalog)
    monkeypatch.setattr(catalog_render, "ASK_SECONDS", 0.5)
    died = asyncio.Event()
    answering = render._render

    async def die_once(*parts: Any) -> RenderAnswer:
        if not died.is_set():
            died.set()
            await asyncio.Event().wait()
        return await answering(*parts)

    monkeypatch.setattr(render, "_render", die_once)
    patient = msgspec.structs.replace(settings, variant_wait=20.0)
    url = signed(settings, upload, Options(w=140))
    async with serving(patient) as address, httpx.AsyncClient(timeout=30) as client:
        assert (await client.get(f"{address}{url}")).status_code == 200
    assert died.is_set()
    assert processors.made == 1


@pytest.mark.long
async def test_a_picture_that_comes_after_the_delete_is_erased_again(
    catalog: Service, settings: CatalogSettings, processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await picture_of(catalog)
    url = signed(settings, upload, Options(w=130))
    put = processors.deps.blobs.put_bytes

    async def put_late(key: str, body: bytes, *, content_type: str) -> object:
        async with catalog.caller("ann") as ann:  # the original is still there: no ingest runs here
            (await ann.delete(f"/v1/media/{upload.id}")).raise_for_status()
        return await put(key, body, content_type=content_type)

    monkeypatch.setattr(processors.deps.blobs, "put_bytes", put_late)
    stop = asyncio.Event()
    tidying = asyncio.create_task(handlers.keep_tidy(processors.deps, stop))
    patient = msgspec.structs.replace(settings, variant_wait=20.0)
    async with serving(patient) as url_of, httpx.AsyncClient(timeout=30) as client:
        assert (await client.get(f"{url_of}{url}")).status_code == 404
    stop.set()
    await tidying
    assert [i.key async for i in catalog.blobs.list(keys.variants(upload.id)) if "render-" in i.key] == []
