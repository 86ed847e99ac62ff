"""The OpenAPI document of the catalog: complete, and every refusal described."""

import asyncio
from typing import Any

import pytest

from services.catalog.app import create_app
from services.catalog.database import DatabaseSettings
from services.catalog.settings import CatalogSettings
from shared.auth import AuthSettings
from shared.dialects.settings import DialectSettings
from shared.events.jetstream import BusSettings
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings
from shared.storage.s3 import S3Settings

SECRET = "a secret of tests that is long enough"


def made(dialects: DialectSettings) -> dict[str, Any]:
    settings = CatalogSettings(
        http=HttpSettings(port=0),
        auth=AuthSettings(secret=SECRET),
        log=LogSettings(),
        links=LinkSettings(secret=SECRET),
        bus=BusSettings(),
        store=S3Settings(access_key="key", secret_key="secret"),
        database=DatabaseSettings(),
        dialects=dialects,
    )

    async def make() -> dict[str, Any]:
        return create_app(settings).openapi_schema.to_schema()

    return asyncio.run(make())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return made(DialectSettings())


@pytest.fixture(scope="module")
def own() -> dict[str, Any]:
    """That of our own API alone."""
    return made(DialectSettings(enabled=frozenset()))


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", op) for path, item in document["paths"].items() for method, op in item.items()
    ]


def test_every_operation_has_a_summary_a_text_a_tag_and_an_id_of_its_own(document: dict[str, Any]) -> None:
    found = operations(document)
    for name, operation in found:
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
    ids = [operation["operationId"] for _, operation in found]
    assert len(set(ids)) == len(ids)


def test_without_dialects_there_is_our_own_api_alone(own: dict[str, Any]) -> None:
    found = operations(own)
    assert found
    assert all(name.split()[1].startswith("/v1/") for name, _ in found)
    assert not any("{number" in name or "/public/" in name or "/analytics/" in name for name, _ in found)


def test_refusals_are_problem_documents(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert "503" in operation["responses"], name
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and name.split()[0] != "head":
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema["$ref"].endswith("Problem"), (name, status)


def test_the_media_object_is_described_field_by_field(own: dict[str, Any]) -> None:
    schemas = own["components"]["schemas"]
    media = next(schema for name, schema in schemas.items() if name.endswith("Media") or name == "Media")
    assert {"id", "public_id", "status", "variants", "exif", "phash", "colours"} <= set(media["properties"])
    assert "taken_at" in media["properties"]["exif"]["description"]
    page = next(schema for name, schema in schemas.items() if name.endswith("MediaPage"))
    assert set(page["properties"]) == {"items", "next_cursor", "count"}


def test_parameters_are_described_with_their_limits(document: dict[str, Any]) -> None:
    listed = {p["name"]: p for p in document["paths"]["/v1/media"]["get"]["parameters"]}
    assert (listed["limit"]["schema"]["minimum"], listed["limit"]["schema"]["maximum"]) == (1, 200)
    assert set(listed) >= {
        "media_type",
        "status",
        "entity_type",
        "entity_id",
        "owner",
        "is_public",
        "sort",
        "cursor",
    }
    assert all(p["in"] == "query" for p in listed.values())
