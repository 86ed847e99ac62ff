"""Requests that mean harm, or nothing: refused with a problem, never a fault of ours."""

import asyncio
import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

DEEP = '{"a":' * 900 + "1" + "}" * 900


BODIES = (
    "",
    "nonsense",
    "[1]",
    '{"metadata": []}',
    '{"metadata": {"a": 1e400}}',
    '{"metadata": {"a": -1e400}}',
    '{"metadata": {"a": 123456789012345678901234567890}}',
    '{"metadata": {"a": "\\ud800"}}',
    '{"caption": "\\ud83d"}',
    '{"metadata": ' + DEEP + "}",
    '{"metadata": ' + '{"a":[' * 5000 + "]}" * 5000 + "}",
    '{"tags": "abc"}',
    '{"sort_order": 1.5}',
    '{"is_public": "yes"}',
    '{"filename": ""}',
    '{"description": 5}',
    '{"description": "a", "description": "b", "x": 1}',
    "\x00",
)
UNREADABLE = (
    b"",
    b"nonsense",
    b'{"caption":"\xff","variant":"\xff","display_id":"\xff"}',
    b'{"metadata":' + b"[" * 1200 + b"]" * 1200 + b"}",
)
PATHS = (
    "/v1/media?owner=%FF%FE",
    "/v1/media?entity_id=" + "x" * 5000,
    "/v1/media?cursor=" + "A" * 5000,
    "/v1/media?limit=99999999999999999999",
    "/v1/media?owner=a&owner=b",
    "/v1/media/%F0%9F%98%80",
    "/v1/media/..%2f..%2fetc",
    "/v1/media/01890000-0000-7000-8000-000000000000/variants/%00",
    "/v1/media/01890000-0000-7000-8000-000000000000/variants/..%2F..%2Fx",
    "/v1/media/01890000-0000-7000-8000-000000000000/download?signature=%FF&expires=-1",
    "/v1/media/01890000-0000-7000-8000-000000000000/download?signature=é&expires=٣",
    "/v1/media/01890000-0000-7000-8000-000000000000/similar?max_distance=-1",
    "/v1/entities/post/%00",
    "/v1/entities/%00/1",
    "/v1/entities/post/" + "x" * 300,
)
HEADERS: tuple[dict[str, str], ...] = (
    {"Authorization": "Bearer"},
    {"Authorization": "Basic abc"},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Bearer " + "x" * 4000},
)


async def test_no_body_breaks_a_change(catalog: Service) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        for body in BODIES:
            answer = await ann.patch(
                f"/v1/media/{upload.id}", content=body.encode(), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code < 500, (body, answer.text)
            assert (await ann.get(f"/v1/media/{upload.id}")).status_code == 200, body
            assert len((await ann.get("/v1/media")).json()["items"]) == 1, body


async def test_a_body_that_cannot_be_read_is_400_on_every_route(catalog: Service) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    routes = (
        ("PATCH", f"/v1/media/{upload.id}"),
        ("POST", f"/v1/media/{upload.id}/links"),
        ("PUT", "/v1/entities/post/1"),
    )
    async with catalog.caller("ann", "service") as ann:
        for (method, path), body in itertools.product(routes, UNREADABLE):
            answer = await ann.request(
                method, path, content=body, headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), (method, path, body)


async def test_no_address_breaks_a_read(catalog: Service) -> None:
    async with catalog.caller("root", "admin") as admin:
        for path in PATHS:
            answer = await admin.get(path)
            assert answer.status_code < 500, (path, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", path
                assert answer.json()["detail"], path


WORST = ("a%00b", "x" * 5000, "9" * 4400)
BAD = ("%00", "%ED%A0%80", "%ff", "%F0%9F%98%80", "-1", "9" * 40, "%0D%0A")
_METHODS = {"get", "delete", "post", "put", "patch"}


def addresses(
    document: dict[str, Any], known: dict[str, str], hostile: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Every operation with each of its parameters in turn being hostile, and the others sound."""
    for path, operations in document["paths"].items():
        for method in operations.keys() & _METHODS:
            parameters = operations[method].get("parameters", [])
            names = [(p["in"], p["name"]) for p in parameters if p["in"] in {"path", "query"}]
            for (place, name), text in itertools.product(names, hostile):
                sound = {**dict.fromkeys(re.findall(r"{(\w+)}", path), "1"), **known}
                if place == "path":
                    sound[name] = text
                there = path.format(**sound)
                yield method.upper(), there + (f"?{quote(name)}={text}" if place == "query" else "")


@pytest.mark.parametrize("hostile", [WORST, pytest.param(BAD, marks=pytest.mark.long)], ids=["worst", "bad"])
async def test_no_text_in_any_parameter_of_any_route_is_a_fault(
    catalog: Service, hostile: tuple[str, ...]
) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    document = (await catalog.nobody.get("/openapi.json")).json()
    cases = list(addresses(document, {"ref": str(upload.id), "public_id": str(upload.id)}, hostile))
    assert len(cases) > 50 * len(hostile)
    several = asyncio.Semaphore(8)
    async with catalog.caller("root", "admin") as admin:

        async def ask(method: str, path: str) -> None:
            async with several:
                answer = await admin.request(method, path, json={} if method != "GET" else None)
            assert answer.status_code < 500, (method, path[:200], answer.text)

        await asyncio.gather(*(ask(*case) for case in cases))


async def test_a_token_that_is_none_is_401_everywhere(catalog: Service) -> None:
    paths = ("/v1/media", "/v1/media/01890000-0000-7000-8000-000000000000", "/v1/entities/post/1")
    for path, headers in itertools.product(paths, HEADERS):
        answer = await catalog.nobody.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
