"""Addresses by which clients read from the store themselves: they open one object, by GET, for their time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from services.catalog.presigned import Redirects, RedirectSettings
from shared.storage.s3 import S3Settings
from tests.contract.stores import S3Store
from tests.fixtures import minio as minio_process

KEY = "2026/11/21/Kö n+1&2.jpg"
BODY = bytes(range(256))
POLICY = Path(__file__).parents[2] / "deploy/minio/policies/reader.json"
REAL = ["rclone", *(["minio"] if minio_process.BINARY else [])]


def redirects(store: S3Settings, *, proven: bool = False, secret: str | None = None) -> Redirects:
    settings = RedirectSettings(
        endpoint=store.endpoint,
        access_key=store.access_key,
        secret_key=secret or store.secret_key,
        seconds=60,
        proven=proven,
    )
    return Redirects(settings, store)


@pytest.fixture(params=REAL)
async def settings(request: pytest.FixtureRequest) -> S3Settings:
    """A store that has an object."""
    store = request.getfixturevalue(request.param)
    assert isinstance(store, S3Store)
    blobs = store.connect()
    await blobs.ensure_bucket()
    await blobs.put_bytes(KEY, BODY, content_type="application/octet-stream")
    await blobs.close()
    return store._settings()


async def test_an_address_opens_one_object_by_get_with_the_type_and_name_that_were_signed(
    settings: S3Settings,
) -> None:
    name = "inline; filename*=UTF-8''K%C3%B6.jpg"
    made = redirects(settings)
    url = made.address(KEY, mime_type="image/jpeg", disposition=name).url
    async with httpx.AsyncClient() as client:
        whole = await client.get(url)
        assert (whole.status_code, whole.content) == (200, BODY)
        assert whole.headers["content-type"] == "image/jpeg"
        assert whole.headers["content-disposition"] == name
        assert whole.headers["cache-control"] == "private, max-age=60"
        part = await client.get(url, headers={"Range": "bytes=1-2"})
        assert (part.content, part.headers["content-range"]) == (BODY[1:3], "bytes 1-2/256")
        # Nothing else may be done with it.
        for method, headers in (
            ("PUT", {}),
            ("PUT", {"x-amz-copy-source": f"/{settings.bucket}/x"}),
            ("DELETE", {}),
            ("POST", {}),
        ):
            assert (await client.request(method, url, headers=headers)).status_code >= 400, method
        for old, new in (("image%2Fjpeg", "text%2Fhtml"), ("inline", "attachment"), ("21/K", "21/L")):
            assert (await client.get(url.replace(old, new))).status_code == 403
        late = made.address(KEY, mime_type="image/jpeg", disposition=name, now=time.time() - 300).url
        assert (await client.get(late)).status_code in {400, 403}
        link_over = made.address(
            KEY, mime_type="image/jpeg", disposition=name, now=time.time() - 90, until=int(time.time()) - 30
        )
        assert (await client.get(link_over.url)).status_code in {400, 403}
        assert (await client.get(url)).content == BODY


async def test_a_key_that_can_write_is_found_out_and_nothing_is_redirected(settings: S3Settings) -> None:
    for made, may in (
        (redirects(settings, proven=True), True),
        (redirects(settings, proven=True, secret="not the secret"), None),
        (redirects(msgspec.structs.replace(settings, endpoint="http://127.0.0.1:9"), proven=True), None),
    ):
        assert await made._may_delete() is may
        assert not made.ready
    stop = asyncio.Event()
    made = redirects(settings, proven=True)
    task = asyncio.create_task(made.keep_proving(stop))
    stop.set()
    await asyncio.wait_for(task, 10)
    assert not made.ready


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """A store that lets nobody delete."""
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert asked.startswith(b"DELETE /tripod/variants/")
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_key_that_may_only_read_is_used() -> None:
    async with refusing() as endpoint:
        made = redirects(S3Settings(endpoint=endpoint, access_key="reader", secret_key="x"), proven=True)
        stop = asyncio.Event()
        task = asyncio.create_task(made.keep_proving(stop))
        while not made.ready:
            assert not task.done()
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(task, 10)


if minio_process.BINARY:  # policies of keys are MinIO's

    def test_the_shipped_policy_lets_a_key_read_the_bucket_and_no_more(minio: S3Store) -> None:
        store = minio
        root = store._settings("tripod")
        host = root.endpoint.removeprefix("http://")
        admin = MinioAdmin(
            endpoint=host, credentials=StaticProvider(root.access_key, root.secret_key), secure=False
        )
        admin.policy_add("reader", policy=json.loads(POLICY.read_text()))
        admin.user_add("reader", "reader-secret-key")
        admin.policy_set("reader", user="reader")
        client = Minio(
            endpoint=host,
            access_key=root.access_key,
            secret_key=root.secret_key,
            secure=False,
            region="us-east-1",
        )
        client.make_bucket(bucket_name="tripod")
        client.make_bucket(bucket_name="others")
        reader = msgspec.structs.replace(root, access_key="reader", secret_key="reader-secret-key")

        async def look() -> None:
            blobs = store.connect("tripod")
            await blobs.put_bytes(KEY, BODY, content_type="image/jpeg")
            await blobs.close()
            made = redirects(reader, proven=True)
            assert await made._may_delete() is False
            url = made.address(KEY, mime_type="image/jpeg", disposition="inline").url
            async with httpx.AsyncClient() as http:
                assert (await http.get(url)).content == BODY
            elsewhere = redirects(msgspec.structs.replace(reader, bucket="others"))
            async with httpx.AsyncClient() as http:
                found = await http.get(elsewhere.address("x", mime_type="a/b", disposition="inline").url)
                assert found.status_code == 403

        asyncio.run(look())
