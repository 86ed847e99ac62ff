"""Delivery: whole and in part, conditions, names, links, waiting for what is being made."""

import asyncio
import time
from email import message_from_bytes
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from sqlalchemy import update

from services.catalog.models import media
from services.catalog.presigned import RedirectSettings
from shared.events.messages import MediaUploaded
from shared.ids import public_id
from tests.fixtures import openapi
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving

BODY = stories.BODY
SIZE = len(BODY)


def original(upload: MediaUploaded) -> str:
    return f"/v1/media/{upload.id}/download"


def thumbnail(upload: MediaUploaded) -> str:
    return f"/v1/media/{upload.id}/variants/thumbnail"


async def test_ranges_and_conditions_of_originals_and_variants(catalog: Service) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        for path, body, tag in (
            (original(upload), BODY, f'"{upload.sha256}"'),
            (thumbnail(upload), BODY[::-1], f'"{stories.SPEC}"'),
        ):
            whole = await ann.get(path)
            assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, body, tag)
            assert whole.headers["content-length"] == str(SIZE)
            assert whole.headers["accept-ranges"] == "bytes"
            modified = whole.headers["last-modified"]
            await ranges(ann, path, body, tag, modified)
            await conditions(ann, path, tag, modified)


async def ranges(ann: httpx.AsyncClient, path: str, body: bytes, tag: str, modified: str) -> None:
    cases: list[tuple[dict[str, str], int, bytes, str | None]] = [
        ({"Range": "bytes=0-0"}, 206, body[:1], f"bytes 0-0/{SIZE}"),
        ({"Range": "bytes=100-199"}, 206, body[100:200], f"bytes 100-199/{SIZE}"),
        ({"Range": f"bytes={SIZE - 1}-"}, 206, body[-1:], f"bytes {SIZE - 1}-{SIZE - 1}/{SIZE}"),
        ({"Range": "bytes=-7"}, 206, body[-7:], f"bytes {SIZE - 7}-{SIZE - 1}/{SIZE}"),
        ({"Range": "bytes=0-"}, 206, body, f"bytes 0-{SIZE - 1}/{SIZE}"),
        ({"Range": "bytes=0-1,4-5"}, 206, body[:6], f"bytes 0-5/{SIZE}"),
        ({"Range": "lines=0-1"}, 200, body, None),
        ({"Range": "bytes=5-2"}, 200, body, None),
        ({"Range": "bytes=0-9", "If-Range": tag}, 206, body[:10], f"bytes 0-9/{SIZE}"),
        ({"Range": "bytes=0-9", "If-Range": modified}, 206, body[:10], f"bytes 0-9/{SIZE}"),
        ({"Range": "bytes=0-9", "If-Range": '"other"'}, 200, body, None),
        ({"Range": "bytes=0-9", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200, body, None),
    ]
    for headers, status, content, content_range in cases:
        answer = await ann.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (status, content), headers
        assert answer.headers.get("content-range") == content_range, headers
        assert answer.headers["content-length"] == str(len(content))
        head = await ann.head(path, headers=headers)
        assert (head.status_code, head.content) == (200, b""), headers
        assert head.headers["content-length"] == str(SIZE)
    several = await ann.get(path, headers={"Range": "bytes=0-1,5000-5001,-2", "If-Range": tag})
    assert several.status_code == 206
    assert int(several.headers["content-length"]) == len(several.content)
    read = message_from_bytes(
        b"Content-Type: " + several.headers["content-type"].encode() + b"\r\n\r\n" + several.content
    )
    assert [part.get_payload(decode=True) for part in read.walk() if not part.is_multipart()] == [
        body[:2],
        body[5000:5002],
        body[-2:],
    ]
    beyond = await ann.get(path, headers={"Range": f"bytes={SIZE}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert beyond.headers["content-type"] == "application/problem+json"
    assert str(SIZE) in beyond.json()["detail"]


async def conditions(ann: httpx.AsyncClient, path: str, tag: str, modified: str) -> None:
    cases = [
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"x", W/{tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "soon"}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": modified}, 200),
        ({"If-None-Match": tag, "Range": "bytes=0-1"}, 304),
    ]
    for headers, status in cases:
        for method in ("GET", "HEAD"):
            answer = await ann.request(method, path, headers=headers)
            assert answer.status_code == status, (method, headers)
            assert answer.headers["etag"] == tag
            if status == 304:
                assert answer.content == b""
                assert "content-length" not in answer.headers


async def test_what_goes_out_cannot_act_in_a_browser(catalog: Service) -> None:
    image = await catalog.ready(filename='Kö"ln.jpg')
    svg = stories.uploaded(mime_type="image/svg+xml", filename="evil.svg")
    heic = stories.uploaded(mime_type="image/heic", filename="phone.heic")
    for original_only in (svg, heic):
        await catalog.store(original_only)
        await catalog.have(original_only)
    async with catalog.caller("ann") as ann:
        for path, disposition in (
            (original(image), "attachment"),
            (original(image) + "?disposition=inline", "inline"),
            (thumbnail(image), "inline"),
            (thumbnail(image) + "?disposition=attachment", "attachment"),
            (original(svg) + "?disposition=inline", "attachment"),
            (original(heic) + "?disposition=inline", "attachment"),
        ):
            answer = await ann.get(path)
            assert answer.headers["content-disposition"].startswith(f"{disposition};"), path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert "set-cookie" not in answer.headers
        named = (await ann.get(original(image))).headers["content-disposition"]
        assert named == "attachment; filename=\"K__ln.jpg\"; filename*=UTF-8''K%C3%B6%22ln.jpg"
        small = (await ann.get(thumbnail(image))).headers
        assert "K%C3%B6%22ln-thumbnail.jpg" in small["content-disposition"]
        assert small["content-type"] == "image/jpeg"


async def test_caches_keep_for_ever_only_what_cannot_change(catalog: Service) -> None:
    private, public = await catalog.ready(), await catalog.ready(is_public=True)
    async with catalog.caller("ann") as ann:
        for upload, scope in ((private, "private"), (public, "public")):
            plain = await ann.get(thumbnail(upload))
            assert plain.headers["cache-control"] == f"{scope}, no-cache"
            shown = (await ann.get(f"/v1/media/{upload.id}")).json()["thumbnail_url"]
            versioned = await ann.get(shown.removeprefix("http://origin.test"))
            shared = ", s-maxage=600" if scope == "public" else ""
            assert versioned.headers["cache-control"] == f"{scope}, max-age=31536000, immutable{shared}"
            stale = await ann.get(thumbnail(upload) + "?v=00000000")
            assert stale.headers["cache-control"] == f"{scope}, no-cache"


async def test_caches_keep_for_everybody_only_what_everybody_may_see(catalog: Service) -> None:
    public, rejected = await catalog.ready(is_public=True), await catalog.ready(is_public=True)
    async with catalog.database.writing() as connection:
        await connection.execute(update(media).where(media.c.id == rejected.id).values(moderation="rejected"))
    async with catalog.caller("ann") as ann:
        seen = await ann.get(thumbnail(public))
        assert seen.headers["surrogate-key"] == f"media-{public.id}"
        hidden = await ann.get(thumbnail(rejected) + f"?v={stories.SPEC}")
    assert hidden.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "surrogate-key" not in hidden.headers


async def test_the_store_hands_out_what_is_harmless_where_settings_say_so(
    catalog: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    store = catalog.settings.store
    redirects = RedirectSettings(
        endpoint=store.endpoint, access_key=store.access_key, secret_key=store.secret_key, proven=False
    )
    upload, svg = await catalog.ready(), stories.uploaded(mime_type="image/svg+xml", filename="evil.svg")
    await catalog.store(svg)
    await catalog.have(svg)
    headers = {"Authorization": f"Bearer {catalog.token('ann')}"}
    async with (
        serving(msgspec.structs.replace(catalog.settings, redirects=redirects)) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as ann,
        httpx.AsyncClient() as anybody,
    ):
        document = (await ann.get("/openapi.json")).json()
        for path, body in ((original(upload), BODY), (thumbnail(upload), BODY[::-1])):
            away = await ann.get(path)
            route = path.replace(str(upload.id), "{ref}").replace("thumbnail", "{name}")
            openapi.check(document, "GET", route, away)
            assert (away.status_code, away.content) == (307, b"")
            there = await anybody.get(away.headers["location"])
            assert (there.content, there.headers["content-type"]) == (body, "image/jpeg")
            assert (
                there.headers["content-disposition"] == (await ann.head(path)).headers["content-disposition"]
            )
            assert (await ann.get(path, headers={"If-None-Match": "*"})).status_code == 304
        assert (await ann.get(original(svg))).status_code == 200
        assert (await anybody.get(f"{url}{original(upload)}")).status_code == 404
    logged = "".join(capsys.readouterr())
    assert "http.answered" in logged
    assert "X-Amz" not in logged


async def test_a_file_that_is_not_the_expected_one_is_412(catalog: Service) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        for path in (original(upload), thumbnail(upload)):
            etag = (await ann.head(path)).headers["etag"]
            for method in ("GET", "HEAD"):
                for fields, status in (
                    ({"If-Match": etag}, 200),
                    ({"If-Match": '"other"'}, 412),
                    ({"If-Match": '"other"', "If-None-Match": etag}, 412),
                    ({"If-Match": '"other"', "Range": "bytes=0-1"}, 412),
                    ({"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
                ):
                    answer = await ann.request(method, path, headers=fields)
                    assert answer.status_code == status, (method, path, fields)
                    if status == 412:
                        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_link_opens_one_path_for_its_time_only(catalog: Service) -> None:
    upload, other = await catalog.ready(), await catalog.ready()
    async with catalog.caller("ann") as ann:
        made = await ann.post(f"/v1/media/{public_id(upload.id)}/links", json={"seconds": 60})
        small = await ann.post(
            f"/v1/media/{upload.id}/links", json={"variant": "small", "disposition": "attachment"}
        )
        none = await ann.post(f"/v1/media/{upload.id}/links", json={"variant": "huge"})
        wrong = await ann.post(f"/v1/media/{upload.id}/links", json={"seconds": 0})
    assert (made.status_code, small.status_code, none.status_code, wrong.status_code) == (201, 201, 404, 422)
    url = urlsplit(made.json()["url"])
    assert (url.netloc, url.path) == ("origin.test", original(upload))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    nobody = catalog.nobody

    opened = await nobody.get(url.path, params=query)
    assert (opened.status_code, opened.content) == (200, BODY)
    assert opened.headers["cache-control"].startswith("private, max-age=")
    assert (await nobody.head(url.path, params=query)).status_code == 200
    assert (await nobody.get(f"/v1/media/{public_id(upload.id)}/download", params=query)).status_code == 200
    for path in (original(other), thumbnail(upload)):
        assert (await nobody.get(path, params=query)).status_code == 403
    for change in (
        {"expires": str(int(query["expires"]) + 1)},
        {"disposition": "inline"},
        {"signature": "0"},
    ):
        assert (await nobody.get(url.path, params=query | change)).status_code == 403
    assert (await nobody.get(url.path, params={"signature": query["signature"]})).status_code == 403
    assert (await nobody.get(f"/v1/media/{upload.id}", params=query)).status_code == 404

    opened = await nobody.get(small.json()["url"].removeprefix("http://origin.test"))
    assert opened.content == BODY[::-1]
    assert opened.headers["content-disposition"].startswith("attachment;")


async def test_a_link_to_a_deleted_media_opens_nothing(catalog: Service) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        url = (await ann.post(f"/v1/media/{upload.id}/links", json={})).json()["url"]
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
    assert (await catalog.nobody.get(url.removeprefix("http://origin.test"))).status_code == 404


async def test_a_variant_that_is_being_made_is_waited_for(catalog: Service) -> None:
    upload = stories.uploaded()
    result = stories.processed(upload)
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        started = time.monotonic()
        early = await ann.get(thumbnail(upload))
        assert time.monotonic() - started >= catalog.settings.variant_wait
        assert (early.status_code, early.headers["retry-after"]) == (404, "2")

        waiting = asyncio.create_task(ann.get(thumbnail(upload)))
        await catalog.store(upload, result)
        await catalog.tell(result)
        assert (await waiting).status_code == 200

        unknown = await ann.get(f"/v1/media/{upload.id}/variants/huge")
        assert (unknown.status_code, unknown.headers.get("retry-after")) == (404, None)
        assert "thumbnail, small" in unknown.json()["detail"]


async def test_a_row_without_its_object_is_an_honest_404(catalog: Service) -> None:
    upload = await catalog.ready()
    await catalog.blobs.delete(upload.key)
    async with catalog.caller("ann") as ann:
        answer = await ann.get(original(upload))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_large_file_streams_and_may_be_left(catalog: Service) -> None:
    body = bytes(1024) * 8192
    upload = stories.uploaded(body=body)
    await catalog.store(upload, body=body)
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        async with ann.stream("GET", original(upload)) as answer:
            async for _ in answer.aiter_raw():
                break
        assert (await ann.get(original(upload), headers={"Range": "bytes=-3"})).content == b"\0\0\0"
        assert len((await ann.get(original(upload))).content) == len(body)


@pytest.mark.parametrize("ref", ["nonsense", "123", "MED-", "MED-ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "%00"])
async def test_what_is_no_reference_is_not_there(catalog: Service, ref: str) -> None:
    for tail in ("", "/download", "/variants/small", "/similar"):
        assert (await catalog.nobody.get(f"/v1/media/{ref}{tail}")).status_code == 404
