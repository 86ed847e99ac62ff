"""Media of older systems: for `tripod import`, which talks to these two routes under the role service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Parameter, RequestBody, Schema
from litestar.params import JSONBody

from services.ingest import fields, imported, importing
from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.dialects.entity_slots import profile_of
from services.ingest.duplicates import Reused
from services.ingest.fields import Options
from services.ingest.form import boundary_of
from services.ingest.import_check import check
from services.ingest.import_numbers import make_room
from services.ingest.imported import DIALECTS, Dialect, Import
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.openapi import FIELDS, FILE, HEADERS, REPLAYED, RESPONSES, problem, shown
from services.ingest.requests import AnyRequest, body_of, response, upload_form, wish_of
from services.ingest.sniff import HEAD_BYTES
from services.ingest.source import Reading, from_form
from shared import errors
from shared.auth import Caller
from shared.dialects import content, library, mediafiles, personas
from shared.errors import Forbidden, Invalid, Malformed
from shared.imports import (
    ImportCheck,
    ImportedMedia,
    NumberRange,
    NumbersAsked,
    NumbersFree,
    StillAsked,
    StillThere,
)
from shared.openapi import with_headers
from shared.profiles import Profiles, of_entities

_PROFILES: Mapping[Dialect, str] = {
    "personas": personas.PROFILE,
    "library": library.PROFILE,
    "content": content.PROFILE,
    "mediafiles": mediafiles.PROFILE,
}
_FORBIDDEN = problem(
    errors.Forbidden, "Not a service", "Imports are for the role service; your token does not have it."
)
_SAYS = {
    "dialect": "Which of the older systems the media comes from.",
    "source": "A name that tells two systems of one dialect apart.",
    "old_id": "The id of the row there: the same row is taken once, however often it is sent.",
    "owner": "The `sub` of the user who owns it.",
    "owner_name": "What the user is called.",
    "number": "The number that it had; kept where it is free, and room was made for it.",
    "id": "The UUID that it had; kept where it is free.",
    "public_id": "The `MED-...` that it had; kept where it is free.",
    "created_at": "When it was uploaded there, with a zone.",
    "moderation": "What moderators made of it: approved, pending, rejected or flagged.",
}
_NEEDED = {"dialect", "old_id", "owner", "created_at"}


@dataclass
class ImportOperation(Operation):
    """`POST /v1/imports/media`."""

    def __post_init__(self) -> None:
        self.describe()
        with_headers(self, REPLAYED, 200, 201)
        self.operation_id = "importMedia"
        self.summary = "Take a media over from an older system"

    def describe(self, also: Mapping[str, str] | None = None) -> None:
        """The form, and the query with what is `also` in it, by name with a description; that is needed."""
        own = {name: schema for name, schema in FIELDS.items() if name not in {"profile", "on_duplicate"}}
        schema = Schema(type=OpenAPIType.OBJECT, properties={"file": FILE, **own}, required=["file"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
        )
        query = [
            Parameter(
                name=name,
                param_in="query",
                description=says,
                required=name in _NEEDED or name in (also or {}),
                schema=Schema(type=OpenAPIType.STRING, enum=list(DIALECTS) if name == "dialect" else None),
            )
            for name, says in {**_SAYS, **(also or {})}.items()
        ]
        self.parameters = [*(self.parameters or ()), *query, *HEADERS]


def _check(caller: Caller) -> None:
    if "service" not in caller.roles:
        raise Forbidden("Imports are for the role service; your token does not have it.")


def _reading(known: Profiles, row: Import) -> Reading:
    """The profile follows from where it comes from; for media of entities from what it hangs on."""

    def parse(said: Mapping[str, Sequence[str]], *, complete: bool = True) -> Options:
        profile = _PROFILES.get(row.dialect)
        if profile is None:
            kind, field = ((said.get(name) or [""])[-1].strip() for name in ("entity_type", "entity_field"))
            profile = profile_of(known, kind, field)
        options = fields.parse({**said, "profile": [profile]}, complete=complete)
        return msgspec.structs.replace(options, owner=row.owner, on_duplicate="allow")

    own = _PROFILES.get(row.dialect)
    return Reading(
        parse=parse,
        profile_known=lambda said: own is not None or "entity_id" in said,
        profiles=of_entities(known) if own is None else (own,),
    )


def _row(request: AnyRequest, *, besides: tuple[str, ...] = ()) -> Import:
    """What the query says. Raises Malformed, Invalid."""
    query: Mapping[str, Any] = request.query_params
    names = (*imported.NAMES, *besides)
    for name in query:
        if name not in names:
            raise Malformed(
                f"The parameter {name[:80]!r} is unknown; there are {', '.join(names)}.", field=name[:80]
            )
    return imported.parse(query.get)


@post(
    "/v1/imports/media",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=ImportOperation,
    responses={status: spec for status, spec in RESPONSES.items() if status != 202}
    | {
        200: shown(ImportedMedia, "It was imported before"),
        201: shown(ImportedMedia, "Stored and announced"),
        403: _FORBIDDEN,
    },
    tags=["imports"],
)
async def post_import(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """A form as of an upload, with an Idempotency-Key; the query says what it was in the older system. Needs the role
    service."""
    _check(caller)
    if "idempotency-key" not in request.headers:
        raise Malformed("An import needs an Idempotency-Key: rows are sent again until they are there.")
    row = _row(request)
    ingest: Ingest = request.app.state.ingest
    try:
        return await upload_form(
            request,
            caller,
            reading=_reading(ingest.settings.profiles, row),
            answering=importing.answering(row),
            imported=row,
        )
    except Reused as found:
        return response(found.answer, replayed=True)


@dataclass
class CheckOperation(ImportOperation):
    """`POST /v1/imports/check`."""

    def __post_init__(self) -> None:
        self.describe(also={"size": "The bytes of the whole file."})
        self.operation_id = "checkImport"
        self.summary = "What would become of a media of an older system"


@post(
    "/v1/imports/check",
    status_code=200,
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=CheckOperation,
    responses={status: spec for status, spec in RESPONSES.items() if status not in {201, 202}}
    | {200: shown(ImportCheck, "It would be taken"), 403: _FORBIDDEN},
    tags=["imports"],
)
async def post_check(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[ImportCheck]:
    """As an import whose `file` is the beginning of a file of `size` bytes. `registering=true`: what it hangs on will
    be registered. Nothing is stored. Needs the role service."""
    _check(caller)
    row = _row(request, besides=("size", "registering"))
    size = request.query_params.get("size", "")
    if not (size.isascii() and size.isdigit() and len(size) < 19):
        raise Invalid(f"size is {size[:40]!r}; allowed is a number of bytes.", field="size")
    ingest: Ingest = request.app.state.ingest
    reading = _reading(ingest.settings.profiles, row)
    wish = msgspec.structs.replace(wish_of(request, caller), reading=reading, imported=row)
    read = body_of(request, wish, FORM_OVERHEAD_BYTES, profiles=reading.profiles, largest=2 * HEAD_BYTES)
    source = await from_form(read, boundary_of(request.headers.get("content-type", "")), reading)
    registering = request.query_params.get("registering") == "true"
    found = await check(ingest, caller, row, source, int(size), registering=registering)
    return Response(found, headers={"Cache-Control": "no-store"})


@post(
    "/v1/imports/numbers",
    status_code=200,
    responses={
        200: shown(NumbersFree, "What an import may keep"),
        403: _FORBIDDEN,
        **{status: RESPONSES[status] for status in (400, 401, 413, 422, 503)},
    },
    operation_id="makeRoomForNumbers",
    summary="Make room for the numbers of an import",
    tags=["imports"],
)
async def post_numbers(
    request: AnyRequest, caller: NamedDependency[Caller], data: JSONBody[NumbersAsked]
) -> Response[NumbersFree]:
    """Later uploads get numbers above `highest`, so that an import can keep those below that no upload has been given.
    Needs the role service."""
    _check(caller)
    found = await make_room(request.app.state.ingest, data.highest)
    free = [NumberRange(first=first, last=last) for first, last in found.free]
    return Response(NumbersFree(free=free), headers={"Cache-Control": "no-store"})


@post(
    "/v1/imports/known",
    status_code=200,
    responses={
        200: shown(StillThere, "Those that are there, and those that were"),
        403: _FORBIDDEN,
        **{status: RESPONSES[status] for status in (400, 401, 413, 422, 503)},
    },
    operation_id="findImported",
    summary="Whether media that were imported are still there",
    tags=["imports"],
)
async def post_known(
    request: AnyRequest, caller: NamedDependency[Caller], data: JSONBody[StillAsked]
) -> Response[StillThere]:
    """For a run that goes on after another one. Needs the role service."""
    _check(caller)
    found = await importing.still_there(request.app.state.ingest, data.ids)
    return Response(found, headers={"Cache-Control": "no-store"})


ROUTES = (post_import, post_check, post_numbers, post_known)
