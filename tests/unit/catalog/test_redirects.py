"""Which files the store hands out itself, for how long, and what the answer says that leads there."""

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from services.catalog.conditions import Conditions
from services.catalog.delivery import Asked, Delivery, File
from services.catalog.presigned import Redirects, RedirectSettings
from shared.env import Env
from shared.errors import SettingsError
from shared.storage.memory import MemoryBlobs
from shared.storage.s3 import S3Settings
from tests.unit.catalog.test_multirange import Sent, answer, asked, stored

STORE = S3Settings(bucket="tripod", access_key="writer", secret_key="w")
SETTINGS = RedirectSettings(
    endpoint="https://files.test", access_key="reader", secret_key="r", seconds=300, proven=False
)
NOW = 1_800_000_100.0


def redirects(**changes: object) -> Redirects:
    return Redirects(msgspec.structs.replace(SETTINGS, **changes), STORE)


def life(url: str) -> int:
    return int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])


def test_one_file_has_one_address_for_a_while_and_each_holds_longer_than_the_way_is_kept() -> None:
    made = redirects()

    def at(moment: float, **more: int) -> tuple[str, int]:
        found = made.address("a/b c.jpg", mime_type="image/jpeg", disposition="inline", now=moment, **more)
        return found.url, found.keep

    first, keep = at(NOW)
    assert first.startswith("https://files.test/tripod/a/b%20c.jpg?X-Amz-Algorithm=")
    assert "Credential=reader%2F" in first
    assert at(NOW + 100)[0] == first
    assert at(NOW + 300)[0] != first
    for second in range(0, 301, 20):
        url, keep = at(NOW + second)
        signed = (NOW + second) // 300 * 300
        assert signed + life(url) - (NOW + second) > keep > 0
    # Of a link that ends soon the address ends with it.
    url, keep = at(NOW, until=int(NOW) + 50)
    assert NOW // 300 * 300 + life(url) == int(NOW) + 50
    assert keep < 50


async def ask(
    file: File, blobs: MemoryBlobs, given: Asked, *, method: str = "GET", ready: bool = True
) -> Sent:
    made = redirects()
    made.ready = ready
    return await answer(Delivery(blobs, file, given, redirects=made), method)


async def test_harmless_files_are_handed_out_by_the_store_and_all_else_by_us() -> None:
    blobs, file = await stored()
    away = await ask(file, blobs, asked())
    assert (away.status, away.body, away.headers["content-length"]) == (307, b"", "0")
    assert away.headers["cache-control"] == "private, no-cache"
    query = parse_qs(urlsplit(away.headers["location"]).query)
    assert query["response-content-type"] == ["video/mp4"]
    assert query["response-content-disposition"][0].startswith("inline; filename=")
    for active in ("image/svg+xml", "text/html", "application/pdf", "application/octet-stream", "image/heic"):
        kept = await ask(msgspec.structs.replace(file, mime_type=active), blobs, asked())
        assert (kept.status, len(kept.body)) == (200, file.size)
        assert kept.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (await ask(file, blobs, asked(), ready=False)).status == 200
    assert (await ask(file, blobs, asked(), method="HEAD")).status == 200
    assert (await ask(file, blobs, asked(if_none_match=file.etag))).status == 304
    assert (await ask(file, blobs, asked(range="bytes=99999999-"))).status == 416


async def test_the_way_is_kept_only_where_the_file_might_be_and_for_less_than_it_holds() -> None:
    blobs, file = await stored()
    public = msgspec.structs.replace(file, is_public=True)
    versioned = Asked(conditions=Conditions(), version=file.version)
    for one, scope in ((file, "private"), (public, "public")):
        sent = await ask(one, blobs, versioned)
        assert sent.headers["cache-control"] == f"{scope}, max-age=150"
        assert ("surrogate-key" in sent.headers) is (scope == "public")


async def test_the_beginning_of_a_file_counts_wherever_it_comes_from() -> None:
    blobs, file = await stored()
    heard: list[str] = []
    for header in ("bytes=0-1", "bytes=5-9"):
        given = asked(range=header)
        await answer(
            Delivery(blobs, file, given, redirects=redirects(), on_sending=lambda: heard.append("yes"))
        )
    assert heard == ["yes"]


def settings(**environ: str) -> RedirectSettings | None:
    env = Env({"TRIPOD_DELIVERY": "redirect", **environ})
    found = RedirectSettings.from_env(env, STORE)
    env.check()
    return found


def test_redirects_need_a_key_of_their_own() -> None:
    assert RedirectSettings.from_env(Env({}), STORE) is None
    reader = {"TRIPOD_S3_READ_ACCESS_KEY": "reader", "TRIPOD_S3_READ_SECRET_KEY": "r"}
    found = settings(**reader, TRIPOD_S3_PUBLIC_ENDPOINT="https://files.test")
    assert found is not None
    assert found == msgspec.structs.replace(SETTINGS, proven=True)
    for environ, named in (
        ({}, "TRIPOD_S3_READ_ACCESS_KEY"),
        ({}, "TRIPOD_S3_READ_SECRET_KEY"),
        (reader, "TRIPOD_S3_PUBLIC_ENDPOINT"),
        ({**reader, "TRIPOD_S3_READ_ACCESS_KEY": "writer"}, "TRIPOD_S3_READ_ACCESS_KEY"),
        ({**reader, "TRIPOD_DELIVERY": "both"}, "TRIPOD_DELIVERY"),
        ({**reader, "TRIPOD_DELIVERY_SECONDS": "601"}, "TRIPOD_DELIVERY_SECONDS"),
        ({**reader, "TRIPOD_S3_PUBLIC_ENDPOINT": "files.test"}, "TRIPOD_S3_PUBLIC_ENDPOINT"),
    ):
        with pytest.raises(SettingsError, match=named):
            settings(**environ)
