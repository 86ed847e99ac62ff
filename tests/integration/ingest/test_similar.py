"""Reverse image search: taken like an upload, answered for the caller, and nothing of it is left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from services.ingest import similar
from services.ingest.answers import Answering
from services.ingest.attempt import Wish
from services.ingest.digest_fields import Promised
from services.ingest.fields import Options
from services.ingest.idempotency import Asked as Ours
from services.ingest.rates import RateLimits, Rates
from services.ingest.searches import Searches
from services.ingest.source import Source, from_body
from shared.auth import Caller
from shared.errors import TooSlow, Unavailable
from shared.events import topology
from shared.events.bus import Message
from shared.events.fingerprints import (
    FingerprintAnswer,
    Fingerprinted,
    FingerprintRequest,
    NotFingerprinted,
    encode,
    read_request,
)
from shared.events.messages import MediaUploaded
from shared.media import Media, from_upload
from shared.similar import Asked, Neighbour, Neighbours
from shared.turns import TURNS
from tests.fixtures.pictures import encoded, picture
from tests.integration.catalog.stories import uploaded
from tests.integration.ingest.conftest import eventually
from tests.integration.ingest.in_memory import Small, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
JPEG = encoded(picture(64, 48))
PATH = "/v1/media/similar"
KNOWN = Fingerprinted(phash="0" * 16, phash_turned=tuple(f"{n:016x}" for n in range(1, 8)), degenerate=False)
Say = Callable[[FingerprintRequest], FingerprintAnswer]


def a_media() -> Media:
    upload: MediaUploaded = uploaded("bob", is_public=True)
    return from_upload(upload, "http://origin.test")


class Others:
    """Processor and catalog, as far as ingest sees them."""

    def __init__(self, small: Small) -> None:
        self.small = small
        self.say: Say = lambda _: KNOWN
        self.seen: list[bytes] = []
        self.asked: list[Asked] = []

    async def look(self, message: Message) -> bytes:
        request = read_request(message.data)
        self.seen.append(self.small.blobs.objects[request.key].body)
        return encode(self.say(request))

    async def find(self, message: Message) -> bytes:
        self.asked.append(msgspec.json.decode(message.data, type=Asked))
        found = Neighbour(distance=4, label="very_similar", transform="mirrored", media=a_media())
        looks = tuple(look.transform for look in self.asked[-1].looks)
        return msgspec.json.encode(Neighbours(items=[found], searched=looks))

    @contextlib.asynccontextmanager
    async def there(self, *, processor: bool = True, catalog: bool = True) -> AsyncIterator["Others"]:
        self.small.ingest.heartbeat.beat(Message(subject="", data=b"", headers={}))
        bus = self.small.bus
        async with contextlib.AsyncExitStack() as stack:
            if processor:
                await stack.enter_async_context(bus.serve(topology.PROCESSOR_FINGERPRINT, "p", self.look))
            if catalog:
                await stack.enter_async_context(bus.serve(topology.CATALOG_FIND_SIMILAR, "c", self.find))
            yield self


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    async with running() as found:
        yield found


async def ask(small: Small, data: bytes = JPEG, name: str = "a.jpg", **params: Any) -> httpx.Response:
    async with small.client("ann") as http:
        return await http.post(PATH, files={"file": (name, data)}, params=params)


async def test_a_picture_is_looked_at_as_the_caller_and_leaves_nothing(small: Small) -> None:
    async with Others(small).there() as others:
        answer = await ask(small, transforms="mirror,rotate", max_distance=7, limit=9)
    assert answer.status_code == 200, answer.text
    found = msgspec.json.decode(answer.content, type=Neighbours)
    assert [(one.distance, one.transform, one.media.owner) for one in found.items] == [(4, "mirrored", "bob")]
    assert found.searched == ("none", *TURNS)
    assert others.seen == [JPEG]
    (asked,) = others.asked
    assert (asked.caller.sub, asked.max_distance, asked.limit) == ("ann", 7, 9)
    assert [look.phash for look in asked.looks] == [KNOWN.phash, *KNOWN.phash_turned]
    assert await small.nothing_is_left()
    assert await small.events() == []


FLAT = Fingerprinted(phash="0" * 16, phash_turned=(), degenerate=True)
TORN = NotFingerprinted(code="truncated", detail="The file ends before its picture is complete.")
BUSY = NotFingerprinted(code="busy", detail="Too many.", retryable=True)
GONE = NotFingerprinted(code="missing", detail="It is not there.")


@pytest.mark.parametrize(
    ("data", "name", "params", "says", "status", "code"),
    [
        (b"just text", "a.txt", {}, KNOWN, 415, "unsupported_type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", {}, KNOWN, 415, "unsupported_type"),
        (JPEG, "a.png", {}, KNOWN, 415, "unsupported_type"),
        (b"", "a.jpg", {}, KNOWN, 422, "invalid"),
        (JPEG, "a.jpg", {"transforms": "flip"}, KNOWN, 422, "invalid"),
        (JPEG, "a.jpg", {"max_distance": 11}, KNOWN, 422, "invalid"),
        (JPEG, "a.jpg", {}, FLAT, 422, "invalid"),
        (JPEG, "a.jpg", {}, TORN, 422, "invalid"),
        (JPEG, "a.jpg", {}, BUSY, 503, "unavailable"),
        (JPEG, "a.jpg", {}, GONE, 503, "unavailable"),
    ],
)
async def test_what_cannot_be_compared_is_refused_and_leaves_nothing(
    small: Small,
    data: bytes,
    name: str,
    params: dict[str, Any],
    *,
    says: FingerprintAnswer,
    status: int,
    code: str,
) -> None:
    others = Others(small)
    others.say = lambda _: says
    async with others.there():
        answer = await ask(small, data, name, **params)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert others.asked == []
    assert await small.nothing_is_left()


async def test_the_form_is_the_picture_alone_and_needs_a_token(small: Small) -> None:
    async with Others(small).there(), small.client() as http:
        field = await http.post(PATH, files={"file": ("a.jpg", JPEG)}, data={"profile": "default"})
        assert (field.status_code, field.json()["field"]) == (422, "profile")
        assert (await http.post(PATH, content=JPEG)).status_code == 415
        nobody = await http.post(PATH, files={"file": ("a.jpg", JPEG)}, headers={"Authorization": ""})
        assert nobody.status_code == 401
    assert await small.nothing_is_left()


@pytest.mark.parametrize("there", [{"processor": False}, {"catalog": False}], ids=str)
async def test_without_processor_or_catalog_it_is_503_and_nothing_is_left(
    small: Small, there: dict[str, bool]
) -> None:
    async with Others(small).there(**there):
        answer = await ask(small)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert await small.nothing_is_left()


async def test_too_many_at_once_and_too_many_a_minute_are_told_so(small: Small) -> None:
    ingest = small.ingest
    try:
        small.app.state.ingest = msgspec.structs.replace(ingest, searches=Searches(0))
        async with Others(small).there():
            assert (await ask(small)).status_code == 503
            slow = msgspec.structs.replace(ingest, rates=Rates(RateLimits(uploads=1)))
            small.app.state.ingest = slow
            assert [(await ask(small)).status_code for _ in range(2)] == [200, 429]
    finally:
        small.app.state.ingest = ingest
    assert await small.nothing_is_left()


async def test_nobody_has_all_places_at_once() -> None:
    searches = Searches(4)
    async with searches.one("ann"), searches.one("ann"), searches.one("bob"):
        for who in ("ann", "ann"):
            with pytest.raises(Unavailable):
                await searches.one(who).__aenter__()
        async with searches.one("cid"):
            with pytest.raises(Unavailable):
                await searches.one("dora").__aenter__()
    async with searches.one("ann"):
        pass


async def test_who_sends_too_slowly_gives_up_the_place_and_leaves_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "_TAKE_SECONDS", 0.2)
    never = asyncio.Event()

    async def slow() -> Source:
        pieces = iter([JPEG, JPEG])

        async def read() -> bytes:
            found = next(pieces, b"")
            if not found:
                await never.wait()
            return found

        return from_body(read, "a.jpg", "", None, Options())

    async with Others(small).there():
        wanted = similar.Wanted(max_distance=5, tolerance=frozenset(), limit=1)
        with pytest.raises(TooSlow):
            await similar.search(small.ingest, _wish(), wanted, slow)
    assert await small.nothing_is_left()


async def test_what_a_dying_process_leaves_is_swept(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(*_: Any) -> None:
        """Nothing comes after the end."""

    monkeypatch.setattr(similar, "_erase", die)
    async with Others(small).there():
        assert (await ask(small)).status_code == 200
    assert [key.startswith("scratch/") for key in small.blobs.objects] == [True]
    await eventually(small.nothing_is_left, "the sweep")
    assert await small.events() == []


def _wish() -> Wish:
    return Wish(
        caller=Caller(sub="ann"),
        asked=Ours(method="POST", path=PATH, length=None),
        key=None,
        answering=Answering(),
        promised=Promised({}, {}),
        reading=similar.READING,
    )


async def _source() -> Source:
    pieces = iter([JPEG, b""])

    async def read() -> bytes:
        return next(pieces)

    return from_body(read, "a.jpg", "", len(JPEG), Options())


async def test_who_goes_away_in_the_middle_leaves_nothing(small: Small) -> None:
    looking, never = asyncio.Event(), asyncio.Event()

    async def look(_: Message) -> bytes:
        looking.set()
        await never.wait()
        return b""

    async with (
        Others(small).there(processor=False),
        small.bus.serve(topology.PROCESSOR_FINGERPRINT, "p", look),
    ):
        asked = asyncio.create_task(
            similar.search(
                small.ingest,
                _wish(),
                similar.Wanted(max_distance=5, tolerance=frozenset(), limit=1),
                _source,
            )
        )
        await asyncio.wait_for(looking.wait(), 5)
        assert len(small.blobs.objects) == 1
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        never.set()
    assert await small.nothing_is_left()
