"""The files of the pages for people, and how the catalog hands them out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from services.catalog.app import create_app
from services.catalog.database import DatabaseSettings
from services.catalog.presigned import RedirectSettings
from services.catalog.routes.console import ADDRESSES, FOLDER, addresses
from services.catalog.settings import CatalogSettings
from shared.auth import AuthSettings
from shared.errors import SettingsError
from shared.events.jetstream import BusSettings
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings
from shared.storage.s3 import S3Settings

SECRET = "a secret of tests that is long enough"
SETTINGS = CatalogSettings(
    http=HttpSettings(port=0),
    auth=AuthSettings(secret=SECRET),
    log=LogSettings(),
    links=LinkSettings(secret=SECRET),
    bus=BusSettings(),
    store=S3Settings(access_key="key", secret_key="secret"),
    database=DatabaseSettings(),
)
FILES = sorted(FOLDER.iterdir())
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
every_page = pytest.mark.parametrize("path", sorted(ADDRESSES))


def client(settings: CatalogSettings = SETTINGS) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(settings))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://origin.test")


@pytest.fixture(scope="module")
def app() -> httpx.ASGITransport:
    return httpx.ASGITransport(app=create_app(SETTINGS))  # type: ignore[arg-type]


@pytest.fixture
async def http(app: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=app, base_url="http://origin.test") as made:
        yield made


@every_page
async def test_a_page_comes_with_its_policy_and_is_asked_for_again_each_time(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == (FOLDER / ADDRESSES[path]).read_bytes()
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' blob:",
        "media-src": "'self'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'", "trusted-types": "'none'",
    }  # fmt: skip
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    again = await http.get(path, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert again.headers["content-security-policy"] == answer.headers["content-security-policy"]
    changed = await http.get(path, headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.content) == (200, answer.content)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("api.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_what_pages_are_made_of_has_the_type_that_browsers_insist_on(
    http: httpx.AsyncClient, name: str, kind: str
) -> None:
    answer = await http.get(f"/static/console/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_is_answered_as_get_is(http: httpx.AsyncClient) -> None:
    head, get = [await http.request(method, "/static/websocket-test.html") for method in ("HEAD", "GET")]
    assert head.status_code == 200
    for name in ("content-length", "etag", "content-type", "content-security-policy"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/",
        "/static/console",
        "/static/console/",
        "/static/console/absent.js",
        "/static/console/upload.html",  # a page has one address
        "/static/console/api.js/",
        "/static/websocket-test.html/",
        "/static/Websocket-Test.html",
        "/static/console/%2e%2e/app.py",
        "/static/console/..%2f..%2fsettings.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/console/api.js%00.html",
        "/static/console/..\\settings.py",
        "/admin",
        "/admin/",
        "/admin/mediafiles/",
        "/admin/mediafiles/media/1/",
        "/admin/mediafiles/media/console/admin.js",
    ],
)
async def test_nothing_else_is_there(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"].startswith("Nothing is at /")


async def test_the_list_has_its_slash(http: httpx.AsyncClient) -> None:
    answer = await http.get("/admin/mediafiles/media")
    assert (answer.status_code, answer.headers["location"]) == (308, "media/")
    assert answer.next_request is not None
    assert answer.next_request.url.path == "/admin/mediafiles/media/"


async def test_pages_are_for_looking(http: httpx.AsyncClient) -> None:
    assert (await http.post("/static/websocket-test.html")).status_code == 405


@pytest.mark.parametrize("path", [*sorted(ADDRESSES), "/static/console/api.js"])
async def test_switched_off_they_are_not_there(path: str) -> None:
    async with client(msgspec.structs.replace(SETTINGS, pages=False)) as http:
        assert (await http.get(path)).status_code == 404


def test_the_setting_is_on_or_off() -> None:
    keys = {"TRIPOD_S3_ACCESS_KEY": "key", "TRIPOD_S3_SECRET_KEY": "secret"}
    environment = {"TRIPOD_ENV": "development", **keys}
    assert CatalogSettings.from_env(environment).pages
    assert not CatalogSettings.from_env({**environment, "TRIPOD_PAGES": "off"}).pages
    with pytest.raises(SettingsError, match="TRIPOD_PAGES"):
        CatalogSettings.from_env({**environment, "TRIPOD_PAGES": "perhaps"})


async def test_a_store_that_sends_files_itself_may_be_asked_for_them() -> None:
    store = RedirectSettings(endpoint="https://files.example.org:9000/x", access_key="k", secret_key="s" * 32)
    async with client(msgspec.structs.replace(SETTINGS, redirects=store)) as http:
        policy = (await http.get("/static/media-upload-test.html")).headers["content-security-policy"]
    assert "connect-src 'self' https://files.example.org:9000;" in policy
    assert "img-src 'self' blob:;" in policy


async def test_the_description_of_the_api_does_not_tell_of_pages(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path.startswith(("/static", "/admin"))]


@every_file
def test_a_file_is_small_says_what_it_is_for_and_turns_no_text_into_markup(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    if file.suffix in {".js", ".css"}:
        assert text.startswith(("// ", "/* "))
    if file.suffix == ".js":
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", text
        )
    if file.suffix == ".html":
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)", text)
        assert "localStorage" not in text


@every_file
def test_a_file_names_no_other_host(file: Path) -> None:
    named = set(re.findall(r"\b(?:https?|wss?)://[^\s\"'`)]+", file.read_text()))
    assert named <= {"http://www.w3.org/2000/svg"}


@every_file
def test_what_a_file_asks_for_is_there(file: Path) -> None:
    text, served = file.read_text(), addresses()
    page = next((path for path, name in ADDRESSES.items() if name == file.name), None)
    base = httpx.URL("http://origin.test").join(page or f"/static/console/{file.name}")
    asked = re.findall(r"(?:from |import )\"([^\"]+)\"|(?:href|src)=\"([^\"#]+)\"", text)
    paths = {base.join(one or other).path for one, other in asked}
    assert paths <= set(served)
    if file.suffix == ".html":
        assert len(paths) > 4


def test_every_file_is_part_of_a_page() -> None:
    told = " ".join(file.read_text() for file in FILES)
    assert [file.name for file in FILES if file.suffix != ".html" and f'/{file.name}"' not in told] == []
