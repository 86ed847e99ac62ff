"""A form of many files is read on while its files are still on their way into the store, as far as there is memory."""

import asyncio

import httpx

from services.ingest.ahead import AHEAD_BYTES, FILES_AHEAD, MOST_OF_A_FILE, Ahead
from shared.storage.blobs import BlobInfo
from shared.storage.memory import MemoryBlobs
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import eventually
from tests.integration.ingest.in_memory import FORM_TYPE, Small, form, part, running

PICTURES = [encoded(picture(60, 40, seed=seed), "PNG") for seed in range(FILES_AHEAD + 3)]


class Held(MemoryBlobs):
    """A store that has received a file and does not say so before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.storing = 0
        self.may = asyncio.Semaphore(0)

    async def put_bytes(self, key: str, body: bytes, *, content_type: str) -> BlobInfo:
        self.storing += 1
        await self.may.acquire()
        return await super().put_bytes(key, body, content_type=content_type)


async def begin(small: Small) -> asyncio.Task[httpx.Response]:
    body = form(*(part("files", data, f"{n}.png") for n, data in enumerate(PICTURES)))

    async def send() -> httpx.Response:
        async with small.client() as http:
            return await http.post("/v1/uploads/batch", content=body, headers=FORM_TYPE)

    return asyncio.create_task(send())


async def storing(store: Held, count: int) -> None:
    async def reached() -> bool:
        return store.storing == count

    await eventually(reached, f"{count} files to be on their way into the store")


async def test_the_next_files_begin_while_the_store_still_has_to_answer_for_the_ones_before() -> None:
    store = Held()
    async with running(store) as small:
        sending = await begin(small)
        await storing(store, FILES_AHEAD + 1)
        store.may.release()
        await storing(store, FILES_AHEAD + 2)
        for _ in PICTURES:
            store.may.release()
        assert (await sending).json()["uploaded_count"] == len(PICTURES)
        room = [small.ingest.ahead.take(MOST_OF_A_FILE) for _ in range(AHEAD_BYTES // MOST_OF_A_FILE)]
        assert all(room)  # nothing is accounted for any more


async def test_without_room_the_next_file_begins_when_the_one_before_is_stored() -> None:
    store = Held()
    async with running(store) as small:
        while small.ingest.ahead.take(MOST_OF_A_FILE) or small.ingest.ahead.take(100):
            pass
        sending = await begin(small)
        for count in range(1, len(PICTURES) + 1):
            await storing(store, count)
            assert len(store.objects) == count - 1
            store.may.release()
        assert (await sending).json()["uploaded_count"] == len(PICTURES)


def test_large_files_take_the_room_of_what_the_client_holds_of_them() -> None:
    ahead = Ahead(2 * MOST_OF_A_FILE + 10)
    taken = [ahead.take(size) for size in (10**9, MOST_OF_A_FILE, 11, 10, 1)]
    assert taken == [True, True, False, True, False]
    ahead.give_back(10**9)
    assert ahead.take(MOST_OF_A_FILE)
    assert not ahead.take(1)
