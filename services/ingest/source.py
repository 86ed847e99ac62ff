"""Where the bytes of an upload come from: the file part of a form, or a body that is the file."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from services.ingest import fields
from services.ingest.body import Read
from services.ingest.fields import Options
from services.ingest.form import Form
from shared.names import display_name


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file on its way. `early` is what is known before its bytes (`profile_known`: the profile is among it);
    `finish` reads what comes after them and returns all."""

    filename: str
    declared: str
    size: int | None
    chunks: AsyncIterator[bytes]
    early: Options
    profile_known: bool
    finish: Callable[[], Awaitable[Options]]


async def from_form(read: Read, boundary: str) -> Source:
    """A form up to the start of its file. Raises Malformed, Invalid, TooLarge as `Form` does."""
    form = Form(read, boundary)
    part = await form.file()

    async def finish() -> Options:
        await form.rest()
        return fields.parse(form.fields)

    return Source(
        filename=display_name(part.filename),
        declared=part.declared,
        size=None,
        chunks=form.chunks(),
        early=fields.parse(form.fields, complete=False),
        profile_known="profile" in form.fields,
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
    )
