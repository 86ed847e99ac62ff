"""How the upload routes show in the OpenAPI document: their bodies are read by hand, so they are described by hand."""

from dataclasses import dataclass

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

from services.ingest.schemas import UploadStatus
from shared import errors
from shared.errors import TripodError
from shared.fields import TAGS, TEXT_CHARS
from shared.media import Media
from shared.openapi import header, with_headers
from shared.problem import MEDIA_TYPE, Problem

_TEXT = OpenAPIType.STRING
FIELDS: dict[str, Schema] = {
    "profile": Schema(type=_TEXT, default="default", description="The rule set to upload under."),
    "entity_type": Schema(type=_TEXT, description="What the media hangs on; goes with entity_id."),
    "entity_id": Schema(type=_TEXT, max_length=255),
    "entity_field": Schema(
        type=_TEXT, max_length=64, description="Which field of the entity, avatar for example."
    ),
    "description": Schema(type=_TEXT, max_length=TEXT_CHARS["description"]),
    "alt_text": Schema(type=_TEXT, max_length=TEXT_CHARS["alt_text"]),
    "caption": Schema(type=_TEXT, max_length=TEXT_CHARS["caption"]),
    "tags": Schema(
        type=_TEXT,
        description=f"At most {TAGS}, separated by commas, or the field given several times.",
    ),
    "metadata": Schema(type=_TEXT, description="A JSON object of your own.", examples=['{"camera": "left"}']),
    "is_public": Schema(type=OpenAPIType.BOOLEAN, description="Unless given, as the profile has it."),
    "is_primary": Schema(type=OpenAPIType.BOOLEAN, default=False),
    "sort_order": Schema(type=OpenAPIType.INTEGER, default=0),
    "on_duplicate": Schema(
        type=_TEXT,
        enum=["allow", "reject", "reuse"],
        default="allow",
        description="What becomes of a file that you have already in the same place (profile, entity and its field), "
        "by its SHA-256: a second copy; 409 with the id of the `existing` one; 200 with the media that is there. "
        "With a Repr-Digest PUT is answered before the body is sent.",
    ),
}
HEADERS = (
    Parameter(
        name="Idempotency-Key",
        param_in="header",
        description="1 to 255 visible ASCII characters. The same key gives the same media and answer for 24 hours; "
        "a refused request frees it.",
        schema=Schema(type=_TEXT, max_length=255),
    ),
    Parameter(
        name="Content-Digest",
        param_in="header",
        description="RFC 9530: what the whole body hashes to. sha-256 and sha-512 are verified, others are ignored; "
        "bytes that are not those are refused with 422.",
        schema=Schema(type=_TEXT, examples=["sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"]),
    ),
    Parameter(
        name="Repr-Digest",
        param_in="header",
        description="RFC 9530: the same of the representation. Of a form, the digest of its file is taken as well.",
        schema=Schema(type=_TEXT),
    ),
    Parameter(
        name="Prefer",
        param_in="header",
        description="`respond-async`: do not wait for the catalog, answer 202.",
        schema=Schema(type=_TEXT),
    ),
)
REPLAYED = {
    "Idempotent-Replayed": header("`true`: this is the answer to an earlier request with the same key.")
}
_REUSED = {"Location": header("Where the media is that you had already.")}
FILE = Schema(
    type=_TEXT,
    format=OpenAPIFormat.BINARY,
    content_media_type="application/octet-stream",
    description="Fields may come before or after it; exactly one is allowed.",
)


@dataclass
class FormOperation(Operation):
    """`POST /v1/uploads`."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.OBJECT, properties={"file": FILE, **FIELDS}, required=["file"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
        )
        self.parameters = [*(self.parameters or ()), *HEADERS]
        with_headers(self, REPLAYED, 201, 202)
        with_headers(self, _REUSED, 200)
        self.operation_id = "uploadForm"
        self.summary = "Upload one file as a multipart form"


@dataclass
class RawOperation(Operation):
    """`PUT /v1/uploads/raw/{filename}`."""

    def __post_init__(self) -> None:
        schema = Schema(type=_TEXT, format=OpenAPIFormat.BINARY)
        self.request_body = RequestBody(
            content={"application/octet-stream": OpenAPIMediaType(schema=schema)}, required=True
        )
        query = [Parameter(name=name, param_in="query", schema=schema) for name, schema in FIELDS.items()]
        self.parameters = [*(self.parameters or ()), *query, *HEADERS]
        with_headers(self, REPLAYED, 201, 202)
        with_headers(self, _REUSED, 200)
        self.operation_id = "uploadRaw"
        self.summary = "Upload one file as the body"


@dataclass
class StatusOperation(Operation):
    """`GET /v1/uploads/{ref}`."""

    def __post_init__(self) -> None:
        self.operation_id = "uploadStatus"
        self.summary = "Where an upload stands"


def problem(error: type[TripodError], description: str, detail: str) -> ResponseSpec:
    example = Problem(
        type=f"urn:tripod:problem:{error.code}",
        title=error.title,
        status=error.status,
        detail=detail,
        code=error.code,
    )
    return ResponseSpec(
        data_container=Problem,
        generate_examples=False,
        description=description,
        media_type=MEDIA_TYPE,
        examples=[Example(summary=error.title, value=msgspec.to_builtins(example))],
    )


def shown(container: type, description: str) -> ResponseSpec:
    return ResponseSpec(data_container=container, generate_examples=False, description=description)


_UNAUTHENTICATED = problem(
    errors.Unauthenticated, "No token", "This needs a token: send 'Authorization: Bearer <token>'."
)
_UNAVAILABLE = problem(
    errors.Unavailable,
    "Broker or store down; ask again after `Retry-After`",
    "The message broker is not reachable, so nothing can be accepted now.",
)

RESPONSES: dict[int, ResponseSpec] = {
    201: shown(Media, "Stored, announced and catalogued"),
    202: shown(Media, "Stored and announced; the catalog will have it"),
    400: problem(
        errors.Malformed, "Not readable", "The body is empty; it must be a form with a part named 'file'."
    ),
    401: _UNAUTHENTICATED,
    403: problem(
        errors.Forbidden,
        "Not yours to attach to",
        "Only owners and admins of post '7' may attach media to it.",
    ),
    404: problem(errors.NotFound, "Unknown entity", "There is no post with the id '7'."),
    408: problem(
        errors.TooSlow,
        "Too slow",
        "Only 12 bytes of the body came within 30 seconds; at least 256 a second are needed.",
    ),
    409: problem(
        errors.Conflict,
        "The same request is running; or you have this file already (`code` is `duplicate`, `existing` names it)",
        "A request with this Idempotency-Key is still running; ask again for its answer.",
    ),
    410: problem(
        errors.Gone,
        "What this Idempotency-Key made was deleted",
        "The media MED-01J0000000000000000000000 that this Idempotency-Key made was deleted.",
    ),
    413: problem(
        errors.TooLarge,
        "Over a limit",
        "The file is larger than 104857600 bytes (100 MiB), the most that image in profile 'default' may have.",
    ),
    415: problem(
        errors.UnsupportedType,
        "Not what it claims, or not taken here",
        "The name 'photo.jpg' says image/jpeg, but the bytes are plain text.",
    ),
    422: problem(
        errors.Invalid, "A value is not acceptable", "sort_order is 'first'; allowed is a whole number."
    ),
    429: problem(
        errors.TooMany,
        "A quota or rate is used up; `left_bytes` and `left_objects` say what is left, `Retry-After` when to ask "
        "again where that helps",
        "The quota has no room for this file: 812 bytes of 1048576 bytes (1 MiB) are left.",
    ),
    503: _UNAVAILABLE,
}

QUOTA_RESPONSES: dict[int, ResponseSpec] = {
    401: _UNAUTHENTICATED,
    403: problem(
        errors.Forbidden,
        "Not yours to see",
        "Another owner's quota is for the service role; your token does not have it.",
    ),
    422: problem(
        errors.Invalid,
        "What is asked for can be no owner",
        "The owner 'ann\\x00' is not valid; allowed are 1 to 255 characters without control characters.",
    ),
    503: _UNAVAILABLE,
}

ONE_RESPONSES = RESPONSES | {
    200: shown(Media, "You have this file already, and asked for that one by on_duplicate=reuse")
}
"""Those of a request with one file."""

STATUS_RESPONSES: dict[int, ResponseSpec] = {
    200: shown(UploadStatus, "Where it stands"),
    401: _UNAUTHENTICATED,
    404: problem(
        errors.NotFound, "Absent, or not yours", "There is no upload MED-01J0000000000000000000000."
    ),
    503: _UNAVAILABLE,
}
