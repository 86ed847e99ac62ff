"""One API description from two services."""

from typing import Any

from deploy.openapi import as_3_0, merge
from deploy.routes import Table


def document(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def operation(schema: str) -> dict[str, Any]:
    return {
        "responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
        }
    }


MEDIA = {"type": "object", "properties": {"id": {"type": "string"}}}


def test_each_operation_comes_from_the_service_that_owns_it() -> None:
    ingest = document(
        {"/v1/uploads": {"post": operation("Media")}, "/v1/media/{ref}": {"get": {"x": 1}}}, {"Media": MEDIA}
    )
    catalog = document(
        {"/v1/media/{ref}": {"get": operation("Media")}, "/health/live": {"get": {}}}, {"Media": MEDIA}
    )

    merged = merge({"ingest": ingest, "catalog": catalog}, Table())

    assert set(merged["paths"]) == {"/v1/uploads", "/v1/media/{ref}"}
    assert merged["paths"]["/v1/media/{ref}"]["get"] == operation("Media")
    assert merged["components"]["schemas"] == {"Media": MEDIA}
    assert merged["info"]["version"] == "1.2"


def test_schemas_of_one_name_and_different_content_stay_apart_with_all_that_refers_to_them() -> None:
    def schemas(kind: str) -> dict[str, Any]:
        return {
            "Item": {"type": kind},
            "Page": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "Book": {"type": "array", "items": {"$ref": "#/components/schemas/Page"}},
            "Media": MEDIA,
        }

    ingest = document({"/v1/uploads": {"get": operation("Book")}}, schemas("string"))
    catalog = document({"/v1/media": {"get": operation("Book")}}, schemas("integer"))

    merged = merge({"ingest": ingest, "catalog": catalog}, Table())

    found = merged["components"]["schemas"]
    assert set(found) == {"Item", "Page", "Book", "Media", "catalog.Item", "catalog.Page", "catalog.Book"}
    assert found["Item"] == {"type": "string"}
    assert found["catalog.Item"] == {"type": "integer"}
    assert found["catalog.Page"]["items"] == {"$ref": "#/components/schemas/catalog.Item"}
    assert merged["paths"]["/v1/uploads"]["get"] == operation("Book")
    assert merged["paths"]["/v1/media"]["get"] == operation("catalog.Book")


def test_old_words_say_null_const_and_exclusive_bounds() -> None:
    new = {
        "openapi": "3.1.0",
        "paths": {},
        "a": {"type": ["string", "null"]},
        "b": {"oneOf": [{"$ref": "#/x"}, {"type": "null"}]},
        "c": {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "default": None},
        "d": {"const": "on"},
        "e": {"type": "integer", "exclusiveMinimum": 3},
    }

    assert as_3_0(new) == {
        "openapi": "3.0.3",
        "paths": {},
        "a": {"type": "string", "nullable": True},
        "b": {"nullable": True, "allOf": [{"$ref": "#/x"}]},
        "c": {"default": None, "nullable": True, "oneOf": [{"type": "string"}, {"type": "integer"}]},
        "d": {"enum": ["on"]},
        "e": {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
    }
