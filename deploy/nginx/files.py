"""The files that the edge serves itself: the pages of the origin, and the one OpenAPI document of all services."""

from pathlib import Path

import msgspec

from deploy import openapi, pages
from deploy.asgi import Answer
from deploy.openapi import Document

ROOT = "/usr/share/nginx/tripod"
"""Where the files lie in the image."""
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
READY = {
    "status": "ready",
    "services": {name: {"status": "ready"} for name in ("ingest", "catalog", "processor")},
}
"""What /health/ready answers when they all are."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one path answers; `file` is its name below the root, None for an answer without a body."""

    path: str
    answer: Answer
    file: str | None


def all_pages(document: Document) -> list[Page]:
    """Every path that the edge answers from files, given the merged OpenAPI document."""
    assets = [f"/docs/{name}" for name in pages.SWAGGER_FILES]
    return [
        *(entry(path, pages.page(path)) for path in ("/", *pages.OWN_PAGES, *assets)),
        *(entry(path, pages.page(path.rstrip("/"))) for path in ("/docs/", "/redoc/")),
        entry("/openapi.json", as_json(document)),
        entry("/docs/openapi-3.0.json", as_json(openapi.as_3_0(document))),
    ]


def entry(path: str, answer: Answer | None) -> Page:
    if answer is None:
        raise LookupError(f"the origin has no page at {path}")
    # One flat folder; a page's name says its path.
    name = path.strip("/").replace("/", ".")
    return Page(path=path, answer=answer, file=name if answer.status == 200 else None)


def as_json(document: Document) -> Answer:
    return Answer(status=200, body=msgspec.json.encode(document), headers=ANY_ORIGIN)


def write(found: list[Page], folder: Path) -> None:
    """Put the bodies into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready.json").write_bytes(msgspec.json.encode(READY))
    for page in found:
        if page.file is not None:
            (folder / page.file).write_bytes(page.answer.body)
