"""The pages of the origin: Swagger UI from its wheel and a reference page of our own; nothing from another host."""

import mimetypes
from pathlib import Path

import swagger_ui_bundle

from deploy.asgi import Answer

OWN = Path(__file__).with_name("pages")
SWAGGER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
OWN_PAGES = {
    "/docs": "docs.html",
    "/docs/docs.js": "docs.js",
    "/redoc": "reference.html",
    "/redoc/reference.js": "reference.js",
    "/redoc/schema.js": "schema.js",
    "/redoc/reference.css": "reference.css",
}
# Swagger UI sets styles on elements and draws its arrows from data: pictures; scripts stay closed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(path: str) -> Answer | None:
    """The page or asset at a path without its trailing slash; None where there is none. Reads files."""
    if path == "/":
        return Answer(status=302, body=b"", headers={"Location": "/docs"})
    if path in OWN_PAGES:
        return from_file(OWN / OWN_PAGES[path])
    name = path.removeprefix("/docs/")
    if path.startswith("/docs/") and name in SWAGGER_FILES:
        return from_file(Path(swagger_ui_bundle.swagger_ui_path) / name)
    return None


def from_file(file: Path) -> Answer:
    kind = {".js": "text/javascript"}.get(file.suffix) or mimetypes.guess_type(file.name)[0] or ""
    return Answer(
        status=200,
        body=file.read_bytes(),
        content_type=f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        headers={
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache" if file.suffix == ".html" else "max-age=3600",
        },
    )
