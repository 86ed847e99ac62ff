"""The pages for people: files of services/catalog/console at the addresses of the older systems, under a policy that
runs nothing but them and asks nobody but this origin."""

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter

from services.catalog.conditions import none_match, quoted
from services.catalog.settings import CatalogSettings
from shared.errors import NotFound

FOLDER = Path(__file__).parents[1] / "console"
ADDRESSES = {
    "/static/media-upload-test.html": "upload.html",
    "/static/websocket-test.html": "websocket.html",
    "/admin/mediafiles/media/": "admin.html",
}
"""Of the pages; what they are made of lies at /static/console/{name}."""
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml"}


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What one address answers."""

    body: bytes
    media_type: str
    etag: str


def policy(store: str | None) -> str:
    """The Content-Security-Policy: no script and style but ours, no text that becomes markup, no other host, but the
    store where that sends files itself."""
    files = f" {_origin(store)}" if store else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        f" media-src 'self'{files}; connect-src 'self'{files}; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def handlers(settings: CatalogSettings) -> list[HTTPRouteHandler]:
    """The routes, if the settings want the pages. Reads the files."""
    if not settings.pages:
        return []
    found = addresses()
    headers = {
        "Content-Security-Policy": policy(settings.redirects.endpoint if settings.redirects else None),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Asked for again each time, which is cheap: a page never meets modules of another release.
        "Cache-Control": "no-cache",
    }

    @route(
        ["/static/{rest:path}", "/admin/{rest:path}"],
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        include_in_schema=False,
        sync_to_thread=False,
    )
    def show(
        request: Request[Any, Any, Any],
        rest: FromPath[str],  # noqa: ARG001 - the whole path is looked up
        *,
        if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match")] = None,
    ) -> Response[bytes]:
        # The framework takes a slash off the end, to which the relative addresses of a page belong.
        path, slash = request.scope["path"], request.scope["raw_path"].endswith(b"/")
        return _answer(found, headers, f"{path}/" if slash else path, if_none_match)

    return [show]


def addresses() -> dict[str, File]:
    """Every file by its path; nothing else can be asked for."""
    at = {f"/static/console/{file.name}": file for file in FOLDER.iterdir() if file.suffix != ".html"}
    at |= {path: FOLDER / name for path, name in ADDRESSES.items()}
    return {path: _read(file) for path, file in at.items()}


def _answer(
    found: Mapping[str, File], headers: Mapping[str, str], path: str, if_none_match: str | None
) -> Response[bytes]:
    file = found.get(path)
    if file is None and f"{path}/" in found:
        last = path.rpartition("/")[
            2
        ]  # relative, because what stands before the path here is the edge's to know
        return Response(b"", status_code=308, headers={"Location": f"{last}/", "Cache-Control": "no-cache"})
    if file is None:
        raise NotFound(f"Nothing is at {path[:200]}.")
    tagged = {**headers, "ETag": file.etag}
    if if_none_match is not None and none_match(if_none_match, file.etag):
        return Response(b"", status_code=304, headers=tagged)
    return Response(file.body, media_type=file.media_type, headers=tagged)


def _read(file: Path) -> File:
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    body = file.read_bytes()
    return File(body=body, media_type=kind, etag=quoted(hashlib.sha256(body).hexdigest()[:32]))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
