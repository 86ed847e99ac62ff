"""One OpenAPI document out of those of the services."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from deploy.routes import Table

Document: TypeAlias = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def merge(documents: Mapping[str, Document], table: Table) -> Document:
    """The origin's document: each operation comes from the service that the route table sends it to.

    Components of one name and different content are told apart by the service's name.
    """
    merged: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tripod",
            "version": "0",
            "description": "Upload media, ask about it, and get it back.",
        },
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {},
        "tags": [],
    }
    for service, document in documents.items():
        merged["info"]["version"] = document.get("info", {}).get("version", "0")
        renamed = told_apart(document, merged, service)
        add_components(renamed, merged)
        add_paths(renamed, merged, service, table)
        merged["tags"] += [tag for tag in renamed.get("tags", []) if tag not in merged["tags"]]
    if any(document.get("security") for document in documents.values()):
        merged["security"] = next(
            document["security"] for document in documents.values() if document.get("security")
        )
    return merged


def add_paths(document: Document, merged: Document, service: str, table: Table) -> None:
    for path, item in document.get("paths", {}).items():
        shared = {name: value for name, value in item.items() if name not in METHODS}
        for method in METHODS:
            if method in item and table.owner(method.upper(), path) == service:
                merged["paths"].setdefault(path, dict(shared))[method] = item[method]


def add_components(document: Document, merged: Document) -> None:
    for section, entries in document.get("components", {}).items():
        merged["components"].setdefault(section, {}).update(entries)


def told_apart(document: Document, merged: Document, service: str) -> Document:
    """The same document in which every component that clashes with a merged one bears the service's name."""
    renames: dict[str, str] = {}
    for section, entries in document.get("components", {}).items():
        known = merged["components"].get(section, {})
        for name, content in entries.items():
            if name in known and known[name] != content:
                renames[f"#/components/{section}/{name}"] = f"#/components/{section}/{service}.{name}"
    # What refers to something renamed is a different thing too, and so is what refers to that.
    while spread := referring(document, merged, set(renames)):
        renames |= {ref: "/".join((*ref.split("/")[:3], f"{service}.{ref.split('/')[3]}")) for ref in spread}
    if not renames:
        return document
    return rename(document, renames)


def referring(document: Document, merged: Document, renamed: set[str]) -> set[str]:
    found = set()
    for section, entries in document.get("components", {}).items():
        for name, content in entries.items():
            ref = f"#/components/{section}/{name}"
            clashes = name in merged["components"].get(section, {})
            if (
                clashes
                and ref not in renamed
                and any(json.dumps(target) in json.dumps(content) for target in renamed)
            ):
                found.add(ref)
    return found


def rename(document: Document, renames: Mapping[str, str]) -> Document:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: renames.get(value, value) if key == "$ref" else walk(value)
                for key, value in node.items()
            }
        return [walk(value) for value in node] if isinstance(node, list) else node

    walked: Document = walk(document)
    walked["components"] = {
        section: {
            renames.get(f"#/components/{section}/{name}", name).rsplit("/", 1)[-1]: content
            for name, content in entries.items()
        }
        for section, entries in walked.get("components", {}).items()
    }
    return walked


def as_3_0(node: Any) -> Any:
    """The same document in the words of OpenAPI 3.0, which is all that the bundled Swagger UI reads."""
    if isinstance(node, list):
        return [as_3_0(value) for value in node]
    if not isinstance(node, dict):
        return node
    old = {key: as_3_0(value) for key, value in node.items()}
    if "openapi" in old and "paths" in old:
        old["openapi"] = "3.0.3"
    if isinstance(old.get("type"), list):
        types = [kind for kind in old["type"] if kind != "null"]
        old |= {"type": types[0] if types else "string"} | (
            {"nullable": True} if "null" in node["type"] else {}
        )
    if "const" in old and not isinstance(old["const"], dict):
        old["enum"] = [old.pop("const")]
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(old.get(bound), (int, float)) and not isinstance(old[bound], bool):
            old[bound.removeprefix("exclusive").lower()] = old[bound]
            old[bound] = True
    return without_null(old)


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    for choice in ("oneOf", "anyOf"):
        options = schema.get(choice)
        if not isinstance(options, list) or {"type": "null"} not in options:
            continue
        rest = [option for option in options if option != {"type": "null"}]
        others = {key: value for key, value in schema.items() if key != choice}
        # One thing or nothing: 3.0 says so beside the thing, and a bare $ref takes nothing beside it.
        return {**others, "nullable": True, **({"allOf": rest} if len(rest) == 1 else {choice: rest})}
    return schema
