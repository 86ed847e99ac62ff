"""Where the bytes of an upload come from: the file part of a form, or a body that is the file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec

from services.ingest import fields
from services.ingest.body import Read
from services.ingest.fields import Options
from services.ingest.form import FilePart, Form
from services.ingest.limits import FORM_OVERHEAD_BYTES, bytes_text
from shared.errors import Malformed
from shared.names import display_name


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a form's fields are read, by our own API or by a dialect. `profiles`: those that may come of it; none
    for all."""

    parse: fields.Parse
    profile_known: Callable[[Mapping[str, Sequence[str]]], bool]
    profiles: tuple[str, ...] = ()


OURS = Reading(parse=fields.parse, profile_known=lambda said: "profile" in said)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file on its way. `early` is what is known before its bytes (`profile_known`: the profile is among it,
    else it will be one of `profiles`, of all where there are none); `finish` reads what comes after them and
    returns all. `complete`: nothing comes after them, so `early` is all. `waits`: it is one of many, for whose end it
    waits. `at_least`: bytes that `chunks` has or raises."""

    filename: str
    declared: str
    size: int | None
    chunks: AsyncIterator[bytes]
    early: Options
    profile_known: bool
    profiles: tuple[str, ...] = ()
    finish: Callable[[], Awaitable[Options]]
    complete: bool = False
    waits: bool = False
    at_least: int = 0


async def from_form(
    read: Read, boundary: str, reading: Reading = OURS, *, length: int | None = None
) -> Source:
    """A form of so many bytes up to the start of its file. Raises Malformed, Invalid, TooLarge as `Form` does."""
    form = Form(read, boundary)
    part = await form.file()
    at_least = 0 if length is None else max(0, length - form.received - FORM_OVERHEAD_BYTES)

    async def finish() -> Options:
        await form.rest()
        return reading.parse(form.fields, complete=True)

    chunks = _lasting(form, at_least) if at_least else form.chunks()
    source = from_part(part, chunks, form.fields, finish, reading)
    return msgspec.structs.replace(source, at_least=at_least)


async def _lasting(form: Form, at_least: int) -> AsyncIterator[bytes]:
    """The form's file. How long it is at the least is told from the form's length, and what may come after it:
    raises Malformed where more does, or Invalid where that is a second file."""
    seen = 0
    async for piece in form.chunks():
        seen += len(piece)
        yield piece
    if seen < at_least:
        await form.rest()
        raise Malformed(
            f"More than {bytes_text(FORM_OVERHEAD_BYTES)} come after the file's {seen} bytes in the form; send only "
            "its fields with it.",
            limit=FORM_OVERHEAD_BYTES,
        )


def from_part(
    part: FilePart,
    chunks: AsyncIterator[bytes],
    said: Mapping[str, Sequence[str]],
    finish: Callable[[], Awaitable[Options]],
    reading: Reading,
) -> Source:
    """The file part of a form; `said` are the fields before it."""
    return Source(
        filename=display_name(part.filename),
        declared=part.declared,
        size=None,
        chunks=chunks,
        early=reading.parse(said, complete=False),
        profile_known=reading.profile_known(said),
        profiles=reading.profiles,
        finish=finish,
    )


def from_body(read: Read, filename: str, declared: str, size: int | None, options: Options) -> Source:
    """A body that is the file; everything else is known before it."""

    async def chunks() -> AsyncIterator[bytes]:
        while piece := await read():
            yield piece

    async def finish() -> Options:
        return options

    return Source(
        filename=display_name(filename),
        declared=declared,
        size=size,
        chunks=chunks(),
        early=options,
        profile_known=True,
        finish=finish,
        complete=True,
    )
