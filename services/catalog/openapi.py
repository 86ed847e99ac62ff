"""How answers with bytes and with conditional headers show in the OpenAPI document: the framework cannot know."""

from dataclasses import dataclass

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIResponse, OpenAPIType, Operation, Parameter, Schema

from shared.openapi import header, with_headers

ETAG = ResponseHeader(
    name="ETag", value="", description="Of exactly this state; for If-Match.", documentation_only=True
)
VARY = ResponseHeader(
    name="Vary", value="", description="Each caller has an answer of their own.", documentation_only=True
)
LINK = ResponseHeader(
    name="Link",
    value="",
    description='`<...>; rel="next"`: where the list goes on, unless this page is the last.',
    documentation_only=True,
)
_SHOWN = {
    "ETag": header("Of exactly these bytes."),
    "Last-Modified": header("When the bytes came to be."),
    "Accept-Ranges": header("`bytes`."),
    "Content-Disposition": header("How a browser takes it, and its name."),
    "X-Content-Type-Options": header("`nosniff`."),
    "Content-Security-Policy": header("Nothing in it may run."),
    "Cross-Origin-Resource-Policy": header("`cross-origin`."),
}
_TAGS = {
    "Surrogate-Key": header(
        "Of what everybody may see: `media-` and its id, by which shared caches forget it."
    ),
    "Cache-Tag": header("The same, by its other name."),
}
_AWAY = {
    "Location": header("Where the store has it, for some minutes."),
    "X-Content-Type-Options": header("`nosniff`."),
    "Referrer-Policy": header("`no-referrer`."),
}
_LENGTH = {"Content-Length": header("In bytes.", OpenAPIType.INTEGER)}
_RANGE = {
    "Content-Range": header("Which bytes these are, and of how many; with several ranges each part has it.")
}
_CONDITIONS = {
    "Range": "Ranges of bytes, `bytes=0-99` or `bytes=0-99,500-` for example, 16 at most; of GET alone.",
    "If-Range": "An ETag or date: the range only if it still holds, else the whole.",
    "If-None-Match": "ETags that the caller has: 304 if one of them still holds.",
    "If-Modified-Since": "A date: 304 if nothing changed since. If-None-Match goes first.",
    "If-Match": "ETags that the caller expects: 412 if none of them holds.",
    "If-Unmodified-Since": "A date: 412 if something changed since. If-Match goes first.",
}


@dataclass
class FileOperation(Operation):
    """GET or HEAD of a file."""

    def __post_init__(self) -> None:
        conditions = [
            Parameter(name=name, param_in="header", description=text, schema=Schema(type=OpenAPIType.STRING))
            for name, text in _CONDITIONS.items()
        ]
        self.parameters = [*(self.parameters or ()), *conditions]
        _tell_several(self)
        with_headers(self, _SHOWN | _TAGS, 200, 206, 304)
        with_headers(self, _TAGS | _AWAY, 307)
        with_headers(self, _LENGTH, 200, 206)
        with_headers(self, _RANGE, 206, 416)
        with_headers(self, {"Retry-After": header("While the variant is being made.")}, 404)


def _tell_several(operation: Operation) -> None:
    """Several ranges have a type of their own."""
    answer = (operation.responses or {}).get("206")
    if isinstance(answer, OpenAPIResponse) and answer.content:
        answer.content = {**answer.content, "multipart/byteranges": next(iter(answer.content.values()))}


@dataclass
class RenderOperation(FileOperation):
    """GET or HEAD of a picture whose format may be chosen by Accept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        accept = "Where the format is `auto`: whether `image/webp` is named in it."
        schema = Schema(type=OpenAPIType.STRING)
        self.parameters = [
            *(self.parameters or ()),
            Parameter(name="Accept", param_in="header", description=accept, schema=schema),
        ]
        with_headers(
            self, {"Vary": header("`Accept`, where the format was chosen by it.")}, 200, 206, 304, 307
        )


def file(media_type: str) -> dict[int, ResponseSpec]:
    """The answers that hold bytes of this kind, whole and in part, or say where they are."""
    away = ResponseSpec(None, generate_examples=False, description="The store has the bytes (by setting)")
    return {
        307: away,
        **_bytes(media_type),
    }


def _bytes(media_type: str) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(bytes, generate_examples=False, description=text, media_type=media_type)
        for status, text in ((200, "The bytes"), (206, "The range of them"))
    }
